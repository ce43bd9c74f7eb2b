"""What is done about a pool, from what is wished and what is there."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.resource import ADAPTER_RT_ID as RT_ID_LABEL
from octomesh_graphql.domain.resource import WISH
from octomesh_graphql.domain.wish import Finding, PoolWish, WishedAdapter
from octomesh_graphql.operator.cluster import Object
from octomesh_graphql.operator.manifests import Broker, manifests
from octomesh_graphql.operator.planning import Observed, Plan, plan
from tests.operator.objects import (
    ADAPTER_RT_ID,
    a_pod,
    a_ready_pod,
    a_resource,
    a_warning,
    a_wish,
    a_wished_adapter,
    after,
    available,
    leaving,
    rolling,
    seen,
    waiting,
)
from tests.operator.objects import a_place as some_place

Path: TypeAlias = tuple[str | int, ...]
Fields: TypeAlias = dict[str, Any]

PLACE = some_place(image_pull_secrets=("login",), broker=Broker(host="rabbit", virtual_host="", secret="broker"))
ADAPTER = a_wished_adapter(configuration={"a": 1}, port=4200, health_path="/healthz")
WISH_OF_ONE = a_wish(ADAPTER)
UNWANTED = replace(ADAPTER, wanted=False, generation=2)
OF_ADAPTER = {RT_ID_LABEL: ADAPTER_RT_ID}


def carried_out(wish: PoolWish, observed: Observed | None = None) -> Observed:
    """What is there once the plan for this wish has been carried out."""
    observed = observed or Observed()
    return after(plan(wish, PLACE, observed), observed)


def settled(wish: PoolWish = WISH_OF_ONE) -> Observed:
    """All of a wish is there and available."""
    observed = carried_out(wish)
    return replace(observed, deployments=[available(each) for each in observed.deployments])


def finding(planned: Plan) -> tuple[Phase, str]:
    (found,) = planned.findings
    return found.phase, found.message or ""


def whys(planned: Plan) -> dict[str, str]:
    return {each.object["kind"]: each.why for each in planned.apply}


def names(planned: Plan) -> list[str]:
    return [each["kind"] for each in planned.delete]


# What is wanted


def test_a_wanted_adapter_is_created_in_the_order_in_which_its_objects_need_each_other() -> None:
    planned = plan(WISH_OF_ONE, PLACE, Observed())
    assert [each.object for each in planned.apply] == manifests(WISH_OF_ONE, ADAPTER, PLACE)
    assert whys(planned) == dict.fromkeys(("Secret", "Deployment", "Service"), "Being created.")
    assert not any(each.mended for each in planned.apply)
    assert {each.adapter_rt_id for each in planned.apply} == {ADAPTER_RT_ID}
    assert finding(planned) == (Phase.PROGRESSING, "Being created.")


def test_what_is_as_wished_is_left_alone_and_available() -> None:
    available_one = Finding(rt_id=ADAPTER_RT_ID, generation=1, phase=Phase.AVAILABLE)
    assert plan(WISH_OF_ONE, PLACE, settled()) == Plan(findings=(available_one,))


def test_a_finding_carries_the_wish_it_is_about() -> None:
    planned = plan(a_wish(replace(ADAPTER, generation=9)), PLACE, settled())
    assert [each.generation for each in planned.findings] == [9]
    assert not planned.apply, "another generation of the same wish is nothing to do"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"image_version": "4"}, {"Deployment": "Being updated to image 'registry.example.com/plant/opcua:4'."}),
        (
            {"configuration": {"a": 2}},
            {"Secret": "Being updated to its new configuration.", "Deployment": "Being updated."},
        ),
        ({"port": 4300}, {"Deployment": "Being updated.", "Service": "Being updated."}),
    ],
    ids=["image", "configuration", "port"],
)
def test_a_new_wish_updates_what_it_changes(changed: dict[str, Any], expected: dict[str, str]) -> None:
    planned = plan(a_wish(replace(ADAPTER, **changed)), PLACE, settled(), known={ADAPTER_RT_ID})
    assert whys(planned) == expected
    assert not any(each.mended for each in planned.apply)
    assert finding(planned) == (Phase.PROGRESSING, expected["Deployment"])


@pytest.mark.parametrize(
    ("changed", "kind"), [({"port": None, "health_path": None}, "Service"), ({"configuration": None}, "Secret")]
)
def test_what_is_no_longer_part_of_an_adapter_is_deleted(changed: dict[str, Any], kind: str) -> None:
    planned = plan(a_wish(replace(ADAPTER, **changed)), PLACE, settled())
    assert names(planned) == [kind]
    assert whys(planned).keys() == {"Deployment"}


# How it is doing


def test_a_rollout_under_way_says_what_it_waits_for() -> None:
    observed = carried_out(WISH_OF_ONE)
    started = replace(
        observed,
        deployments=[rolling(each) for each in observed.deployments],
        pods=[a_pod(waiting("ContainerCreating"), labels=OF_ADAPTER)],
    )
    phase, message = finding(plan(WISH_OF_ONE, PLACE, started))
    assert phase is Phase.PROGRESSING
    assert "ContainerCreating" in message


def test_what_somebody_has_to_act_on_is_a_failure_and_the_rest_is_waiting() -> None:
    observed = carried_out(WISH_OF_ONE)
    started = replace(observed, deployments=[rolling(each) for each in observed.deployments])
    pulling = replace(started, pods=[a_pod(waiting("ErrImagePull"), labels=OF_ADAPTER)])
    phase, message = finding(plan(WISH_OF_ONE, PLACE, pulling))
    assert phase is Phase.FAILED
    assert "can't be pulled" in message
    mounting = replace(
        started,
        pods=[a_pod(waiting("ContainerCreating"), labels=OF_ADAPTER)],
        events=[a_warning("FailedMount", "timed out")],
    )
    phase, message = finding(plan(WISH_OF_ONE, PLACE, mounting))
    assert phase is Phase.PROGRESSING
    assert "timed out" in message


def test_the_pods_of_other_adapters_are_no_cause() -> None:
    observed = carried_out(WISH_OF_ONE)
    others = [a_pod(waiting("ErrImagePull"), labels={RT_ID_LABEL: "another"})]
    started = replace(observed, deployments=[rolling(each) for each in observed.deployments], pods=others)
    assert finding(plan(WISH_OF_ONE, PLACE, started))[0] is Phase.PROGRESSING


def test_a_deployment_that_is_being_deleted_is_waited_for() -> None:
    observed = replace(settled(), deployments=[leaving(each) for each in settled().deployments])
    planned = plan(a_wish(replace(ADAPTER, image_version="4")), PLACE, observed)
    assert not planned.apply
    assert not planned.delete
    assert finding(planned) == (
        Phase.PROGRESSING,
        "Waiting for its Deployment to be gone; then it is created anew.",
    )


# What is not wanted


def test_an_unwanted_adapter_is_removed_and_gone_when_nothing_is_left_of_it() -> None:
    wish = a_wish(UNWANTED)
    observed = replace(settled(), pods=[a_ready_pod(labels=OF_ADAPTER)])
    planned = plan(wish, PLACE, observed)
    assert names(planned) == ["Deployment", "Service", "Secret"]
    assert finding(planned) == (
        Phase.PROGRESSING,
        "Being removed: waits for its Deployment, its Service, its Secret and its pod 'octo-b001-7d9f-x2x4z'.",
    )
    left = after(planned, observed)
    assert finding(plan(wish, PLACE, left)) == (
        Phase.PROGRESSING,
        "Being removed: waits for its pod 'octo-b001-7d9f-x2x4z'.",
    )
    assert plan(wish, PLACE, Observed()).findings == (
        Finding(rt_id=ADAPTER_RT_ID, generation=2, phase=Phase.GONE, message=None),
    )


def test_what_is_being_deleted_is_not_deleted_again_and_names_who_keeps_it() -> None:
    observed = seen([leaving(settled().deployments[0], "foregroundDeletion", "example.com/backup")])
    planned = plan(a_wish(UNWANTED), PLACE, observed)
    assert not planned.delete
    assert finding(planned)[1] == (
        "Being removed: waits for its Deployment, which is kept by the finalizer 'example.com/backup'."
    )
    by_kubernetes = seen([leaving(settled().deployments[0], "foregroundDeletion")])
    assert finding(plan(a_wish(UNWANTED), PLACE, by_kubernetes))[1] == "Being removed: waits for its Deployment."


def test_what_is_not_in_the_wish_is_deleted_without_a_word() -> None:
    planned = plan(a_wish(), PLACE, settled())
    assert names(planned) == ["Deployment", "Service", "Secret"]
    assert planned.findings == ()


def test_what_carries_no_id_of_an_adapter_is_nobodys() -> None:
    stray = copy.deepcopy(settled().secrets[0])
    del stray["metadata"]["labels"][RT_ID_LABEL]
    assert plan(a_wish(), PLACE, seen([stray])) == Plan()


# What belongs to others


@pytest.mark.parametrize("wish", [WISH_OF_ONE, a_wish(UNWANTED)], ids=["wanted", "unwanted"])
def test_what_another_resource_owns_is_left_alone_and_told(wish: PoolWish) -> None:
    elder = some_place(a_resource(name="elder", uid="uid-of-the-elder"))
    observed = after(plan(WISH_OF_ONE, elder, Observed()), Observed())
    planned = plan(wish, PLACE, observed)
    assert (planned.apply, planned.delete) == ((), ())
    phase, message = finding(planned)
    assert phase is Phase.FAILED
    assert "belongs to another CommunicationPool, 'elder', and is left alone" in message
    assert plan(a_wish(), PLACE, observed) == Plan()


def test_what_is_left_of_an_earlier_resource_of_the_same_name_is_waited_for() -> None:
    earlier = some_place(a_resource(uid="uid-of-the-earlier"))
    planned = plan(WISH_OF_ONE, PLACE, after(plan(WISH_OF_ONE, earlier, Observed()), Observed()))
    assert not planned.apply
    phase, message = finding(planned)
    assert phase is Phase.PROGRESSING
    assert "an earlier CommunicationPool of the same name" in message


def test_an_owner_of_another_kind_is_no_other_pool() -> None:
    observed = settled()
    for kind in ("Backup", "CommunicationPool"):
        owner = {"apiVersion": "example.com/v1", "kind": kind, "name": "b", "uid": "uid-of-b"}
        observed.secrets[0]["metadata"]["ownerReferences"].insert(0, owner)
    assert not plan(WISH_OF_ONE, PLACE, observed).apply


# What others changed


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every path to a plain value, but for empty ones: those the API server leaves out."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None and value != "":
        yield path
    for key, below in inner or ():
        yield from leaves(below, (*path, key))


def is_identity(path: Path) -> bool:
    """What an object is found by, or what says whose it is: a change of that is another object, or a new wish."""
    owner_or_label = path[1:3] in (("labels", RT_ID_LABEL), ("annotations", WISH)) or path[-1] == "uid"
    return path[0] in ("apiVersion", "kind") or path[1:] in (("name",), ("namespace",)) or owner_or_label


def drifts() -> list[tuple[int, Path]]:
    objects = manifests(WISH_OF_ONE, ADAPTER, PLACE)
    return [(number, path) for number, each in enumerate(objects) for path in leaves(each) if not is_identity(path)]


def place_in(objects: list[Object], number: int, path: Path) -> tuple[Any, Any]:
    inside: Any = objects[number]
    for key in path[:-1]:
        inside = inside[key]
    return inside, path[-1]


def listed(observed: Observed) -> list[Object]:
    return [*observed.secrets, *observed.deployments, *observed.services]


def test_every_field_that_is_wished_is_watched_and_mended() -> None:
    assert len(drifts()) > 80
    for number, path in drifts():
        observed = copy.deepcopy(settled())
        inside, key = place_in(listed(observed), number, path)
        inside[key] = not inside[key] if isinstance(inside[key], bool) else f"{inside[key]}x"
        planned = plan(WISH_OF_ONE, PLACE, observed)
        assert [each.object["kind"] for each in planned.apply] == [listed(observed)[number]["kind"]], path
        assert planned.apply[0].mended
        assert not plan(WISH_OF_ONE, PLACE, after(planned, observed)).apply, path


def test_every_field_that_is_removed_is_missed() -> None:
    for number, path in drifts():
        observed = copy.deepcopy(settled())
        inside, key = place_in(listed(observed), number, path)
        if "ownerReferences" in path and isinstance(inside[key], str):  # no reference can be without
            continue
        del inside[key]
        (application,) = plan(WISH_OF_ONE, PLACE, observed).apply
        assert application.mended, path


def edited(path: str, fields: Fields, edit: Any, manager: str = "kubectl-edit", **more: Any) -> str:
    """What is said of a Deployment of which somebody edited something."""
    observed = copy.deepcopy(settled())
    deployment = observed.deployments[0]
    edit(deployment)
    entry = {"manager": manager, "operation": "Update", "time": "2026-03-01T13:00:00Z", "fieldsV1": fields} | more
    deployment["metadata"]["managedFields"].append(entry)
    (application,) = plan(WISH_OF_ONE, PLACE, observed).apply
    assert application.mended
    assert path in application.why
    assert application.why == finding(plan(WISH_OF_ONE, PLACE, observed))[1]
    return application.why


def test_who_changed_a_field_is_named() -> None:
    why = edited(
        "spec.replicas", {"f:spec": {"f:replicas": {}}}, lambda deployment: deployment["spec"].update(replicas=3)
    )
    assert why == "Mended: spec.replicas had been changed by 'kubectl-edit'."


def test_who_changed_an_element_of_a_list_is_named() -> None:
    element: Fields = {"f:containers": {".": {}, 'k:{"name":"adapter"}': {".": {}, "f:image": {}}}}
    why = edited(
        "spec.template.spec.containers[adapter].image",
        {"f:spec": {"f:template": {"f:spec": element}}},
        lambda deployment: deployment["spec"]["template"]["spec"]["containers"][0].update(image="other:1"),
        "kubectl-set",
    )
    assert why == "Mended: spec.template.spec.containers[adapter].image had been changed by 'kubectl-set'."


def test_an_element_that_is_known_by_other_keys_than_its_name_has_an_owner_too() -> None:
    ports: Fields = {"f:ports": {'k:{"containerPort":4200,"protocol":"UDP"}': {"f:protocol": {}}}}
    container = {"f:containers": {'k:{"name":"adapter"}': ports}}
    why = edited(
        "ports[adapter].protocol",
        {"f:spec": {"f:template": {"f:spec": container}}},
        lambda deployment: deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0].update(protocol="UDP"),
    )
    assert why.endswith("had been changed by 'kubectl-edit'.")


def test_who_owns_the_same_field_of_another_element_is_not_blamed() -> None:
    element: Fields = {"f:containers": {'k:{"name":"mesh-proxy"}': {"f:image": {}}}}
    why = edited(
        "spec.template.spec.containers[adapter].image",
        {"f:spec": {"f:template": {"f:spec": element}}},
        lambda deployment: deployment["spec"]["template"]["spec"]["containers"][0].update(image="other:1"),
    )
    assert why.endswith("had been changed.")


def test_who_owns_another_field_is_not_blamed() -> None:
    def scale(deployment: Object) -> None:
        deployment["spec"]["replicas"] = 3

    fields: Fields = {"f:spec": {"f:paused": {}}, "f:metadata": {"f:replicas": {}}}
    assert edited("spec.replicas", fields, scale) == "Mended: spec.replicas had been changed."


def test_the_latest_of_several_owners_is_named() -> None:
    def scale(deployment: Object) -> None:
        deployment["spec"]["replicas"] = 3
        earlier = {"manager": "earlier", "time": "2026-03-01T12:30:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        deployment["metadata"]["managedFields"].append(earlier)

    assert "'autoscaler'" in edited("spec.replicas", {"f:spec": {"f:replicas": {}}}, scale, "autoscaler")


def test_a_variable_that_was_removed_is_missed_by_name() -> None:
    why = edited(
        "env[OCTO_ADAPTER__TENANTID]",
        {},
        lambda deployment: deployment["spec"]["template"]["spec"]["containers"][0]["env"].pop(0),
    )
    assert why == ("Mended: spec.template.spec.containers[adapter].env[OCTO_ADAPTER__TENANTID] had been removed.")


def test_what_was_in_a_secret_is_not_told() -> None:
    observed = copy.deepcopy(settled())
    observed.secrets[0]["data"]["configuration.json"] = "aHVudGVyMg=="
    (application,) = plan(WISH_OF_ONE, PLACE, observed).apply
    assert application.why == "Mended: data[configuration.json] had been changed."


def test_what_nobody_wishes_anything_about_is_free() -> None:
    observed = copy.deepcopy(settled())
    deployment = observed.deployments[0]
    deployment["metadata"]["labels"]["team"] = "plant"
    deployment["spec"]["paused"] = False
    pod = deployment["spec"]["template"]["spec"]
    pod["containers"][0]["env"].insert(0, {"name": "HTTP_PROXY", "value": "http://proxy"})
    pod["containers"].insert(0, {"name": "mesh-proxy", "image": "proxy:1"})
    pod["volumes"].insert(0, {"name": "token", "projected": {}})
    assert not plan(WISH_OF_ONE, PLACE, observed).apply


@pytest.mark.parametrize(
    ("wished", "shown", "same"),
    [
        ("1024Mi", "1Gi", True),
        ("0.5", "500m", True),
        (".5", "500m", True),
        ("1e3", "1k", True),
        ("1500u", "1.5m", True),
        (2, "2", True),
        ("1Gi", "1G", False),
        ("500m", "501m", False),
        ("1k", "1Ki", False),
        ("much", "more", False),
    ],
)
def test_amounts_of_resources_are_compared_as_numbers(wished: str, shown: str, same: bool) -> None:
    place = some_place(a_resource(resources={"limits": {"cpu": wished}}))
    bare = a_wish(a_wished_adapter())
    observed = after(plan(bare, place, Observed()), Observed())
    limits = observed.deployments[0]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    limits["cpu"] = shown
    assert bool(plan(bare, place, observed).apply) is not same


def test_what_only_looks_like_an_amount_is_compared_as_text() -> None:
    observed = copy.deepcopy(settled())
    env = observed.deployments[0]["spec"]["template"]["spec"]["containers"][0]["env"]
    next(each for each in env if each["name"] == "OCTO_ADAPTER__BROKERPORT")["value"] = "5.672k"
    assert plan(WISH_OF_ONE, PLACE, observed).apply


@pytest.mark.parametrize("kind", ["deployments", "secrets", "services"])
def test_what_somebody_deleted_is_mended_where_it_is_known_to_have_been(kind: str) -> None:
    without: dict[str, Any] = {kind: []}
    observed = replace(settled(), **without)
    (unknown,) = plan(WISH_OF_ONE, PLACE, observed).apply
    assert (unknown.why, unknown.mended) == ("Being created.", False)
    (known,) = plan(WISH_OF_ONE, PLACE, observed, known={ADAPTER_RT_ID}).apply
    assert (known.why, known.mended) == (f"Mended: the {kind[:-1].title()} had been deleted.", True)


def test_an_object_that_a_new_wish_asks_for_had_not_been_deleted() -> None:
    bare = a_wish(a_wished_adapter())
    planned = plan(WISH_OF_ONE, PLACE, settled(bare), known={ADAPTER_RT_ID})
    assert whys(planned) == {"Secret": "Being created.", "Deployment": "Being updated.", "Service": "Being created."}


# Whatever is wished

whatever = settings(deadline=None, database=None, derandomize=True)

RT_IDS = [f"{number:024x}" for number in range(4)]


def adapters(rt_id: str) -> st.SearchStrategy[WishedAdapter]:
    return st.builds(
        a_wished_adapter,
        rt_id=st.just(rt_id),
        name=st.sampled_from(["OPC UA", "Öfen 🐙"]),
        wanted=st.booleans(),
        generation=st.integers(1, 5),
        image_version=st.sampled_from(["3.13.2", "4", "sha256:" + "a" * 64]),
        configuration=st.sampled_from([None, {}, {"a": [1, None, "ö"]}, False]),
        port=st.sampled_from([None, 80, 4200]),
        health_path=st.sampled_from([None, "/healthz"]),
    )


wishes = st.tuples(*(st.none() | adapters(rt_id) for rt_id in RT_IDS)).flatmap(
    lambda chosen: st.permutations([each for each in chosen if each]).map(lambda some: a_wish(*some))
)


@whatever
@given(st.lists(wishes, min_size=1, max_size=3))
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(history: list[PoolWish]) -> None:
    observed = Observed()
    for wish in history:
        observed = carried_out(wish, observed)
        again = plan(wish, PLACE, observed)
        assert (again.apply, again.delete) == ((), ())
        expected = [each for adapter in wish.adapters if adapter.wanted for each in manifests(wish, adapter, PLACE)]
        assert {(each["kind"], each["metadata"]["name"]) for each in listed(observed)} == {
            (each["kind"], each["metadata"]["name"]) for each in expected
        }


@whatever
@given(wishes, wishes)
def test_equal_inputs_give_equal_plans_in_the_order_of_ids(before: PoolWish, wish: PoolWish) -> None:
    observed = carried_out(before)
    turned = Observed(
        deployments=observed.deployments[::-1], secrets=observed.secrets[::-1], services=observed.services[::-1]
    )
    planned = plan(wish, PLACE, observed)
    assert plan(replace(wish, adapters=wish.adapters[::-1]), PLACE, turned) == planned
    assert [each.rt_id for each in planned.findings] == sorted(adapter.rt_id for adapter in wish.adapters)
    applied = [each.adapter_rt_id for each in planned.apply]
    assert applied == sorted(applied)


@whatever
@given(wishes, wishes)
def test_nothing_is_available_or_gone_before_the_cluster_says_so(before: PoolWish, wish: PoolWish) -> None:
    observed = carried_out(before)
    there = {each["metadata"]["labels"][RT_ID_LABEL] for each in listed(observed)}
    for found in plan(wish, PLACE, observed).findings:
        wanted = next(each.wanted for each in wish.adapters if each.rt_id == found.rt_id)
        gone = not wanted and found.rt_id not in there
        assert found.phase is (Phase.GONE if gone else Phase.PROGRESSING)
        assert bool(found.message) is not gone


def test_a_new_name_is_written_down_and_changes_nothing_for_what_runs() -> None:
    renamed = replace(WISH_OF_ONE, pool_name="Werk Süd", adapters=[replace(ADAPTER, name="Neu")])
    planned = plan(renamed, PLACE, settled())
    assert {each.why for each in planned.apply} == {"Being relabelled."}
    assert finding(planned)[0] is Phase.AVAILABLE
    assert plan(renamed, PLACE, after(planned, settled())).apply == ()


def test_what_is_no_longer_wished_is_an_update_and_no_new_name() -> None:
    listening = a_wish(replace(ADAPTER, port=8080))
    planned = plan(WISH_OF_ONE, PLACE, settled(listening))
    assert finding(planned)[0] is Phase.PROGRESSING
