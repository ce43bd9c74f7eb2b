"""What becomes of a wish: each folder in golden/ has a wish.yaml, and the manifests.yaml it becomes.

After a change that is meant, write the manifests anew and read the difference before it is committed:

    REWRITE_GOLDEN_FILES=1 pytest tests/operator/test_manifests.py
"""

from __future__ import annotations

import base64
import copy
import difflib
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from octomesh_graphql.domain.resource import ADAPTER_RT_ID, FIELD_MANAGER, POOL_NAME, TENANT, WISH, WORKLOAD_NAME
from octomesh_graphql.domain.states import AdapterType
from octomesh_graphql.domain.wish import PoolWish, WishedAdapter
from octomesh_graphql.operator.cluster import Object
from octomesh_graphql.operator.manifests import (
    CONFIGURATION_CHECKSUM,
    RESOURCES,
    Broker,
    Place,
    PlaceSettings,
    labels_of,
    manifests,
    place_of,
)
from tests.operator.objects import a_place, a_resource, a_wish, a_wished_adapter

GOLDEN = Path(__file__).with_name("golden")
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/wish.yaml"))
Given: TypeAlias = tuple[PoolWish, WishedAdapter, Place]

each_case = pytest.mark.parametrize("case", CASES)


class _Dumper(yaml.SafeDumper):
    """Without anchors: what is written twice is read twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def given_in(case: str) -> Given:
    given = yaml.safe_load((GOLDEN / case / "wish.yaml").read_text(encoding="utf-8"))
    adapter = WishedAdapter(**{**given["adapter"], "type": AdapterType[given["adapter"]["type"]]})
    wish = PoolWish(**given["pool"], adapters=(adapter,))
    operator = given["operator"]
    broker = Broker(**operator["broker"]) if "broker" in operator else None
    secrets = tuple(operator.get("image_pull_secrets", ()))
    settings = PlaceSettings(server_url=operator["server_url"], image_pull_secrets=secrets, broker=broker)
    return wish, adapter, place_of(given["resource"], settings)


def rendered(case: str) -> list[Object]:
    return manifests(*given_in(case))


def the(kind: str, objects: list[Object]) -> Object:
    (object,) = [each for each in objects if each["kind"] == kind]
    return object


def deployment_of(adapter: WishedAdapter, place: Place | None = None, **pool: Any) -> Object:
    return the("Deployment", manifests(a_wish(adapter, **pool), adapter, place or a_place()))


def container_of(deployment: Object) -> dict[str, Any]:
    container: dict[str, Any]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


@each_case
def test_a_wish_becomes_its_manifests(case: str) -> None:
    path = GOLDEN / case / "manifests.yaml"
    objects = rendered(case)
    text = yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    if os.environ.get("REWRITE_GOLDEN_FILES") == "1":
        path.write_text(text, encoding="utf-8")
        pytest.skip("written anew; read the difference")
    expected = path.read_text(encoding="utf-8")
    lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), str(path), "as rendered", lineterm="")
    assert text == expected, "\n".join(["", *lines])


# Names and labels


@each_case
def test_names_and_labels_are_what_kubernetes_takes(case: str) -> None:
    for object in rendered(case):
        name, metadata = object["metadata"]["name"], object["metadata"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
        assert len(f"{name}-0123456789-01234") <= 63, "a pod's name is its hostname"
        for key, value in metadata["labels"].items():
            assert re.fullmatch(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", key)
            assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", value)


@each_case
def test_objects_are_found_by_the_labels_of_their_pool_and_go_with_it(case: str) -> None:
    wish, _, place = given_in(case)
    for object in rendered(case):
        assert labels_of(wish.tenant_id, wish.pool_rt_id).items() <= object["metadata"]["labels"].items()
        assert object["metadata"]["namespace"] == place.namespace == place.owner["metadata"]["namespace"]
        (reference,) = object["metadata"]["ownerReferences"]
        assert reference["uid"] == place.owner["metadata"]["uid"]


@pytest.mark.parametrize(("one", "other"), [("acme", "acme-2"), ("a" * 38, "a" * 37 + "b"), ("0", "00")])
def test_tenants_with_the_same_rt_ids_never_share_a_name(one: str, other: str) -> None:
    adapter = a_wished_adapter(configuration={"a": 1}, port=80)
    names = [
        {(each["kind"], each["metadata"]["name"]) for each in manifests(a_wish(tenant_id=id), adapter, a_place())}
        for id in (one, other)
    ]
    assert len(names[0]) == len(names[1]) == 3
    assert not names[0] & names[1]


def test_a_service_and_a_deployment_choose_the_pods_of_their_adapter_only() -> None:
    objects = rendered("port_and_health_path")
    labels = the("Deployment", objects)["spec"]["template"]["metadata"]["labels"]
    selector = the("Service", objects)["spec"]["selector"]
    assert selector == the("Deployment", objects)["spec"]["selector"]["matchLabels"]
    assert set(selector) == {TENANT, ADAPTER_RT_ID}
    assert selector.items() <= labels.items()


# What changes what


def test_a_rename_changes_the_top_objects_and_no_pod() -> None:
    before = deployment_of(a_wished_adapter(name="OPC UA"), pool_name="North")
    after = deployment_of(a_wished_adapter(name="Öfen 🐙"), pool_name="Süd")
    assert before["spec"] == after["spec"]
    annotations = after["metadata"]["annotations"]
    assert (annotations[WORKLOAD_NAME], annotations[POOL_NAME]) == ("Öfen 🐙", "Süd")
    assert before["metadata"]["annotations"][WISH] != annotations[WISH]


def test_a_new_configuration_changes_the_pod_and_the_same_one_in_another_order_does_not() -> None:
    def template(configuration: Any) -> dict[str, Any]:
        pod: dict[str, Any] = deployment_of(a_wished_adapter(configuration=configuration))["spec"]["template"]
        return pod

    assert template({"a": 1, "b": {"c": 2, "d": 3}}) == template({"b": {"d": 3, "c": 2}, "a": 1})
    checksums = [
        template(each)["metadata"]["annotations"][CONFIGURATION_CHECKSUM] for each in ({"a": 1}, {"a": True}, {}, False)
    ]
    assert len(set(checksums)) == 4


def test_another_generation_of_the_same_wish_changes_nothing() -> None:
    assert deployment_of(a_wished_adapter(generation=1)) == deployment_of(a_wished_adapter(generation=2))


def test_the_mark_of_an_object_is_of_all_that_is_in_it() -> None:
    adapter = a_wished_adapter(configuration={"a": 1}, port=8080)
    others = [
        (a_wished_adapter(configuration={"a": 2}, port=8080), a_place(), {"Secret", "Deployment"}),
        (a_wished_adapter(configuration={"a": 1}, port=8081), a_place(), {"Service", "Deployment"}),
        (replace(adapter, image_version="4"), a_place(), {"Deployment"}),
        (adapter, a_place(image_pull_secrets=("login",)), {"Deployment"}),
        (adapter, a_place(a_resource(uid="another")), {"Secret", "Service", "Deployment"}),
    ]
    marks = {each["kind"]: each["metadata"]["annotations"][WISH] for each in manifests(a_wish(), adapter, a_place())}
    assert all(re.fullmatch("[0-9a-f]{16}-[0-9a-f]{16}", mark) for mark in marks.values())
    for changed, place, kinds in others:
        now = {each["kind"]: each["metadata"]["annotations"][WISH] for each in manifests(a_wish(), changed, place)}
        assert {kind for kind, mark in now.items() if mark != marks[kind]} == kinds


# The adapter


def test_the_configuration_arrives_as_it_was_written() -> None:
    _, adapter, _ = given_in("configuration_with_umlauts")
    secret = the("Secret", rendered("configuration_with_umlauts"))
    file = base64.b64decode(secret["data"]["configuration.json"]).decode()
    assert json.loads(file) == adapter.configuration
    assert "Brückenwaage Süd" in file
    container = container_of(the("Deployment", rendered("configuration_with_umlauts")))
    (mount,) = container["volumeMounts"]
    assert mount["readOnly"]
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env["OCTO_ADAPTER__CONFIGURATIONFILE"] == f"{mount['mountPath']}/configuration.json"


@pytest.mark.parametrize("configuration", [{}, [], "", 0, False])
def test_an_empty_configuration_is_one_and_none_is_none(configuration: Any) -> None:
    kinds = [each["kind"] for each in manifests(a_wish(), a_wished_adapter(configuration=configuration), a_place())]
    assert kinds == ["Secret", "Deployment"]
    without = deployment_of(a_wished_adapter(configuration=None))
    assert "volumes" not in without["spec"]["template"]["spec"]
    assert "OCTO_ADAPTER__CONFIGURATIONFILE" not in [each["name"] for each in container_of(without)["env"]]


def test_a_process_that_nobody_probes_must_run_a_while_to_count() -> None:
    assert deployment_of(a_wished_adapter())["spec"]["minReadySeconds"] > 0
    assert deployment_of(a_wished_adapter(port=80))["spec"]["minReadySeconds"] > 0
    probed = deployment_of(a_wished_adapter(port=80, health_path="/"))
    assert "minReadySeconds" not in probed["spec"]
    assert {"readinessProbe", "livenessProbe"} <= container_of(probed).keys()


def test_no_secret_of_the_broker_is_written_into_a_deployment() -> None:
    env = container_of(the("Deployment", rendered("broker_and_own_resources")))["env"]
    login = {each["name"]: each for each in env if each["name"].endswith(("USERNAME", "PASSWORD"))}
    assert len(login) == 2
    assert all("value" not in each for each in login.values())
    assert {each["valueFrom"]["secretKeyRef"]["key"] for each in login.values()} == {"brokerusername", "brokerpassword"}


# The place


def test_a_pool_that_says_nothing_gets_what_holds_for_the_operator() -> None:
    place = a_place(image_pull_secrets=("operator-wide",))
    assert (place.image_pull_secrets, place.resources) == (("operator-wide",), RESOURCES)


def test_what_a_pool_says_holds_instead_and_as_a_whole() -> None:
    resource = a_resource(imagePullSecrets=[{"name": "own"}], resources={"limits": {"memory": "64Mi"}})
    place = a_place(resource, image_pull_secrets=("operator-wide",))
    assert (place.image_pull_secrets, place.resources) == (("own",), {"limits": {"memory": "64Mi"}})
    assert a_place(a_resource(imagePullSecrets=[]), image_pull_secrets=("operator-wide",)).image_pull_secrets == ()


# Pod Security Standard "restricted", field by field

ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def restricted_faults(pod: dict[str, Any]) -> set[str]:
    """What the standard forbids and this pod has."""
    faults: set[str] = {name for name in ("hostNetwork", "hostPID", "hostIPC", "ephemeralContainers") if name in pod}
    for volume in pod.get("volumes", ()):
        faults |= {f"volume {name}" for name in volume.keys() - {"name"} - ALLOWED_VOLUMES}
    containers = [*pod.get("initContainers", ()), *pod["containers"]]
    for context in (pod["securityContext"], *(each["securityContext"] for each in containers)):
        faults |= _context_faults(context)
    for container in containers:
        faults |= _container_faults(container)
    return faults


def _context_faults(context: dict[str, Any]) -> set[str]:
    own = {"seLinuxOptions", "windowsOptions", "sysctls", "appArmorProfile", "procMount", "privileged"}
    faults = own & context.keys()
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
        faults.add("root")
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        faults.add("seccompProfile")
    return faults


def _container_faults(container: dict[str, Any]) -> set[str]:
    context, faults = container["securityContext"], set()
    if context.get("allowPrivilegeEscalation") is not False:
        faults.add("allowPrivilegeEscalation")
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        faults.add("capabilities")
    if any("hostPort" in port for port in container.get("ports", ())):
        faults.add("hostPort")
    probes = [container.get(name, {}) for name in ("readinessProbe", "livenessProbe", "startupProbe", "lifecycle")]
    if any("host" in probe.get("httpGet", {}) for probe in probes):
        faults.add("probe of another host")
    return faults


@each_case
def test_a_pod_passes_the_restricted_standard(case: str) -> None:
    pod = the("Deployment", rendered(case))["spec"]["template"]["spec"]
    assert restricted_faults(pod) == set()
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda pod: pod.update(hostNetwork=True), "hostNetwork"),
        (lambda pod: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}), "volume hostPath"),
        (lambda pod: pod["securityContext"].pop("runAsNonRoot"), "root"),
        (lambda pod: pod["containers"][0]["securityContext"].pop("seccompProfile"), "seccompProfile"),
        (
            lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
            "allowPrivilegeEscalation",
        ),
        (lambda pod: pod["containers"][0]["securityContext"].pop("capabilities"), "capabilities"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_pod_that_would_not_pass_is_noticed(spoil: Any, fault: str) -> None:
    pod = copy.deepcopy(the("Deployment", rendered("long_tenant_and_emoji"))["spec"]["template"]["spec"])
    spoil(pod)
    assert restricted_faults(pod) == {fault}


def test_everything_says_who_looks_after_it() -> None:
    for case in CASES:
        for object in rendered(case):
            assert object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == FIELD_MANAGER
