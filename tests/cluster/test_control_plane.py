"""The Kubernetes of these tests is a real one where it matters to the operator."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from kubernetes_asyncio.client import (
    ApiClient,
    ApiException,
    ApiextensionsV1Api,
    AppsV1Api,
    CoreV1Api,
    CustomObjectsApi,
    RbacAuthorizationV1Api,
)
from kubernetes_asyncio.config import new_client_from_config
from kubernetes_asyncio.watch import Watch

from tests.cluster.control_plane import ControlPlane, ControlPlaneError, find_programs
from tests.cluster.control_plane import control_plane as a_control_plane
from tests.cluster.eventually import eventually, gone
from tests.cluster.kubelet import (
    Fate,
    Kubelet,
    crash_loop,
    image_pull_back_off,
    out_of_memory,
    ready,
    running_unready,
    unschedulable,
)

# Any, because their types know neither plain dicts as bodies nor `_content_type`.
Api = Any
APPLY = "application/apply-patch+yaml"
GROUP = "test.octomesh.example"


@pytest.fixture
def apps(api_client: ApiClient) -> Api:
    return AppsV1Api(api_client)


@pytest.fixture
def core(api_client: ApiClient) -> Api:
    return CoreV1Api(api_client)


@pytest.fixture(scope="session")
async def boats(api_client: ApiClient) -> Api:
    """Custom resources with a pattern, and with a status of their own."""
    text = {"type": "string"}
    spec = {"type": "object", "required": ["hull"], "properties": {"hull": text | {"pattern": "^[a-f0-9]{24}$"}}}
    schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object", "properties": {"at": text}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    extensions: Api = ApiextensionsV1Api(api_client)
    definition = {
        "metadata": {"name": f"boats.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": "Boat", "plural": "boats", "singular": "boat", "listKind": "BoatList"},
            "versions": [version | {"subresources": {"status": {}}}],
        },
    }
    await extensions.create_custom_resource_definition(definition)
    boats: Api = CustomObjectsApi(api_client)

    async def served() -> bool:
        try:
            await boats.list_cluster_custom_object(GROUP, "v1", "boats")
        except ApiException:
            return False
        return True

    await eventually(served, bool)
    return boats


def a_deployment(*, image: str = "adapter:1", replicas: int = 1, name: str = "adapter") -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "adapter", "image": image}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def a_boat(*, hull: str = "0123456789abcdef01234567", **metadata: Any) -> dict[str, Any]:
    metadata = {"name": "boat"} | metadata
    return {"apiVersion": f"{GROUP}/v1", "kind": "Boat", "metadata": metadata, "spec": {"hull": hull}}


def is_available(deployment: Any) -> bool:
    conditions = deployment.status.conditions or []
    return any(each.type == "Available" and each.status == "True" for each in conditions)


def is_rolled_out(deployment: Any) -> bool:
    """Whether its controller has nothing more to do or to say."""
    conditions = deployment.status.conditions or []
    return is_available(deployment) and any(each.reason == "NewReplicaSetAvailable" for each in conditions)


async def pods_of(core: Api, namespace: str) -> list[Any]:
    return list((await core.list_namespaced_pod(namespace)).items)


async def deployed(apps: Api, namespace: str, name: str = "adapter") -> Any:
    return await apps.read_namespaced_deployment(name, namespace)


async def test_a_deployment_is_available_once_its_pods_are_ready(
    apps: Api, core: Api, namespace: str, node: Kubelet
) -> None:
    await apps.create_namespaced_deployment(namespace, a_deployment(replicas=2))

    await eventually(lambda: deployed(apps, namespace), lambda it: is_available(it) and it.status.ready_replicas == 2)

    assert {pod.status.phase for pod in await pods_of(core, namespace)} == {"Running"}


async def test_without_a_kubelet_pods_stay_pending(apps: Api, core: Api, namespace: str) -> None:
    await apps.create_namespaced_deployment(namespace, a_deployment())

    (pod,) = await eventually(lambda: pods_of(core, namespace), bool)

    assert pod.status.phase == "Pending"
    assert not is_available(await deployed(apps, namespace))


async def waiting_reason(core: Api, namespace: str) -> str | None:
    for pod in await pods_of(core, namespace):
        for container in pod.status.container_statuses or []:
            if container.state.waiting:
                return str(container.state.waiting.reason)
    return None


async def test_a_deployment_whose_image_cannot_be_pulled_stays_unavailable(
    apps: Api, core: Api, namespace: str, node: Kubelet
) -> None:
    await node.ordain("broken", image_pull_back_off)
    await apps.create_namespaced_deployment(namespace, a_deployment(image="broken:1"))
    await apps.create_namespaced_deployment(namespace, a_deployment(name="other"))

    assert await eventually(lambda: waiting_reason(core, namespace), bool) == "ImagePullBackOff"
    await eventually(lambda: deployed(apps, namespace, "other"), is_available)
    assert not is_available(await deployed(apps, namespace))


@pytest.mark.parametrize(
    ("fate", "exit_code", "reason"),
    [(crash_loop(3), 3, "Error"), (out_of_memory, 137, "OOMKilled")],
    ids=["crash", "out of memory"],
)
async def test_a_pod_that_keeps_crashing_says_how_it_ended(
    apps: Api, core: Api, namespace: str, node: Kubelet, fate: Fate, exit_code: int, reason: str
) -> None:
    await node.ordain("adapter", fate)
    await apps.create_namespaced_deployment(namespace, a_deployment())

    assert await eventually(lambda: waiting_reason(core, namespace), bool) == "CrashLoopBackOff"
    (pod,) = await pods_of(core, namespace)
    ended = pod.status.container_statuses[0].last_state.terminated
    assert (ended.exit_code, ended.reason) == (exit_code, reason)


async def test_a_pod_without_a_node_says_why(apps: Api, core: Api, namespace: str, node: Kubelet) -> None:
    await node.ordain("adapter", unschedulable("0/1 nodes are available: 1 Insufficient memory."))
    await apps.create_namespaced_deployment(namespace, a_deployment())

    (pod,) = await eventually(lambda: pods_of(core, namespace), lambda pods: pods and pods[0].status.conditions)

    (condition,) = pod.status.conditions
    assert (condition.type, condition.status, condition.reason) == ("PodScheduled", "False", "Unschedulable")
    assert pod.spec.node_name is None


async def test_the_fate_of_running_pods_can_change(apps: Api, core: Api, namespace: str, node: Kubelet) -> None:
    await apps.create_namespaced_deployment(namespace, a_deployment())
    await eventually(lambda: deployed(apps, namespace), is_available)

    await node.ordain("adapter", running_unready)
    await eventually(lambda: deployed(apps, namespace), lambda it: not is_available(it))

    await node.ordain("adapter", ready)
    await eventually(lambda: deployed(apps, namespace), is_available)
    (pod,) = await pods_of(core, namespace)
    assert all(condition.reason is None for condition in pod.status.conditions)


async def test_a_rollout_to_a_broken_image_keeps_the_old_pod(
    apps: Api, core: Api, namespace: str, node: Kubelet
) -> None:
    await node.ordain("broken", image_pull_back_off)
    await apps.create_namespaced_deployment(namespace, a_deployment())
    await eventually(lambda: deployed(apps, namespace), is_available)

    await apps.patch_namespaced_deployment("adapter", namespace, a_deployment(image="broken:1"))

    await eventually(lambda: waiting_reason(core, namespace), bool)
    assert is_available(await deployed(apps, namespace))
    assert len(await pods_of(core, namespace)) == 2


async def applied(apps: Api, namespace: str, deployment: dict[str, Any]) -> Any:
    return await apps.patch_namespaced_deployment(
        "adapter", namespace, deployment, field_manager="operator", force=True, _content_type=APPLY
    )


async def test_applying_the_same_again_changes_nothing(apps: Api, namespace: str, node: Kubelet) -> None:
    await applied(apps, namespace, a_deployment())
    before = await eventually(lambda: deployed(apps, namespace), is_rolled_out)

    again = await applied(apps, namespace, a_deployment())

    assert again.metadata.resource_version == before.metadata.resource_version


async def test_what_is_no_longer_applied_is_removed_and_what_others_set_stays(apps: Api, namespace: str) -> None:
    wish = a_deployment()
    wish["metadata"]["annotations"] = {"ours": "1"}
    await applied(apps, namespace, wish)
    theirs = {"metadata": {"annotations": {"theirs": "1"}}}
    await apps.patch_namespaced_deployment("adapter", namespace, theirs, field_manager="somebody")

    found = await applied(apps, namespace, a_deployment())

    assert "ours" not in found.metadata.annotations
    assert found.metadata.annotations["theirs"] == "1"


async def test_a_custom_resource_that_breaks_its_pattern_is_refused(boats: Api, namespace: str) -> None:
    with pytest.raises(ApiException) as refused:
        await boats.create_namespaced_custom_object(GROUP, "v1", namespace, "boats", a_boat(hull="Not Hex"))

    assert refused.value.status == 422
    assert "spec.hull" in str(refused.value.body)


async def test_the_status_of_a_custom_resource_is_written_apart_from_its_spec(boats: Api, namespace: str) -> None:
    made = await boats.create_namespaced_custom_object(
        GROUP, "v1", namespace, "boats", a_boat() | {"status": {"at": "sea"}}
    )
    assert "status" not in made

    status = {"apiVersion": f"{GROUP}/v1", "kind": "Boat", "metadata": {"name": "boat"}, "status": {"at": "anchor"}}
    found = await boats.patch_namespaced_custom_object_status(
        GROUP, "v1", namespace, "boats", "boat", status, field_manager="operator", force=True, _content_type=APPLY
    )

    assert (found["status"], found["spec"]) == ({"at": "anchor"}, made["spec"])
    assert found["metadata"]["generation"] == made["metadata"]["generation"]


async def test_a_watch_sees_what_changes_from_the_version_on_it_was_told(core: Api, namespace: str) -> None:
    start = (await core.list_namespaced_config_map(namespace)).metadata.resource_version
    await core.create_namespaced_config_map(namespace, {"metadata": {"name": "note"}, "data": {"n": "1"}})
    await core.patch_namespaced_config_map("note", namespace, {"data": {"n": "2"}})
    await core.delete_namespaced_config_map("note", namespace)

    seen: list[tuple[str, str]] = []
    async with Watch() as watch, asyncio.timeout(30):
        changes = aiter(watch.stream(core.list_namespaced_config_map, namespace, resource_version=start))
        while len(seen) < 3:
            change = await anext(changes)
            seen.append((change["type"], change["raw_object"]["data"]["n"]))

    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


async def test_what_was_stored_outlives_the_api_server(
    control_plane: ControlPlane, core: Api, apps: Api, namespace: str, node: Kubelet
) -> None:
    await core.create_namespaced_config_map(namespace, {"metadata": {"name": "note"}, "data": {"n": "1"}})
    before = await core.read_namespaced_config_map("note", namespace)

    await control_plane.restart_api_server()

    found = await core.read_namespaced_config_map("note", namespace)
    assert (found.metadata.uid, found.metadata.resource_version) == (
        before.metadata.uid,
        before.metadata.resource_version,
    )
    # Controllers and kubelet find their way back too.
    await apps.create_namespaced_deployment(namespace, a_deployment())
    await eventually(lambda: deployed(apps, namespace), is_available, within=60)


async def test_a_stopped_api_server_refuses_connections_until_it_is_started(
    control_plane: ControlPlane, core: Api, namespace: str
) -> None:
    await control_plane.stop_api_server()
    try:
        with pytest.raises(OSError, match="Cannot connect"):
            await core.read_namespace(namespace)
    finally:
        await control_plane.start_api_server()

    assert (await core.read_namespace(namespace)).metadata.name == namespace


async def test_what_has_a_finalizer_stays_until_it_is_taken_away(boats: Api, namespace: str) -> None:
    where = (GROUP, "v1", namespace, "boats")
    await boats.create_namespaced_custom_object(*where, a_boat(finalizers=[f"{GROUP}/moored"]))

    await boats.delete_namespaced_custom_object(*where, "boat")
    found = await boats.get_namespaced_custom_object(*where, "boat")
    assert found["metadata"]["deletionTimestamp"]

    no_finalizers = [{"op": "remove", "path": "/metadata/finalizers"}]
    await boats.patch_namespaced_custom_object(*where, "boat", no_finalizers)
    await gone(lambda: boats.get_namespaced_custom_object(*where, "boat"))


async def test_deleting_in_the_foreground_takes_the_deployment_last(
    apps: Api, core: Api, namespace: str, node: Kubelet
) -> None:
    await apps.create_namespaced_deployment(namespace, a_deployment(replicas=2))
    await eventually(lambda: deployed(apps, namespace), is_available)

    answer = await apps.delete_namespaced_deployment("adapter", namespace, propagation_policy="Foreground")
    assert answer.status  # it is there still, and says so
    await gone(lambda: deployed(apps, namespace))

    assert await pods_of(core, namespace) == []
    assert (await apps.list_namespaced_replica_set(namespace)).items == []


async def test_a_pod_on_a_node_stays_until_the_kubelet_has_ended_it(
    apps: Api, core: Api, namespace: str, node: Kubelet
) -> None:
    await apps.create_namespaced_deployment(namespace, a_deployment())
    await eventually(lambda: deployed(apps, namespace), is_available)
    (pod,) = await pods_of(core, namespace)

    being_deleted = await core.delete_namespaced_pod(pod.metadata.name, namespace)

    assert being_deleted.metadata.deletion_timestamp
    await gone(lambda: core.read_namespaced_pod(pod.metadata.name, namespace))
    await eventually(lambda: deployed(apps, namespace), is_available)


async def test_what_a_custom_resource_owns_goes_with_it(boats: Api, core: Api, namespace: str) -> None:
    where = (GROUP, "v1", namespace, "boats")
    boat = await boats.create_namespaced_custom_object(*where, a_boat())
    owner = {"apiVersion": f"{GROUP}/v1", "kind": "Boat", "name": "boat", "uid": boat["metadata"]["uid"]}
    await core.create_namespaced_config_map(namespace, {"metadata": {"name": "sail", "ownerReferences": [owner]}})

    await boats.delete_namespaced_custom_object(*where, "boat")

    # The garbage collector looks every 30 seconds for kinds that are new.
    await gone(lambda: core.read_namespaced_config_map("sail", namespace), within=90)


async def the_default_account(core: Api, namespace: str) -> list[Any]:
    accounts = await core.list_namespaced_service_account(namespace)
    return [each for each in accounts.items if each.metadata.name == "default"]


@pytest.fixture
async def guest(control_plane: ControlPlane, core: Api, namespace: str) -> AsyncIterator[ApiClient]:
    """A client that is the namespace's default service account."""
    await eventually(lambda: the_default_account(core, namespace), bool)
    request = {"spec": {"audiences": ["https://kubernetes.default.svc"]}}
    answer = await core.create_namespaced_service_account_token("default", namespace, request)
    kubeconfig = control_plane.kubeconfig_with(answer.status.token)
    async with await new_client_from_config(str(kubeconfig)) as client:
        yield client


