"""Whichever step an operator dies at, the next one ends what it began: once, and with nothing left over.

A step is a write to the cluster or a word to our server about the pool. Each of them is the last one once: it never
arrived, or it did and the operator never learned.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from kubernetes_asyncio.client import CoordinationV1Api

from tests.cluster.eventually import eventually
from tests.cluster.faults import Trap, When
from tests.cluster.meddling import Proxy, proxied
from tests.cluster.plant import Place, Program, Server, Tenant, within
from tests.cluster.witness import Witness, witnessed

CONVERGED_SECONDS: Final = 30.0
"""From the moment an operator is linked again until everything is as wished."""

FEWEST_STEPS: Final = {"deploy": 10, "undeploy": 8, "delete": 8}
"""Six objects, and the words about them: with fewer the test would not see what it is about."""

USUAL_STEPS: Final = {"deploy": 16, "undeploy": 12, "delete": 12}
"""Now and then one of them falls together with another."""

SHARE: Final = 4
"""How many of the usual steps are one test's, so that none takes long; the last one takes all that are left."""

MORE_THAN_THERE_ARE: Final = 100
"""Steps."""


def at_each_step(what: str) -> pytest.MarkDecorator:
    """A test for each share of the steps of this."""
    *starts, last = range(1, USUAL_STEPS[what], SHARE)
    shares = [range(start, start + SHARE) for start in starts]
    return pytest.mark.parametrize("steps", [*shares, range(last, MORE_THAN_THERE_ARE)], ids=told)


def told(steps: range) -> str:
    """As `1-4`, or `9-` if it is all that are left."""
    return f"{steps.start}-{'' if steps.stop == MORE_THAN_THERE_ARE else steps[-1]}"


at_any_moment = pytest.mark.parametrize("when", ["before", "after"])


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pool with two adapters that have all an adapter can have."""

    rt_id: str
    adapters: list[str]

    @property
    def ids(self) -> list[str]:
        """By which everything about it can be told."""
        return [self.rt_id, *self.adapters]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An operator whose every word can be held."""

    place: Place
    tenant: Tenant
    operator: Program
    cluster: Proxy
    server: Proxy
    witness: Witness

    async def pool(self, name: str) -> Pool:
        """A new one that is not installed, and wished to be deployed."""
        rt_id = await self.tenant.create_pool(name)
        given = {"configuration": {"hosts": [name]}}
        adapters = [await self.tenant.create_adapter(rt_id, f"{name}-{which}", **given) for which in ("a", "b")]
        await self.tenant.do("deployPoolAdapters", rtId=rt_id)
        return Pool(rt_id=rt_id, adapters=adapters)

    async def deployed_pool(self, name: str) -> Pool:
        """A new one that runs, and about which nothing more is to be said."""
        pool = await self.pool(name)
        await self.install(pool)
        await self.deployed(pool)
        await self.quiet(pool)
        return pool

    async def dies(self, pool: Pool, number: int, when: When, act: Awaitable[object], end: Awaitable[object]) -> str:
        """Have something done; the operator dies at its n-th step and begins anew. The step, empty if there is none."""
        trap = self.cluster.meddling = self.server.meddling = Trap(pool.ids, number, when=when)
        await act
        caught = asyncio.create_task(trap.caught.wait())
        ended = asyncio.create_task(self._ended(pool, end))
        await asyncio.wait({caught, ended}, return_when=asyncio.FIRST_COMPLETED)
        caught.cancel()
        if trap.said is None:
            await ended
            return ""
        ended.cancel()
        self.operator.kill()
        trap.drop()
        await free_lead(self.place)
        await self.operator.start("linked to the server")
        return trap.said.what

    async def _ended(self, pool: Pool, end: Awaitable[object]) -> None:
        await end
        await self.quiet(pool)

    async def quiet(self, pool: Pool) -> None:
        """Wait until nothing more is said about it; the last word is to the cluster, always."""
        await self.cluster.quiet(*pool.ids)

    async def install(self, pool: Pool) -> None:
        await self.place.install(self.tenant, pool.rt_id)

    async def deployed(self, pool: Pool) -> None:
        await self.tenant.adapters_turn(pool.rt_id, "DEPLOYED", within=CONVERGED_SECONDS)

    async def undeploy(self, pool: Pool) -> None:
        await self.tenant.do("undeployPoolAdapters", rtId=pool.rt_id)

    async def undeployed(self, pool: Pool) -> None:
        await self.tenant.adapters_turn(pool.rt_id, "UNDEPLOYED", within=CONVERGED_SECONDS)

    async def delete(self, pool: Pool) -> None:
        await self.place.kubectl("delete", "communicationpools", f"{self.tenant.id}-{pool.rt_id}", "--wait=false")

    async def gone(self, pool: Pool) -> None:
        await self.place.resource_goes(self.tenant, pool.rt_id, within=CONVERGED_SECONDS)

    async def left(self, pool: Pool) -> list[str]:
        """What is left of it in the cluster."""
        return [each for each in await self.place.left(self.tenant) if any(id in each for id in pool.ids)]


