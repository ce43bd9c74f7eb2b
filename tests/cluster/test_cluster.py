"""The operator's door to Kubernetes, at a real API server: what every cluster does, and what only a real one can."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio.client import ApiClient, CoreV1Api, RbacAuthorizationV1Api

from octomesh_graphql.domain.resource import FIELD_MANAGER
from octomesh_graphql.operator.cluster import Cluster, ClusterRefused, ClusterUnavailable, Kind, Object, Step
from octomesh_graphql.operator.crd import crd
from octomesh_graphql.operator.electing import LeaseTimes
from octomesh_graphql.operator.kubernetes import Kubernetes, connected
from tests.cluster.control_plane import ControlPlane
from tests.cluster.eventually import eventually
from tests.cluster.kubelet import Kubelet, image_pull_back_off
from tests.operator.contract import ClusterContract, a_deployment, a_pool, a_secret, a_status, told, watching

LEASE = "octomesh-operator"
QUICK = LeaseTimes(lease_seconds=3, renew_seconds=2.0, retry_seconds=0.2)
Api = Any


@dataclass
class RealBench:
    """A real cluster, seen by two replicas of the operator."""

    cluster: Kubernetes
    other: Kubernetes
    api_client: ApiClient
    control_plane: ControlPlane
    namespace: str
    elsewhere: str

    async def put(self, object: Object, manager: str) -> None:
        query = {"fieldManager": manager, "force": "true"}
        await self.cluster.ask("PATCH", path_of(object), query, object, "application/apply-patch+yaml")

    async def patch(self, object: Object, change: Object, manager: str) -> None:
        await self.cluster.ask(
            "PATCH", path_of(object), {"fieldManager": manager}, change, "application/merge-patch+json"
        )

    async def remove(self, object: Object) -> None:
        await self.cluster.ask("DELETE", path_of(object))

    async def disturb(self) -> None:
        await self.control_plane.restart_api_server()

    def rival(self) -> Cluster:
        return self.other


def path_of(object: Object) -> str:
    api_version, metadata = object["apiVersion"], object["metadata"]
    root = "apis" if "/" in api_version else "api"
    return f"/{root}/{api_version}/namespaces/{metadata['namespace']}/{Kind.of(object).plural}/{metadata['name']}"


@asynccontextmanager
async def a_replica(plane: ControlPlane, namespace: str, kubeconfig: Path | None = None) -> AsyncIterator[Kubernetes]:
    async with connected(
        kubeconfig=kubeconfig or plane.kubeconfig, namespace=namespace, lease=LEASE, times=QUICK
    ) as kubernetes:
        yield kubernetes


@pytest.fixture
async def bench(
    control_plane: ControlPlane,
    api_client: ApiClient,
    communication_pools: None,
    namespace: str,
    another_namespace: str,
    node: Kubelet,
) -> AsyncIterator[RealBench]:
    await node.ordain("broken", image_pull_back_off)
    async with a_replica(control_plane, namespace) as one, a_replica(control_plane, namespace) as two:
        yield RealBench(one, two, api_client, control_plane, namespace, another_namespace)


class TestKubernetes(ClusterContract):
    """What is expected of every cluster."""


async def test_a_list_of_many_pages_is_one_list(bench: RealBench) -> None:
    for number in range(5):
        await bench.cluster.apply(a_secret(bench, f"secret-{number}", kept="yes"))

    in_pages = Kubernetes(bench.api_client, name="test", namespace=bench.namespace, lease=LEASE, page=2)
    found = await in_pages.objects(Kind.SECRET, namespace=bench.namespace, labels={"kept": "yes"})

    assert [each["metadata"]["name"] for each in found] == [f"secret-{number}" for number in range(5)]


async def test_the_cluster_is_called_as_its_context_is(bench: RealBench) -> None:
    assert bench.cluster.name == "test"


async def test_the_definition_is_understood_as_a_whole(bench: RealBench) -> None:
    definition = await bench.cluster.ask(
        "GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/communicationpools.octo-mesh.meshmakers.io"
    )

    conditions = {each["type"]: each["status"] for each in definition["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"
    # What an API server does not know, it drops.
    (kept,), (given,) = definition["spec"]["versions"], crd()["spec"]["versions"]
    assert kept == given


async def test_the_printed_columns_tell_how_things_are(bench: RealBench) -> None:
    await bench.cluster.apply(a_pool(bench))
    await bench.cluster.apply_status(a_status(bench))

    table = await as_a_table(bench, "octo-mesh.meshmakers.io/v1alpha1", "communicationpools")

    columns = [each["name"] for each in table["columnDefinitions"]]
    assert columns == ["Name", "Tenant", "Pool", "Status", "Adapters", "Ready", "Operator", "PoolRtId", "Age"]
    assert table["rows"][0]["cells"][:6] == ["pool", "acme", "Halle Süd", "Registered", "3/4", "False"]


async def as_a_table(bench: RealBench, api_version: str, plural: str) -> Object:
    answer: Api = await bench.api_client.call_api(
        f"/apis/{api_version}/namespaces/{bench.namespace}/{plural}",
        "GET",
        header_params={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"},
        auth_settings=["BearerToken"],
        _preload_content=False,
    )
    table: Object = json.loads(await answer.read())
    return table


async def test_what_is_applied_to_a_namespace_that_goes_is_refused(bench: RealBench, api_client: ApiClient) -> None:
    core: Api = CoreV1Api(api_client)
    name = f"test-{secrets.token_hex(4)}"
    await core.create_namespace({"metadata": {"name": name}})
    keeping = a_pool(bench)
    keeping["metadata"] |= {"namespace": name, "finalizers": ["octo-mesh.meshmakers.io/undeploy"]}
    pool = await bench.cluster.apply(keeping)
    await core.delete_namespace(name)

    secret = a_secret(bench)
    secret["metadata"]["namespace"] = name
    with pytest.raises(ClusterRefused, match="being terminated") as refused:
        await eventually_refused(bench, secret)

    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    await bench.cluster.set_finalizers((await bench.cluster.get(Kind.COMMUNICATION_POOL, name, "pool")) or pool, [])


async def eventually_refused(bench: RealBench, object: Object) -> None:
    """Admission hears a moment later that a namespace goes; until then it lets things pass."""
    await eventually(lambda: bench.cluster.apply(object), lambda _: False)


async def test_what_a_service_account_may_not_do_is_named(bench: RealBench) -> None:
    kubeconfig = await a_guest(bench)
    async with a_replica(bench.control_plane, bench.namespace, kubeconfig) as guest:
        with pytest.raises(ClusterRefused) as refused:
            await guest.apply(a_deployment(bench))

    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    message = str(refused.value)
    assert 'cannot patch resource "deployments" in API group "apps"' in message
    assert f"system:serviceaccount:{bench.namespace}:default" in message


async def test_a_candidate_that_may_not_touch_the_lease_says_so_instead_of_waiting(bench: RealBench) -> None:
    kubeconfig = await a_guest(bench)
    async with a_replica(bench.control_plane, bench.namespace, kubeconfig) as guest:
        with pytest.raises(ClusterRefused, match='cannot get resource "leases"'):
            async with guest.leading():
                pass


async def test_recording_what_may_not_be_recorded_is_no_error(bench: RealBench) -> None:
    pool = await bench.cluster.apply(a_pool(bench))
    kubeconfig = await a_guest(bench)
    async with a_replica(bench.control_plane, bench.namespace, kubeconfig) as guest:
        await guest.record(pool, "Normal", "Deployed", "all is well")

    assert await bench.cluster.objects(Kind.EVENT, namespace=bench.namespace) == []


async def test_a_watch_begins_to_tell_as_soon_as_it_is_allowed_to(bench: RealBench) -> None:
    await bench.cluster.apply(a_secret(bench, "first"))
    kubeconfig = await a_guest(bench)
    async with a_replica(bench.control_plane, bench.namespace, kubeconfig) as guest:
        guest_bench = RealBench(guest, guest, bench.api_client, bench.control_plane, bench.namespace, bench.elsewhere)
        async with watching(guest_bench, Kind.SECRET) as sightings:
            first = asyncio.create_task(told(sightings))
            await allow(bench, ["secrets"], ["list", "watch"])
            # The namespace's account may have a token there.
            names = [await first]
            while "SEEN first" not in names:
                names.append(await told(sightings))


async def a_guest(bench: RealBench) -> Path:
    """A kubeconfig of the namespace's default service account, who may do nothing yet."""
    core: Api = CoreV1Api(bench.api_client)

    async def accounts() -> list[str]:
        found = await core.list_namespaced_service_account(bench.namespace)
        return [each.metadata.name for each in found.items]

    await eventually(accounts, lambda names: "default" in names)
    request = {"spec": {"audiences": ["https://kubernetes.default.svc"]}}
    answer = await core.create_namespaced_service_account_token("default", bench.namespace, request)
    return bench.control_plane.kubeconfig_with(answer.status.token)


