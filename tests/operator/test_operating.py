"""The operator as a whole, with a simulated cluster and a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from structlog.testing import capture_logs

from octomesh_graphql.actions.deploying import deploy_pool_adapters, undeploy_pool_adapters
from octomesh_graphql.domain.states import CommunicationState, DeploymentState
from octomesh_graphql.operator.charges import PoolId
from octomesh_graphql.operator.cluster import ClusterRefused, ClusterUnavailable, Kind
from octomesh_graphql.operator.health import Metrics
from octomesh_graphql.operator.manifests import PlaceSettings
from octomesh_graphql.operator.operating import Operator, OperatorPlan, slug
from octomesh_graphql.operator.simulated import SimulatedCluster
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from tests.api.conftest import serving
from tests.builders import ALICE, NOW, created_adapter, created_pool
from tests.operator.builders import resource


@pytest.fixture
async def url(sessions: Sessions, feed: Feed) -> AsyncIterator[str]:
    """Where a real server is."""
    async with serving(sessions, feed) as address:
        yield f"http://{address}"


@pytest.fixture
async def cluster() -> AsyncIterator[SimulatedCluster]:
    """A cluster in which everything happens at once."""
    async with SimulatedCluster("Plant 1", speed=0) as cluster:
        yield cluster


def an_operator(cluster: SimulatedCluster, url: str) -> Operator:
    return Operator(cluster, OperatorPlan(server_url=url, place=PlaceSettings(server_url=url)), Metrics())


@asynccontextmanager
async def running(operator: Operator) -> AsyncIterator[asyncio.Task[None]]:
    """The operator at work."""
    task: asyncio.Task[None] = asyncio.create_task(operator.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that comes soon."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def deployment_state(store: TenantStore, rt_id: str, wanted: DeploymentState) -> None:
    """Wait until an adapter is in this state."""
    async with asyncio.timeout(10):
        while (found := await store.adapter(rt_id)) is None or found.deployment_state is not wanted:
            await asyncio.sleep(0.02)


async def test_what_users_wish_happens_in_the_cluster_and_comes_back_to_them(
    url: str, cluster: SimulatedCluster, store: TenantStore
) -> None:
    pool = await created_pool(store)
    adapter = await created_adapter(store, pool=pool)
    cluster.put(resource(PoolId("acme", pool.rt_id)))
    async with running(an_operator(cluster, url)):
        await deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
        await deployment_state(store, adapter.rt_id, DeploymentState.DEPLOYED)
        assert len(await cluster.objects(Kind.POD)) == 1
        await undeploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
        await deployment_state(store, adapter.rt_id, DeploymentState.UNDEPLOYED)
        assert await cluster.objects(Kind.DEPLOYMENT) == []
    left = await store.pool(pool.rt_id)
    assert left
    assert left.communication_state is CommunicationState.OFFLINE


async def test_a_replica_stands_by_until_the_leader_is_gone(url: str, cluster: SimulatedCluster) -> None:
    first, second = an_operator(cluster, url), an_operator(cluster, url)
    async with running(second):
        async with running(first):
            await until(lambda: first.connected or second.connected)
            leader, standby = (first, second) if first.connected else (second, first)
            assert standby.term is None
            assert standby.missing == []
            assert standby.alive
            assert leader.id == standby.id
        await until(lambda: second.connected)


async def test_who_lost_the_lead_stops_at_once_and_begins_anew(url: str, cluster: SimulatedCluster) -> None:
    operator = an_operator(cluster, url)
    async with running(operator):
        await until(lambda: operator.connected)
        term = operator.term
        assert term
        assert term.link.session
        cluster.depose()
        await until(lambda: operator.term is not term)
        assert not term.link.leased
        await until(lambda: operator.connected)
        assert operator.term
        assert operator.term.link.session
        assert operator.term.link.session.epoch == 2


async def test_its_id_is_made_of_the_cluster_and_the_same_after_a_restart(url: str, cluster: SimulatedCluster) -> None:
    first, second = an_operator(cluster, url), an_operator(cluster, url)
    for operator in (first, second):
        async with running(operator):
            await until(partial(getattr, operator, "connected"))
    assert first.id == second.id == f"plant-1-{await cluster.identity()}"


async def test_a_cluster_that_is_away_at_the_start_is_asked_again(
    url: str, cluster: SimulatedCluster, store: TenantStore
) -> None:
    pool = await created_pool(store)
    cluster.put(resource(PoolId("acme", pool.rt_id)))
    cluster.fail_next("objects", ClusterUnavailable("starting"), times=1)
    operator = an_operator(cluster, url)
    async with running(operator):
        await until(lambda: operator.pools == 1)


async def test_why_the_cluster_does_not_answer_is_told_once_and_that_it_answers_again(
    url: str, cluster: SimulatedCluster
) -> None:
    cluster.fail_next("objects", ClusterUnavailable("starting"), times=3)
    with capture_logs() as logs:
        async with running(an_operator(cluster, url)) as task:
            await until(lambda: [line for line in logs if line["event"] == "the cluster answers again"] or task.done())
    assert [line["reason"] for line in logs if line["event"] == "the cluster can't be asked"] == ["starting"]


async def test_what_the_cluster_forbids_from_the_start_ends_it_with_the_reason(
    url: str, cluster: SimulatedCluster
) -> None:
    cluster.fail_next("objects", ClusterRefused(404, "NotFound", "could not find the requested resource"))
    operator = an_operator(cluster, url)
    async with running(operator) as task:
        with pytest.raises(ClusterRefused, match="could not find"):
            await asyncio.wait_for(asyncio.shield(task), 10)
        assert not operator.alive


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Werk Nürnberg #1", "werk-n-rnberg-1"), ("…", "cluster"), ("a" * 59 + ".b", "a" * 59)],
)
def test_a_name_becomes_part_of_an_id(name: str, expected: str) -> None:
    assert slug(name) == expected