@pytest.fixture
async def stage(server: Server, tenant: Tenant, place: Place) -> AsyncIterator[Stage]:
    """An operator that serves nothing yet."""
    async with (
        proxied(place) as (cluster, before_it),
        Proxy(server.url).running() as behind,
        before_it.operator(behind.url) as operator,
        witnessed(place) as witness,
    ):
        yield Stage(place=place, tenant=tenant, operator=operator, cluster=cluster, server=behind, witness=witness)


async def free_lead(place: Place) -> None:
    """As if the lease of who died had run out, for which nobody has to wait here."""
    coordination: Any = CoordinationV1Api(place.api_client)
    for lease in (await coordination.list_namespaced_lease(place.namespace)).items:
        await coordination.patch_namespaced_lease(
            lease.metadata.name, place.namespace, {"spec": {"holderIdentity": ""}}
        )


async def live_through(steps: range, what: str, life: Callable[[int], Awaitable[str]]) -> None:
    """Live through it again and again, and die one step later each time, until there is none left to die at."""
    died_at: list[str] = []
    for number in steps:
        step = await life(number)
        if not step:
            assert number > FEWEST_STEPS[what], died_at
            return
        died_at.append(step)
    assert steps.stop < MORE_THAN_THERE_ARE, died_at


@at_each_step("deploy")
@at_any_moment
async def test_a_deploy_is_finished_once_whichever_step_its_operator_died_at(
    stage: Stage, when: When, steps: range
) -> None:
    async def life(number: int) -> str:
        pool = await stage.pool(f"deploy-{number}")
        step = await stage.dies(pool, number, when, stage.install(pool), stage.deployed(pool))
        async with within(CONVERGED_SECONDS):
            await stage.deployed(pool)
            await stage.tenant.pool_turns(pool.rt_id, "ONLINE")
            await stage.place.resource_says(stage.tenant, pool.rt_id, "Registered")
        stage.witness.made_once(pool.adapters)
        assert await stage.tenant.communication(pool.rt_id) in (["ONLINE"], ["ONLINE", "OFFLINE", "ONLINE"]), step
        await stage.delete(pool)
        return step

    await live_through(steps, "deploy", life)
    await eventually(lambda: stage.place.left(stage.tenant), lambda left: not left)


@at_each_step("undeploy")
@at_any_moment
async def test_an_undeploy_is_finished_whichever_step_its_operator_died_at(
    stage: Stage, when: When, steps: range
) -> None:
    async def life(number: int) -> str:
        pool = await stage.deployed_pool(f"undeploy-{number}")
        step = await stage.dies(pool, number, when, stage.undeploy(pool), stage.undeployed(pool))
        async with within(CONVERGED_SECONDS):
            await stage.undeployed(pool)
        assert await stage.left(pool) == [], step
        stage.witness.made_once(pool.adapters)
        await stage.delete(pool)
        return step

    await live_through(steps, "undeploy", life)


@at_each_step("delete")
@at_any_moment
async def test_a_resource_that_is_deleted_goes_with_all_that_was_made_whichever_step_its_operator_died_at(
    stage: Stage, when: When, steps: range
) -> None:
    async def life(number: int) -> str:
        pool = await stage.deployed_pool(f"delete-{number}")
        step = await stage.dies(pool, number, when, stage.delete(pool), stage.gone(pool))
        async with within(CONVERGED_SECONDS):
            await stage.gone(pool)
            await stage.tenant.pool_turns(pool.rt_id, "UNREGISTERED")
            adapters = await stage.tenant.adapters_turn(pool.rt_id, "PENDING")  # still wished, and nobody serves it
        assert all(each["statusMessage"].endswith("was deleted.") for each in adapters.values()), (step, adapters)
        assert await stage.left(pool) == [], step
        stage.witness.made_once(pool.adapters)
        return step

    await live_through(steps, "delete", life)
