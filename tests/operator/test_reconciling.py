"""Reconciling: from what is wished to what runs, whatever comes in between."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.resource import FINALIZER
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused
from octomesh_graphql.operator.charges import key_of
from octomesh_graphql.operator.cluster import ClusterRefused, ClusterUnavailable, Kind, Object
from octomesh_graphql.operator.server import ServerUnavailable
from octomesh_graphql.operator.simulated import Request
from tests.operator.builders import NAMESPACE, Plant, adapter, pool, resource, rt_id, without

QUOTA = ClusterRefused(403, "Forbidden", 'deployments.apps "x" is forbidden: exceeded quota: small, used: cpu=2')


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    """A plant whose operator watches its cluster."""
    async with (plant := Plant()).cluster, plant.watched():
        yield plant


async def serving(plant: Plant, *numbers: int) -> None:
    """One pool with these adapters, all of them running."""
    plant.server.wishing(pool(), *(adapter(number) for number in numbers))
    plant.cluster.put(resource())
    await plant.settle()
    assert set(plant.server.phases().values()) <= {Phase.AVAILABLE}


def of_pods(request: Request) -> bool:
    """A look at the pods of one namespace; watches look at all."""
    return (request.operation, request.kind, request.namespace) == ("objects", Kind.POD, NAMESPACE)


# The story


async def test_a_pool_is_claimed_and_its_adapters_are_brought_to_run(plant: Plant) -> None:
    await serving(plant, 1, 2)
    assert plant.server.finding(pool(), 1).phase is Phase.AVAILABLE
    assert plant.server.finding(pool(), 2).phase is Phase.AVAILABLE
    status = await plant.status()
    assert (status["communicationStatus"], status["adapters"], status["poolName"]) == ("Registered", "2/2", "North")
    assert (status["Registered"]["status"], status["Ready"]["status"]) == ("True", "True")
    assert len(await plant.events("Deployed")) == 2


async def test_an_adapter_is_reported_on_its_way_before_it_runs(plant: Plant) -> None:
    await serving(plant, 1)
    assert next(each.phase for _, findings in plant.server.reports for each in findings) is Phase.PROGRESSING


async def test_another_image_touches_that_adapter_only(plant: Plant) -> None:
    await serving(plant, 1, 2, 3)
    before = await plant.versions()
    plant.server.wishing(pool(), adapter(1), adapter(2, image_version="3.14.0", generation=2), adapter(3))
    await plant.look_again()
    await plant.settle()
    after = await plant.versions()
    assert {name for name in before if before[name] != after[name]} == {rt_id(0xB002)}
    assert plant.server.finding(pool(), 2).generation == 2
    assert plant.server.finding(pool(), 2).phase is Phase.AVAILABLE
    assert plant.server.finding(pool(), 1).generation == 1


async def test_an_adapter_that_is_no_longer_wanted_is_gone_when_its_pod_is(plant: Plant) -> None:
    await serving(plant, 1, 2)
    plant.server.wishing(pool(), adapter(1), without(adapter(2)))
    await plant.look_again()
    await plant.settle()
    assert plant.server.finding(pool(), 2).phase is Phase.GONE
    assert set(await plant.versions()) == {rt_id(0xB001)}
    assert len(await plant.all(Kind.POD)) == 1
    assert len(await plant.events("Undeployed")) == 1


async def test_deleting_the_resource_removes_all_and_releases_the_pool(plant: Plant) -> None:
    await serving(plant, 1, 2)
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle()
    for kind in (Kind.DEPLOYMENT, Kind.POD, Kind.SECRET, Kind.SERVICE, Kind.COMMUNICATION_POOL):
        assert await plant.all(kind) == []
    assert plant.server.finding(pool(), 1).phase is Phase.GONE
    assert (
        plant.server.finding(pool(), 1).message == f"The CommunicationPool {NAMESPACE}/acme-{pool().rt_id} was deleted."
    )
    assert plant.server.released == [pool()]
    assert plant.queue.wait() is None


async def test_a_resource_that_was_never_served_goes_at_once(plant: Plant) -> None:
    plant.cluster.put(resource())
    await plant.settle()
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    assert await plant.all(Kind.COMMUNICATION_POOL) == []


async def test_a_served_resource_without_adapters_goes_in_one_round(plant: Plant) -> None:
    await serving(plant)
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    begin = plant.seconds
    await plant.settle(within=1)
    assert await plant.all(Kind.COMMUNICATION_POOL) == []
    assert plant.seconds - begin <= 1


# Nothing is done twice


async def test_a_resync_with_nothing_changed_writes_and_reports_nothing(plant: Plant) -> None:
    await serving(plant, 1, 2)
    writes, reports = plant.writes, len(plant.server.reports)
    await plant.settle(within=3_600)
    assert plant.results.count("done") > 10
    assert (plant.writes, len(plant.server.reports)) == (writes, reports)


async def test_another_process_adopts_what_it_finds(plant: Plant) -> None:
    await serving(plant, 1, 2)
    writes, reports = plant.writes, len(plant.server.reports)
    await plant.restarted()
    assert plant.writes == writes
    told = [each for _, findings in plant.server.reports[reports:] for each in findings]
    assert [each.phase for each in told] == [Phase.AVAILABLE, Phase.AVAILABLE]


async def test_a_new_session_is_told_everything_again_once(plant: Plant) -> None:
    await serving(plant, 1, 2)
    reports = len(plant.server.reports)
    plant.server.come_back()
    await plant.look_again()
    await plant.look_again()
    assert [len(findings) for _, findings in plant.server.reports[reports:]] == [2]


async def test_a_claim_that_the_server_lost_is_made_again(plant: Plant) -> None:
    await serving(plant, 1)
    plant.server.claims.clear()
    await plant.look_again()
    await plant.settle()
    assert plant.server.claims[pool()] == plant.server.session


# What others do to it


async def test_a_foreign_change_is_mended_and_told_with_who_did_it(plant: Plant) -> None:
    await serving(plant, 1)
    [deployment] = await plant.all(Kind.DEPLOYMENT)

    def scaled(object: Object) -> None:
        object["spec"]["replicas"] = 3

    plant.cluster.edit(Kind.DEPLOYMENT, NAMESPACE, deployment["metadata"]["name"], scaled, "kubectl-edit")
    await plant.settle()
    [mended] = await plant.all(Kind.DEPLOYMENT)
    assert mended["spec"]["replicas"] == 1
    [told] = await plant.events("Mended")
    assert "spec.replicas had been changed by 'kubectl-edit'" in told
    assert plant.server.finding(pool()).phase is Phase.AVAILABLE


async def test_a_deployment_that_somebody_deleted_is_made_again_and_told(plant: Plant) -> None:
    await serving(plant, 1)
    [deployment] = await plant.all(Kind.DEPLOYMENT)
    plant.cluster.remove(Kind.DEPLOYMENT, NAMESPACE, deployment["metadata"]["name"])
    await plant.settle()
    assert len(await plant.all(Kind.DEPLOYMENT)) == 1
    assert "the Deployment had been deleted" in (await plant.events("Mended"))[0]


async def test_an_image_that_can_not_be_pulled_is_told_with_a_hint(plant: Plant) -> None:
    broken = adapter(1, image_name="registry.example.com/broken/vision")
    plant.server.wishing(pool(), broken, adapter(2))
    plant.cluster.put(resource())
    await plant.settle()
    finding = plant.server.finding(pool(), 1)
    assert finding.phase is Phase.FAILED
    assert finding.message
    assert "registry.example.com/broken/vision:3.13.2" in finding.message
    assert plant.server.finding(pool(), 2).phase is Phase.AVAILABLE
    status = await plant.status()
    assert (status["adapters"], status["Ready"]["reason"]) == ("1/2", "AdaptersFailing")
    assert len(await plant.events("Failed")) == 1


async def test_what_the_cluster_refuses_is_that_adapter_s_failure_and_the_others_go_on(plant: Plant) -> None:
    def second(request: Request) -> bool:
        return request.operation == "apply" and rt_id(0xB002) in str(request.name)

    plant.cluster.fail_next(second, QUOTA, times=3)
    plant.server.wishing(pool(), adapter(1), adapter(2), adapter(3))
    plant.cluster.put(resource())
    await plant.settle(within=5)
    assert plant.server.finding(pool(), 2).phase is Phase.FAILED
    assert "exceeded quota" in (plant.server.finding(pool(), 2).message or "")
    assert plant.server.finding(pool(), 3).phase is Phase.AVAILABLE
    await plant.settle()
    assert plant.server.finding(pool(), 2).phase is Phase.AVAILABLE


async def test_what_the_operator_may_not_do_is_in_the_status(plant: Plant) -> None:
    forbidden = ClusterRefused(403, "Forbidden", 'pods is forbidden: User "octo" cannot list resource "pods"')
    plant.cluster.fail_next(of_pods, forbidden, times=3)
    plant.server.wishing(pool(), adapter(1))
    plant.cluster.put(resource())
    await plant.settle(within=1)
    assert "cannot list" in (await plant.status())["Registered"]["message"]
    assert plant.server.finding(pool()).phase is Phase.FAILED
    assert "cannot list" in (plant.server.finding(pool()).message or "")
    await plant.settle()
    assert plant.server.finding(pool()).phase is Phase.AVAILABLE
    assert (await plant.status())["Registered"]["status"] == "True"


# What the cluster wants otherwise


def own_image(object: Object) -> None:
    """A webhook that takes images from a mirror."""
    if object["kind"] == "Deployment":
        object["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror.example.com/opcua:3.13.2"


async def test_what_the_cluster_sets_differently_at_once_is_told_and_not_mended(plant: Plant) -> None:
    plant.cluster.admission = own_image
    plant.server.wishing(pool(), adapter(1))
    plant.cluster.put(resource())
    await plant.settle()
    finding = plant.server.finding(pool())
    assert finding.phase is Phase.AVAILABLE
    assert "sets spec.template.spec.containers[adapter].image of the Deployment differently" in (finding.message or "")
    writes = plant.writes
    await plant.settle(within=3_600)
    assert plant.writes == writes
    assert len(await plant.events("Overruled")) == 1
    assert await plant.events("Mended") == []


async def test_a_webhook_that_takes_the_mark_away_is_tolerated_too(plant: Plant) -> None:
    plant.cluster.admission = lambda object: object["metadata"].pop("annotations")
    await serving(plant, 1)
    writes = plant.writes
    await plant.settle(within=3_600)
    assert plant.writes == writes


async def test_another_change_of_what_the_cluster_sets_is_mended(plant: Plant) -> None:
    plant.cluster.admission = own_image
    await serving(plant, 1)
    [deployment] = await plant.all(Kind.DEPLOYMENT)

    def bent(object: Object) -> None:
        object["spec"]["template"]["spec"]["containers"][0]["image"] = "evil.example.com/miner:1"

    plant.cluster.edit(Kind.DEPLOYMENT, NAMESPACE, deployment["metadata"]["name"], bent)
    await plant.settle()
    [mended] = await plant.all(Kind.DEPLOYMENT)
    assert mended["spec"]["template"]["spec"]["containers"][0]["image"] == "mirror.example.com/opcua:3.13.2"


async def test_a_cluster_that_lets_nothing_run_is_a_failure(plant: Plant) -> None:
    def paused(object: Object) -> None:
        if object["kind"] == "Deployment":
            object["spec"]["replicas"] = 0

    plant.cluster.admission = paused
    plant.server.wishing(pool(), adapter(1))
    plant.cluster.put(resource())
    await plant.settle()
    assert plant.server.finding(pool()).phase is Phase.FAILED
    assert "sets spec.replicas of the Deployment differently" in (plant.server.finding(pool()).message or "")


async def test_what_somebody_changes_again_and_again_is_mended_more_and_more_seldom_and_told(plant: Plant) -> None:
    await serving(plant, 1)
    [deployment] = await plant.all(Kind.DEPLOYMENT)
    applied = plant.cluster.requests["apply"]

    def scaled(object: Object) -> None:
        object["spec"]["replicas"] = 3

    seen = []
    for _ in range(100):
        plant.cluster.edit(Kind.DEPLOYMENT, NAMESPACE, deployment["metadata"]["name"], scaled, "keda")
        await plant.settle(within=2)
        plant.seconds += 2
        seen.append(plant.server.finding(pool()))
    assert 6 <= plant.cluster.requests["apply"] - applied <= 12
    failed = [finding for finding in seen if finding.phase is Phase.FAILED]
    assert len(failed) > 80  # between them it has just been put right
    assert (failed[-1].message or "").startswith("Again and again, spec.replicas had been changed by 'keda'.")
    await plant.settle(within=120)
    assert plant.server.finding(pool()).phase is Phase.AVAILABLE
    assert plant.server.finding(pool()).message is None


async def test_what_runs_is_not_told_to_fail_because_it_can_not_be_looked_at(plant: Plant) -> None:
    await serving(plant, 1)
    reports = len(plant.server.reports)
    plant.cluster.fail_next(of_pods, ClusterRefused(403, "Forbidden", "cannot list pods"), times=3)
    await plant.look_again()
    assert "cannot list" in (await plant.status())["Registered"]["message"]
    assert len(plant.server.reports) == reports


async def test_pools_in_many_namespaces_need_no_watch_of_their_own(plant: Plant) -> None:
    for number in range(1, 201):
        plant.server.wishing(pool(number))
        plant.cluster.put(resource(pool(number), namespace=f"place-{number}"))
    await plant.settle()
    assert len(plant.server.claims) == 200
    assert plant.cluster.watches == 6


# The server


async def test_without_a_lease_nothing_is_applied(plant: Plant) -> None:
    plant.server.leased = False
    plant.server.wishing(pool(), adapter(1))
    plant.cluster.put(resource())
    await plant.settle()
    assert await plant.all(Kind.DEPLOYMENT) == []
    plant.server.leased = True
    await plant.settle()
    assert plant.server.finding(pool()).phase is Phase.AVAILABLE


async def test_a_session_that_ends_between_asking_and_applying_applies_nothing(plant: Plant) -> None:
    await serving(plant, 1)
    before = await plant.versions()
    plant.server.wishing(pool(), adapter(1, image_version="4", generation=2))
    plant.server.before_answer = lambda: setattr(plant.server, "leased", False)
    await plant.look_again()
    await plant.settle(within=10)
    assert await plant.versions() == before


async def test_a_server_that_is_away_is_told_in_the_status_and_everything_goes_on_running(plant: Plant) -> None:
    await serving(plant, 1)
    before = await plant.versions()
    plant.server.go_down()
    await plant.look_again()
    status = await plant.status()
    assert (status["Registered"]["status"], status["Registered"]["reason"]) == ("False", "ServerUnreachable")
    assert await plant.versions() == before
    plant.server.come_back()
    await plant.look_again()
    assert (await plant.status())["Registered"]["status"] == "True"


async def test_a_link_that_breaks_for_a_moment_does_not_show_in_the_status(plant: Plant) -> None:
    await serving(plant, 1)
    writes = plant.writes
    plant.server.go_down(for_long=False)
    await plant.look_again()
    plant.server.come_back()
    await plant.settle()
    assert plant.writes == writes


async def test_a_pool_that_another_operator_serves_is_tried_again_and_then_taken(plant: Plant) -> None:
    plant.server.wishing(pool(), adapter(1))
    plant.server.refusal = AgentRefused(AgentErrorCode.POOL_SERVED_BY_ANOTHER, "The operator 'west' serves it.")
    plant.cluster.put(resource())
    await plant.settle(within=1)
    status = await plant.status()
    assert status["Registered"]["reason"] == "ServedByAnotherOperator"
    assert "'west'" in status["Registered"]["message"]
    plant.server.refusal = None
    await plant.settle(within=20)
    assert plant.server.finding(pool()).phase is Phase.AVAILABLE


async def test_a_pool_that_does_not_exist_any_more_leaves_everything_running(plant: Plant) -> None:
    await serving(plant, 1)
    before = await plant.versions()
    plant.server.refusal = AgentRefused(AgentErrorCode.NOT_FOUND, "There is no pool.")
    await plant.look_again()
    await plant.settle()
    assert await plant.versions() == before
    assert (await plant.status())["Registered"]["reason"] == "NotFound"


# The lead


async def test_who_has_lost_the_lead_while_it_was_frozen_writes_nothing_any_more(plant: Plant) -> None:
    await serving(plant, 1)
    writes = plant.writes
    plant.server.wishing(pool(), adapter(1, image_version="4", generation=2), adapter(2))
    plant.server.before_answer = lambda: setattr(plant, "leads", False)
    await plant.look_again()
    await plant.settle(within=10)
    assert plant.writes == writes


async def test_who_has_lost_the_lead_deletes_nothing_of_a_resource_that_goes(plant: Plant) -> None:
    await serving(plant, 1)
    plant.server.before_answer = lambda: setattr(plant, "leads", False)
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle(within=200)
    assert len(await plant.all(Kind.DEPLOYMENT)) == 1
    assert len(await plant.all(Kind.COMMUNICATION_POOL)) == 1


# A spec that is changed


def renamed(object: Object) -> None:
    object["spec"]["poolRtId"] = pool(2).rt_id


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_spec_that_names_another_pool_is_refused_and_the_pool_released(plant: Plant, restarted: bool) -> None:
    await serving(plant, 1)
    plant.server.wishing(pool(2), adapter(2))
    if restarted:
        plant.start_operator()
        plant.server.come_back()
    plant.cluster.edit(Kind.COMMUNICATION_POOL, *key_of(resource()), renamed)
    plant.reconciler.begin(await plant.all(Kind.COMMUNICATION_POOL))
    await plant.settle()
    assert "can't be changed" in (await plant.status())["Registered"]["message"]
    assert pool(2) not in plant.server.claims
    assert plant.server.claims.get(pool()) != plant.server.session
    assert set(await plant.versions()) == {rt_id(0xB001)}

    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    plant.queue.add(key_of(resource()))
    await plant.settle()
    assert await plant.all(Kind.DEPLOYMENT) == []
    assert await plant.all(Kind.COMMUNICATION_POOL) == []
    assert plant.server.finding(pool()).phase is Phase.GONE


async def test_a_spec_that_is_changed_back_is_served_again(plant: Plant) -> None:
    await serving(plant, 1)
    plant.cluster.edit(Kind.COMMUNICATION_POOL, *key_of(resource()), renamed)
    await plant.settle()
    plant.cluster.put(resource())
    await plant.settle()
    assert plant.server.claims[pool()] == plant.server.session
    assert (await plant.status())["Registered"]["status"] == "True"


async def test_a_spec_that_was_never_served_may_be_put_right(plant: Plant) -> None:
    plant.server.wishing(pool(2), adapter(2))
    plant.cluster.put(resource())
    await plant.settle(within=5)
    assert (await plant.status())["Registered"]["reason"] == "NotFound"
    plant.cluster.edit(Kind.COMMUNICATION_POOL, *key_of(resource()), renamed)
    await plant.settle()
    assert plant.server.finding(pool(2), 2).phase is Phase.AVAILABLE
    assert plant.reconciler.charges.holder(pool()) is None


async def test_a_resource_without_a_status_is_told_to_be_in_progress_before_its_pool_is_claimed(plant: Plant) -> None:
    plant.server.wishing(pool(), adapter(1))
    plant.cluster.put(resource())
    plant.queue.add(key_of(resource()))
    await plant.settle(within=0)
    assert (await plant.status())["communicationStatus"] == "In Progress"
    assert plant.server.claims == {}


async def test_a_status_that_reads_the_same_is_logged_once(plant: Plant) -> None:
    with capture_logs() as logged:
        await serving(plant, 1, 2, 3)
    said = [(each["says"], each["ready"]) for each in logged if each["event"] == "status"]
    assert len(said) == len(set(said))
    assert said[-1] == ("Serving the pool 'North'.", "True")


# Two resources of one pool


async def test_a_second_resource_for_a_pool_is_refused_and_serves_when_the_first_is_gone(plant: Plant) -> None:
    await serving(plant, 1)
    second = resource(name="second", namespace="west")
    plant.cluster.put(second)
    await plant.settle()
    status = await plant.status(second)
    assert status["Registered"]["reason"] == "Duplicate"
    assert f"{NAMESPACE}/acme-{pool().rt_id}" in status["Registered"]["message"]
    assert await plant.all(Kind.DEPLOYMENT, "west") == []
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle()
    assert await plant.all(Kind.DEPLOYMENT) == []
    assert len(await plant.all(Kind.DEPLOYMENT, "west")) == 1
    assert plant.server.finding(pool()).phase is Phase.AVAILABLE
    assert plant.server.claims[pool()] == plant.server.session


async def test_deleting_the_second_resource_does_not_touch_the_first(plant: Plant) -> None:
    await serving(plant, 1)
    before = await plant.versions()
    plant.cluster.put(resource(name="second"))
    await plant.settle()
    plant.cluster.remove(Kind.COMMUNICATION_POOL, NAMESPACE, "second")
    await plant.settle()
    assert await plant.versions() == before
    assert plant.server.released == []
    assert [each["metadata"]["name"] for each in await plant.all(Kind.COMMUNICATION_POOL)] == [f"acme-{pool().rt_id}"]


# Deletion that is in trouble


async def test_deleting_works_without_the_server_which_is_told_when_it_is_back(plant: Plant) -> None:
    await serving(plant, 1)
    plant.server.go_down()
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle(within=30)
    assert await plant.all(Kind.DEPLOYMENT) == []
    assert len(await plant.all(Kind.COMMUNICATION_POOL)) == 1
    await plant.settle(within=45)
    assert await plant.all(Kind.COMMUNICATION_POOL) == []
    assert plant.server.released == []
    plant.server.come_back()
    await plant.settle()
    assert plant.server.released == [pool()]
    assert plant.server.finding(pool()).phase is Phase.GONE
    assert len(plant.reconciler.charges) == 0


async def test_a_resource_that_vanishes_without_our_finalizer_is_released_when_nothing_is_left(plant: Plant) -> None:
    await serving(plant, 1)

    def let_go(object: Object) -> None:
        object["metadata"]["finalizers"] = []

    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    plant.cluster.edit(Kind.COMMUNICATION_POOL, *key_of(resource()), let_go)
    await plant.settle()
    assert await plant.all(Kind.POD) == []
    assert plant.server.finding(pool()).phase is Phase.GONE
    assert plant.server.released == [pool()]


async def test_a_pool_served_again_before_its_release_was_told_is_not_released(plant: Plant) -> None:
    await serving(plant, 1)
    plant.server.go_down()
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle(within=75)
    plant.cluster.put(resource(name="again"))
    plant.server.come_back()
    await plant.settle()
    assert plant.server.released == []
    assert plant.server.finding(pool()).phase is Phase.AVAILABLE


async def test_what_can_not_be_removed_does_not_keep_the_resource_for_ever(plant: Plant) -> None:
    await serving(plant, 1)
    forbidden = ClusterRefused(403, "Forbidden", "cannot delete resource deployments")
    plant.cluster.fail_next("delete", forbidden, times=1000)
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    begin = plant.seconds
    await plant.settle(within=50)
    assert len(await plant.all(Kind.COMMUNICATION_POOL)) == 1
    assert "the Deployment 'octo-" in (await plant.status())["Registered"]["message"]
    await plant.settle(within=30)
    assert plant.seconds - begin < 90
    assert await plant.all(Kind.COMMUNICATION_POOL) == []
    [told] = await plant.events("LeftBehind")
    assert "the Deployment 'octo-" in told
    finding = plant.server.finding(pool())
    assert finding.phase is Phase.FAILED
    assert "left behind" in (finding.message or "")
    assert plant.server.released == [pool()]


async def test_a_cluster_that_can_not_be_listed_does_not_keep_the_resource_for_ever(plant: Plant) -> None:
    await serving(plant, 1)
    plant.cluster.fail_next(of_pods, ClusterUnavailable("etcd is slow"), times=1000)
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle(within=200)
    assert await plant.all(Kind.COMMUNICATION_POOL) == []
    assert "etcd is slow" in (await plant.events("LeftBehind"))[0]


async def test_another_s_finalizer_keeps_the_resource_but_not_what_was_made_for_it(plant: Plant) -> None:
    kept = resource()
    kept["metadata"]["finalizers"] = ["example.com/audit"]
    plant.server.wishing(pool(), adapter(1))
    plant.cluster.put(kept)
    await plant.settle()
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(kept))
    await plant.settle()
    [left] = await plant.all(Kind.COMMUNICATION_POOL)
    assert left["metadata"]["finalizers"] == ["example.com/audit"]
    assert await plant.all(Kind.DEPLOYMENT) == []


async def test_a_resource_deleted_and_made_again_is_served_anew(plant: Plant) -> None:
    await serving(plant, 1)
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle()
    plant.cluster.put(resource())
    await plant.settle()
    assert plant.server.finding(pool()).phase is Phase.AVAILABLE
    [served] = await plant.all(Kind.COMMUNICATION_POOL)
    assert FINALIZER in served["metadata"]["finalizers"]


# The last word


async def test_what_was_deleted_while_nobody_could_be_told_is_told_also_by_another_process(plant: Plant) -> None:
    await serving(plant, 1)
    plant.server.go_down()
    plant.start_operator()
    plant.reconciler.begin(await plant.all(Kind.COMMUNICATION_POOL))
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    plant.queue.add(key_of(resource()))
    await plant.settle(within=30)
    assert await plant.all(Kind.DEPLOYMENT) == []
    assert "waits for the server" in (await plant.status())["Registered"]["message"]
    plant.server.come_back()
    await plant.settle(within=30)
    assert plant.server.finding(pool()).phase is Phase.GONE
    assert plant.server.released == [pool()]
    assert await plant.all(Kind.COMMUNICATION_POOL) == []


async def test_a_last_report_that_fails_is_made_again_before_the_pool_is_released(plant: Plant) -> None:
    await serving(plant, 1)
    plant.server.failing_reports.append((Phase.GONE, ServerUnavailable("too busy")))
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle()
    assert plant.server.failing_reports == []
    assert plant.server.finding(pool()).phase is Phase.GONE
    assert plant.server.released == [pool()]
    assert await plant.all(Kind.COMMUNICATION_POOL) == []


async def test_a_claim_that_was_swept_before_the_last_word_is_made_again(plant: Plant) -> None:
    await serving(plant, 1)
    plant.server.claims.clear()
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle()
    assert plant.server.finding(pool()).phase is Phase.GONE
    assert plant.server.released == [pool()]


@pytest.mark.parametrize("code", [AgentErrorCode.NOT_FOUND, AgentErrorCode.POOL_SERVED_BY_ANOTHER])
async def test_a_server_that_does_not_wait_for_a_word_is_not_waited_for(plant: Plant, code: AgentErrorCode) -> None:
    await serving(plant, 1)
    plant.server.refusal = AgentRefused(code, "No.")
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle(within=10)
    assert await plant.all(Kind.COMMUNICATION_POOL) == []
    assert len(plant.reconciler.charges) == 0


async def test_a_cluster_that_can_not_be_asked_is_told_of_every_adapter(plant: Plant) -> None:
    await serving(plant, 1)
    plant.cluster.fail_next(of_pods, ClusterUnavailable("etcd is slow"), times=1000)
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle(within=200)
    assert plant.server.finding(pool()).phase is Phase.FAILED
    assert "etcd is slow" in (plant.server.finding(pool()).message or "")


async def test_what_belongs_to_another_and_stays_is_named_in_the_last_word(plant: Plant) -> None:
    await serving(plant, 1)
    other = plant.cluster.put(resource(pool(2), name="other"))
    [deployment] = await plant.all(Kind.DEPLOYMENT)

    def taken(object: Object) -> None:
        object["metadata"]["ownerReferences"][0] |= {"uid": other["metadata"]["uid"], "name": "other"}
        object["spec"]["replicas"] = 0

    edit_before_the_last_look(plant, deployment, taken)
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle()
    message = plant.server.finding(pool()).message or ""
    assert "was deleted, but not all of it is gone." in message
    assert "'other'" in message
    assert len(await plant.all(Kind.DEPLOYMENT)) == 1


async def test_what_lost_its_owner_is_waited_for_like_the_rest(plant: Plant) -> None:
    await serving(plant, 1)
    [deployment] = await plant.all(Kind.DEPLOYMENT)
    edit_before_the_last_look(plant, deployment, lambda each: each["metadata"].pop("ownerReferences"))
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource()))
    await plant.settle()
    assert plant.server.finding(pool()).phase is Phase.GONE
    assert await plant.all(Kind.DEPLOYMENT) == []


def edit_before_the_last_look(plant: Plant, deployment: Object, change: Callable[[Object], object]) -> None:
    """Somebody changes it after the server was asked and before the cluster is."""

    def changed(object: Object) -> None:
        change(object)

    def edit() -> None:
        plant.server.before_answer = lambda: None
        plant.cluster.edit(Kind.DEPLOYMENT, NAMESPACE, deployment["metadata"]["name"], changed)

    plant.server.before_answer = edit


async def test_a_resource_that_shows_up_again_has_not_been_gone(plant: Plant) -> None:
    await serving(plant, 1)
    key = key_of(resource())
    resources = await plant.all(Kind.COMMUNICATION_POOL)
    charge = plant.reconciler.charges.get(key)
    assert charge
    charge.gone, charge.deleting_since = True, 0.0  # as after an answer that was wrong
    plant.reconciler.begin(resources)
    assert not charge.gone
    assert charge.deleting_since is None


# Faults


async def test_a_conflict_is_looked_at_again(plant: Plant) -> None:
    plant.cluster.fail_next("set_finalizers", ClusterRefused(409, "Conflict", "it was changed"), times=3)
    plant.cluster.fail_next("apply", ClusterRefused(409, "Conflict", "it was changed"), times=3)
    await serving(plant, 1)
    assert plant.results.count("refused") == 3
    assert plant.results.count("waiting") == 3


async def test_a_cluster_that_asks_for_time_gets_it(plant: Plant) -> None:
    plant.cluster.fail_next("get", ClusterUnavailable("too many requests", retry_after=40))
    plant.server.wishing(pool(), adapter(1))
    plant.cluster.put(resource())
    begin = plant.seconds
    await plant.settle()
    assert plant.seconds - begin >= 40
    assert plant.server.finding(pool()).phase is Phase.AVAILABLE


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_fails_now_and_then_in_the_end_everything_is_as_wished(plant: Plant, seed: int) -> None:
    chance, rates = random.Random(seed), [0.04]
    for error in (
        ClusterUnavailable("slow down", retry_after=1),
        ClusterUnavailable("internal error"),
        ClusterRefused(409, "Conflict", "it was changed"),
    ):
        plant.cluster.fail_next(
            lambda request: chance.random() < rates[0], error, times=1_000, after=error.args[0] == "internal error"
        )
    pools = [pool(number) for number in range(1, 6)]
    for number, one in enumerate(pools):
        plant.server.wishing(one, *(adapter(number * 10 + i) for i in range(4)))
        plant.cluster.put(resource(one))
    await plant.settle(within=20)
    plant.cluster.drop_watches()
    plant.cluster.compact()
    for one in pools:
        first, *others = plant.server.wishes[one].adapters
        plant.server.wishing(one, without(first), *(replace(each, image_version="4", generation=2) for each in others))
    plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource(pools[0])))
    await plant.look_again()
    await plant.settle(within=60)
    assert len(set(plant.results)) > 1
    rates[0] = 0
    await plant.settle(within=120)
    phases = plant.server.phases()
    for number, one in enumerate(pools[1:], start=1):
        expected = [Phase.GONE, Phase.AVAILABLE, Phase.AVAILABLE, Phase.AVAILABLE]
        assert [phases[one, rt_id(0xB000 + number * 10 + i)] for i in range(4)] == expected
    assert len(await plant.all(Kind.DEPLOYMENT)) == 12
    assert len(await plant.all(Kind.COMMUNICATION_POOL)) == 4


async def test_changes_while_the_watches_were_broken_are_noticed(plant: Plant) -> None:
    await serving(plant, 1)
    plant.cluster.drop_watches()
    [deployment] = await plant.all(Kind.DEPLOYMENT)
    plant.cluster.remove(Kind.DEPLOYMENT, NAMESPACE, deployment["metadata"]["name"])
    await plant.settle(within=5)
    assert len(await plant.all(Kind.DEPLOYMENT)) == 1


# Many


async def test_many_adapters_in_many_pools_run_and_are_then_left_alone(plant: Plant) -> None:
    pools = [pool(number) for number in range(1, 11)]
    for number, one in enumerate(pools):
        plant.server.wishing(one, *(adapter(number * 20 + i) for i in range(20)))
        plant.cluster.put(resource(one))
    await plant.settle()
    phases = plant.server.phases()
    assert len(phases) == 200
    assert set(phases.values()) == {Phase.AVAILABLE}
    writes, reports = plant.writes, len(plant.server.reports)
    await plant.look_again()
    assert (plant.writes, len(plant.server.reports)) == (writes, reports)
