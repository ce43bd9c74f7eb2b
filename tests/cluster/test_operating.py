"""The operator between a real API server of Kubernetes and a real server of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from octomesh_graphql.actions.arranging import edit_adapter
from octomesh_graphql.actions.deploying import deploy_pool_adapters, undeploy_pool_adapters
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.states import CommunicationState, DeploymentState
from octomesh_graphql.operator.charges import PoolId
from octomesh_graphql.operator.cluster import Kind
from octomesh_graphql.operator.health import Metrics
from octomesh_graphql.operator.kubernetes import Kubernetes, connected
from octomesh_graphql.operator.manifests import PlaceSettings
from octomesh_graphql.operator.operating import Operator, OperatorPlan
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from tests.api.conftest import serving
from tests.builders import ALICE, NOW, created_adapter, created_pool
from tests.cluster.control_plane import ControlPlane
from tests.cluster.eventually import eventually
from tests.cluster.kubelet import Kubelet, image_pull_back_off
from tests.operator.builders import resource

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@pytest.fixture
async def url(sessions: Sessions, feed: Feed) -> AsyncIterator[str]:
    """Where a real server is."""
    async with serving(sessions, feed) as address:
        yield f"http://{address}"


@pytest.fixture
async def cluster(
    control_plane: ControlPlane, communication_pools: None, namespace: str, node: Kubelet
) -> AsyncIterator[Kubernetes]:
    """A real cluster; images with `broken` in their names can't be pulled."""
    await node.ordain("broken", image_pull_back_off)
    async with connected(
        kubeconfig=control_plane.kubeconfig, namespace=namespace, lease="octomesh-operator"
    ) as cluster:
        yield cluster


@asynccontextmanager
async def operating(cluster: Kubernetes, url: str, namespace: str) -> AsyncIterator[Operator]:
    """An operator for one namespace."""
    plan = OperatorPlan(server_url=url, place=PlaceSettings(server_url=url), watch_namespace=namespace)
    operator = Operator(cluster, plan, Metrics())
    task = asyncio.create_task(operator.run())
    try:
        yield operator
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_the_life_of_a_pool(
    cluster: Kubernetes, url: str, namespace: str, store: TenantStore, sessions: Sessions
) -> None:
    pool = await created_pool(store)
    given: dict[str, Any] = {"configuration": {"hosts": ["Prüfstand"]}, "port": 8080, "health_path": "/healthz"}
    adapter = await created_adapter(store, pool=pool, **given)
    of = resource(PoolId("acme", pool.rt_id), namespace=namespace)
    path = f"/apis/{of['apiVersion']}/namespaces/{namespace}/communicationpools/{of['metadata']['name']}"
    await cluster.ask("PATCH", path, {"fieldManager": "kubectl"}, of, APPLY)

    async def state() -> Adapter:
        found = await store.adapter(adapter.rt_id)
        assert found
        return found

    async def reaches(wanted: DeploymentState) -> Adapter:
        return await eventually(state, lambda found: found.deployment_state is wanted)

    async def versions() -> dict[str, str]:
        return {
            kind.kind: each["metadata"]["resourceVersion"]
            for kind in (Kind.SECRET, Kind.SERVICE, Kind.COMMUNICATION_POOL)
            for each in await cluster.objects(kind, namespace=namespace)
            if each["metadata"]["name"].startswith(("octo-", "acme-"))
        }

    async with operating(cluster, url, namespace):
        await deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
        await reaches(DeploymentState.DEPLOYED)
        status = (await eventually(lambda: cluster.ask("GET", path), is_ready))["status"]
        assert (status["communicationStatus"], status["adapters"]) == ("Registered", "1/1")
        before = await versions()
        [generation] = await generations(cluster, namespace)

    async with operating(cluster, url, namespace) as operator:  # another process adopts it all
        await eventually(lambda: session_knows(store, pool.rt_id, operator), bool)
        assert await generations(cluster, namespace) == [generation]
        assert await versions() == before

        [deployment] = await cluster.objects(Kind.DEPLOYMENT, namespace=namespace)
        there = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment['metadata']['name']}"
        await cluster.ask("PATCH", there, {"fieldManager": "kubectl-scale"}, {"spec": {"replicas": 2}}, MERGE)
        events = await eventually(lambda: reasons(cluster, namespace), lambda found: "Mended" in found)
        assert "spec.replicas had been changed by 'kubectl-scale'" in events["Mended"]
        mended = await cluster.ask("GET", there)
        assert mended["spec"]["replicas"] == 1

        await edit_adapter(
            store, ALICE, NOW, rt_id=adapter.rt_id, given={"image_name": "registry.example.com/broken/x"}
        )
        failed = await reaches(DeploymentState.ERROR)
        assert "registry.example.com/broken/x" in (failed.status_message or "")

        await undeploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
        await reaches(DeploymentState.UNDEPLOYED)
        for kind in (Kind.DEPLOYMENT, Kind.POD, Kind.SERVICE, Kind.SECRET):
            assert await cluster.objects(kind, namespace=namespace) == []

        await deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
        await eventually(lambda: cluster.objects(Kind.POD, namespace=namespace), bool)
        await cluster.ask("DELETE", path)
        await eventually(lambda: cluster.objects(Kind.COMMUNICATION_POOL, namespace=namespace), lambda left: not left)
        for kind in (Kind.DEPLOYMENT, Kind.POD, Kind.SERVICE, Kind.SECRET):
            assert await cluster.objects(kind, namespace=namespace) == []
        left = await eventually(
            lambda: store.pool(pool.rt_id),
            lambda found: found and found.communication_state is CommunicationState.UNREGISTERED,
        )
        assert left


def is_ready(resource: dict[str, Any]) -> bool:
    conditions = (resource.get("status") or {}).get("conditions") or []
    return {"Ready": "True"}.items() <= {each["type"]: each["status"] for each in conditions}.items()


async def generations(cluster: Kubernetes, namespace: str) -> list[int]:
    """How often the wish of each Deployment was changed."""
    return [each["metadata"]["generation"] for each in await cluster.objects(Kind.DEPLOYMENT, namespace=namespace)]


async def reasons(cluster: Kubernetes, namespace: str) -> dict[str, str]:
    """The messages of the operator's Events, by reason."""
    events = await cluster.objects(Kind.EVENT, namespace=namespace)
    return {each["reason"]: each["message"] for each in events if each["involvedObject"]["kind"] == "CommunicationPool"}


async def session_knows(store: TenantStore, rt_id: str, operator: Operator) -> bool:
    """Whether the operator serves the pool in its present session, and has told everything."""
    pool = await store.pool(rt_id)
    session = operator.term.link.session if operator.term else None
    charge = operator.term.reconciler.charges.holder(PoolId("acme", rt_id)) if operator.term else None
    return bool(pool and session and pool.session == session.key and charge and charge.acknowledged)