async def allow(bench: RealBench, resources: list[str], verbs: list[str]) -> None:
    rbac: Api = RbacAuthorizationV1Api(bench.api_client)
    rules = [{"apiGroups": [""], "resources": resources, "verbs": verbs}]
    await rbac.create_namespaced_role(bench.namespace, {"metadata": {"name": "guest"}, "rules": rules})
    binding = {
        "metadata": {"name": "guest"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "guest"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": bench.namespace}],
    }
    await rbac.create_namespaced_role_binding(bench.namespace, binding)


async def test_an_api_server_that_is_away_is_unavailable_and_comes_back(bench: RealBench) -> None:
    await bench.control_plane.stop_api_server()
    try:
        with pytest.raises(ClusterUnavailable, match="Cannot connect"):
            await bench.cluster.get(Kind.SECRET, bench.namespace, "one")
    finally:
        await bench.control_plane.start_api_server()

    await bench.cluster.apply(a_secret(bench))


async def test_a_leader_without_an_api_server_stops_before_another_can_start(bench: RealBench) -> None:
    loop = asyncio.get_running_loop()
    async with bench.cluster.leading() as leadership:
        stopped_at = loop.time()
        await bench.control_plane.stop_api_server()
        try:
            await asyncio.wait_for(leadership.lost(), 30)
            lost_after = loop.time() - stopped_at
        finally:
            await bench.control_plane.start_api_server()

    assert lost_after < QUICK.lease_seconds
    async with asyncio.timeout(30), bench.other.leading():
        pass


async def test_who_died_silently_is_followed_when_the_lease_runs_out(bench: RealBench) -> None:
    loop = asyncio.get_running_loop()
    await bench.cluster.identity()  # makes the Lease
    died = {"spec": {"holderIdentity": "one that died", "leaseDurationSeconds": 3}}
    await bench.cluster.ask("PATCH", lease_path(bench), None, died, "application/merge-patch+json")
    died_at = loop.time()

    async with asyncio.timeout(30), bench.other.leading():
        waited = loop.time() - died_at

    assert 3 <= waited <= 8


async def test_the_lease_says_who_leads_and_how_often_that_changed(bench: RealBench) -> None:
    async with bench.cluster.leading():
        first = await lease_of(bench)
    between = await lease_of(bench)
    async with bench.other.leading():
        second = await lease_of(bench)

    assert first["holderIdentity"]
    assert not between.get("holderIdentity")
    assert second["holderIdentity"] not in ("", first["holderIdentity"])
    assert second["leaseTransitions"] == first["leaseTransitions"] + 1


def lease_path(bench: RealBench) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{bench.namespace}/leases/{LEASE}"


async def lease_of(bench: RealBench) -> Object:
    lease = await bench.cluster.ask("GET", lease_path(bench))
    spec: Object = lease["spec"]
    return spec


async def test_a_lead_that_somebody_else_was_given_is_lost_at_once(bench: RealBench) -> None:
    async with bench.cluster.leading() as leadership, asyncio.timeout(QUICK.renew_seconds):
        taken = {"spec": {"holderIdentity": "somebody else"}}
        await bench.cluster.ask("PATCH", lease_path(bench), None, taken, "application/merge-patch+json")
        await leadership.lost()

    assert (await lease_of(bench))["holderIdentity"] == "somebody else"


async def test_leading_does_not_change_who_the_installation_is(bench: RealBench) -> None:
    before = await bench.cluster.identity()
    async with bench.other.leading():
        during = await bench.cluster.identity()

    assert before == during


async def test_two_installations_have_two_identities(bench: RealBench) -> None:
    async with a_replica(bench.control_plane, bench.elsewhere) as elsewhere:
        assert await elsewhere.identity() != await bench.cluster.identity()


async def test_a_watch_lives_through_several_restarts(bench: RealBench) -> None:
    async with watching(bench, Kind.SECRET, kept="yes") as sightings:
        assert await told(sightings) == "LISTED"
        for name in ("first", "second"):
            await bench.disturb()
            await bench.cluster.apply(a_secret(bench, name, kept="yes"))
            seen = await anext(sightings)
            while not (seen.object and seen.object["metadata"]["name"] == name):
                assert seen.step is Step.SEEN
                seen = await anext(sightings)


async def test_what_is_written_carries_our_name(bench: RealBench) -> None:
    pool = await bench.cluster.apply(a_pool(bench))
    await bench.cluster.set_finalizers(pool, ["octo-mesh.meshmakers.io/undeploy"])

    found = await bench.cluster.get(Kind.COMMUNICATION_POOL, bench.namespace, "pool")
    assert found is not None
    managers = {(each["manager"], each["operation"]) for each in found["metadata"]["managedFields"]}
    assert managers == {(FIELD_MANAGER, "Apply"), (FIELD_MANAGER, "Update")}
    await bench.cluster.set_finalizers(found, [])