async def test_a_service_account_may_do_what_its_roles_allow(
    api_client: ApiClient, guest: ApiClient, namespace: str
) -> None:
    with pytest.raises(ApiException) as refused:
        await CoreV1Api(guest).list_namespaced_secret(namespace)
    assert refused.value.status == 403

    rbac: Api = RbacAuthorizationV1Api(api_client)
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]
    await rbac.create_namespaced_role(namespace, {"metadata": {"name": "reader"}, "rules": rules})
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    await rbac.create_namespaced_role_binding(namespace, binding)

    async def allowed() -> bool:
        try:
            await CoreV1Api(guest).list_namespaced_secret(namespace)
        except ApiException:
            return False
        return True

    await eventually(allowed, bool)


async def test_a_namespace_goes_with_all_that_is_in_it(apps: Api, core: Api, namespace: str, node: Kubelet) -> None:
    await apps.create_namespaced_deployment(namespace, a_deployment())
    await eventually(lambda: deployed(apps, namespace), is_available)

    await core.delete_namespace(namespace)
    await gone(lambda: core.read_namespace(namespace), within=60)

    await core.create_namespace({"metadata": {"name": namespace}})
    assert (await apps.list_namespaced_deployment(namespace)).items == []


async def test_a_program_that_cannot_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho 'the disk is upside down' >&2; exit 7\n")
        program.chmod(0o755)

    with pytest.raises(ControlPlaneError, match=r"(?s)ended with status 7\..*the disk is upside down"):
        async with a_control_plane(tmp_path):
            pass


@pytest.mark.usefixtures("programs")
def test_nothing_outlives_a_killed_parent() -> None:
    program = """
import asyncio
from tests.cluster.control_plane import control_plane

async def main():
    async with control_plane() as plane:
        print(*(program.process.pid for program in plane._programs), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    with (
        TemporaryDirectory() as left_behind,  # of a killed one, files do stay
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env=os.environ | {"TMPDIR": left_behind},
        ) as parent,
    ):
        assert parent.stdout
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
        assert len(pids) == 3
        assert not still_running(pids)


def still_running(pids: list[int]) -> list[int]:
    """Those that have not ended a few seconds later."""
    deadline = time.monotonic() + 10
    left = pids
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if runs(pid)]
        time.sleep(0.02)
    return left


def runs(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)  # 0: only asks
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_programs_are_found_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))

    assert find_programs() == tmp_path


def test_programs_that_are_nowhere_are_missed_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(ControlPlaneError, match="Build it with scripts/kubernetes-control-plane"):
        find_programs()
