"""Many pools with many adapters: the real server, the real operator, a simulated cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from octomesh_graphql.actions.deploying import deploy_pool_adapters
from octomesh_graphql.domain import resource
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.states import CommunicationState, DeploymentState
from octomesh_graphql.operator.manifests import PlaceSettings
from octomesh_graphql.operator.operating import Operator, OperatorPlan
from octomesh_graphql.operator.simulated import SimulatedCluster
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.paging import PageRequest
from octomesh_graphql.store.sessions import Sessions
from tests.api.conftest import serving
from tests.builders import ALICE, NOW, a_pool, an_adapter, stored

POOLS, ADAPTERS = 50, 20
DEPLOYED = DeploymentState.DEPLOYED


class Counting:
    """Counts the rounds of an operator."""

    rounds = 0

    def reconciled(self, result: str, seconds: float) -> None:
        """One more."""
        self.rounds += 1


@pytest.fixture
async def pools(store: TenantStore) -> list[Pool]:
    """Fifty pools with twenty adapters each, wished deployed."""
    pools = [a_pool(name=f"Pool {number}") for number in range(POOLS)]
    for pool in pools:
        members = [an_adapter(name=f"{pool.name}, {number}", pool=pool) for number in range(ADAPTERS)]
        await stored(store, pool, *members)
        await deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
    return pools


@asynccontextmanager
async def operating(cluster: SimulatedCluster, base: str, counting: Counting) -> AsyncIterator[Operator]:
    """An operator that serves the cluster."""
    url = f"http://{base}"
    operator = Operator(cluster, OperatorPlan(server_url=url, place=PlaceSettings(server_url=url)), counting)
    running = asyncio.create_task(operator.run())
    try:
        yield operator
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def present(store: TenantStore) -> list[Pool]:
    """All pools as they are now."""
    return list((await store.pool_page(PageRequest(first=500))).rows)


async def test_a_thousand_adapters_run_and_looking_again_writes_nothing(
    store: TenantStore, pools: list[Pool], sessions: Sessions, feed: Feed
) -> None:
    counting = Counting()
    async with serving(sessions, feed) as base, SimulatedCluster(speed=0) as cluster:
        for pool in pools:
            cluster.put(_resource_of(pool))
        async with operating(cluster, base, counting) as operator:
            async with asyncio.timeout(60):
                while [pool.tally.count(deployment=DEPLOYED) for pool in await present(store)] != [ADAPTERS] * POOLS:
                    await asyncio.sleep(0.1)
            assert {pool.communication_state for pool in await present(store)} == {CommunicationState.ONLINE}
            await _quiet(operator)
            before, requests, rounds = await _documents(store), _writes(cluster), counting.rounds
            assert operator.term
            for key in operator.term.reconciler.charges.known():
                operator.term.queue.add(key)
            async with asyncio.timeout(30):
                while counting.rounds < rounds + POOLS:
                    await asyncio.sleep(0.05)
            assert _writes(cluster) == requests
            assert await _documents(store) == before


async def _quiet(operator: Operator) -> None:
    """Until nothing is left to look at."""
    async with asyncio.timeout(30):
        while operator.depth:
            await asyncio.sleep(0.05)


def _writes(cluster: SimulatedCluster) -> dict[str, int]:
    reading = ("objects", "get", "watch")
    return {operation: count for operation, count in cluster.requests.items() if operation not in reading}


async def _documents(store: TenantStore) -> list[Any]:
    """What would show any write to the tenant's pools and adapters."""
    first = await store.adapter_page(PageRequest(first=500))
    rest = await store.adapter_page(PageRequest(first=500, after=first.cursors[-1]))
    return [await present(store), first.rows, rest.rows]


def _resource_of(pool: Pool) -> dict[str, Any]:
    return {
        "apiVersion": resource.API_VERSION,
        "kind": resource.KIND,
        "metadata": {"name": resource.resource_name("acme", pool.rt_id), "namespace": f"ns-{pool.rt_id}"},
        "spec": {"tenantId": "acme", "poolRtId": pool.rt_id},
    }
