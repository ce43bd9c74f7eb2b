"""Wishes that something runs or is gone. Nobody acts on them here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from octomesh_graphql.actions.arranging import edit_pool, move_adapter
from octomesh_graphql.actions.deploying import (
    deploy_adapter,
    deploy_pool_adapters,
    undeploy_adapter,
    undeploy_pool_adapters,
)
from octomesh_graphql.domain.adapter import Adapter, AdapterNotInPool
from octomesh_graphql.domain.entity import VersionConflict
from octomesh_graphql.domain.pool import BeingDeleted
from octomesh_graphql.domain.problem import NotFound, Refused
from octomesh_graphql.domain.states import CommunicationState, DeploymentState
from octomesh_graphql.domain.transition import Aspect
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.paging import PageRequest
from tests.builders import (
    ALICE,
    LATER,
    NOW,
    a_deployed_adapter,
    a_pool,
    a_served_pool,
    an_adapter,
    an_rt_id,
    stored,
)
from tests.drivers import both_drivers


async def reread(store: TenantStore, adapter: Adapter) -> Adapter:
    return (await store.adapters([adapter.rt_id]))[adapter.rt_id]


async def refusal(attempt: Awaitable[Any]) -> Any:
    with pytest.raises(Refused) as refused:
        await attempt
    [problem] = refused.value.problems
    return problem


@both_drivers
async def test_a_wish_stays_pending_and_says_that_no_operator_serves_the_pool(store: TenantStore) -> None:
    pool = a_pool(name="North")
    adapter = an_adapter(pool=pool)
    await stored(store, pool, adapter)
    wished = await deploy_adapter(store, ALICE, LATER, rt_id=adapter.rt_id)
    assert (wished.wanted, wished.deployment_state) == (True, DeploymentState.PENDING)
    assert str(wished.status_message).startswith("Waiting: no operator serves the pool 'North'.")
    assert await reread(store, adapter) == wished
    lines = (await store.transition_page(adapter, PageRequest())).rows
    assert [line.what for line in lines] == [Aspect.DEPLOYMENT, Aspect.WISH, Aspect.EXISTENCE]
    assert lines[0].reason == wished.status_message


@both_drivers
async def test_a_wish_for_a_pool_is_one_for_each_of_its_adapters(store: TenantStore) -> None:
    pool, other = a_served_pool(name="North"), a_pool(name="South")
    members = [an_adapter(name=f"{number}", pool=pool) for number in range(3)]
    running = a_deployed_adapter(name="running", pool=pool)
    elsewhere = an_adapter(name="elsewhere", pool=other)
    await stored(store, pool, other, *members, running, elsewhere)
    wish = await deploy_pool_adapters(store, ALICE, LATER, rt_id=pool.rt_id)
    assert [adapter.rt_id for adapter in wish.adapters] == [adapter.rt_id for adapter in members]
    assert wish.pool.tally.count(wanted=True) == 4
    assert wish.pool.deployment_state is DeploymentState.PENDING
    assert await reread(store, running) == running
    assert await reread(store, elsewhere) == elsewhere

    gone = await undeploy_pool_adapters(store, ALICE, LATER, rt_id=pool.rt_id)
    assert len(gone.adapters) == 4
    assert gone.pool.tally.count(wanted=True) == 0


async def test_a_wish_that_stands_is_boring(store: TenantStore) -> None:
    pool = a_served_pool()
    adapter = an_adapter(pool=pool)
    await stored(store, pool, adapter)
    for wish, wish_all in ((deploy_adapter, deploy_pool_adapters), (undeploy_adapter, undeploy_pool_adapters)):
        once = await wish(store, ALICE, NOW, rt_id=adapter.rt_id)
        assert await wish(store, ALICE, LATER, rt_id=adapter.rt_id) == once
        assert (await wish_all(store, ALICE, LATER, rt_id=pool.rt_id)).adapters == []
        assert await reread(store, adapter) == once


async def test_an_error_is_tried_again_when_it_is_wished_again(store: TenantStore) -> None:
    pool = a_served_pool()
    failed = a_deployed_adapter(pool=pool, deployment_state=DeploymentState.ERROR, last_error="No such image.")
    await stored(store, pool, failed)
    again = await deploy_adapter(store, ALICE, LATER, rt_id=failed.rt_id)
    assert (again.generation, again.deployment_state) == (2, DeploymentState.PENDING)
    assert again.last_error == "No such image."


async def test_where_no_operator_has_ever_been_undeploying_is_immediate(store: TenantStore) -> None:
    pool = a_pool()
    adapter = an_adapter(pool=pool).deploy(NOW, pool)
    await stored(store, pool, adapter)
    gone = await undeploy_adapter(store, ALICE, LATER, rt_id=adapter.rt_id)
    assert gone.at_rest
    assert gone.status_message == "Nothing of it was deployed, and no operator serves its pool."
    assert await reread(store, adapter) == gone


@pytest.mark.parametrize("state", [CommunicationState.OFFLINE, CommunicationState.UNREGISTERED])
async def test_where_an_operator_has_been_undeploying_waits_for_one(
    store: TenantStore, state: CommunicationState
) -> None:
    pool = a_served_pool(communication_state=state)
    adapter = a_deployed_adapter(pool=pool)
    await stored(store, pool, adapter)
    leaving = await undeploy_adapter(store, ALICE, LATER, rt_id=adapter.rt_id)
    assert (leaving.wanted, leaving.deployment_state) == (False, DeploymentState.PENDING)
    assert str(leaving.status_message).startswith("Waiting")


async def test_what_cannot_be_deployed_is_refused_with_the_reason(store: TenantStore) -> None:
    going = a_served_pool(name="Going", deleting=True)
    loose, member = an_adapter(name="loose"), an_adapter(name="member", pool=going)
    await stored(store, going, loose, member)
    assert isinstance(await refusal(deploy_adapter(store, ALICE, NOW, rt_id=loose.rt_id)), AdapterNotInPool)
    assert isinstance(await refusal(deploy_adapter(store, ALICE, NOW, rt_id=member.rt_id)), BeingDeleted)
    assert isinstance(await refusal(deploy_pool_adapters(store, ALICE, NOW, rt_id=going.rt_id)), BeingDeleted)
    for missing in (deploy_adapter, undeploy_adapter, deploy_pool_adapters, undeploy_pool_adapters):
        rt_id = an_rt_id()
        problem = await refusal(missing(store, ALICE, NOW, rt_id=rt_id))
        assert isinstance(problem, NotFound)
        assert rt_id in problem.message


async def test_a_wish_based_on_an_older_version_is_refused(store: TenantStore) -> None:
    pool = a_pool(rt_version=2)
    adapter = an_adapter(pool=pool, rt_version=3)
    await stored(store, pool, adapter)
    for wish, entity in (
        (deploy_adapter, adapter),
        (undeploy_adapter, adapter),
        (deploy_pool_adapters, pool),
        (undeploy_pool_adapters, pool),
    ):
        problem = await refusal(wish(store, ALICE, NOW, rt_id=entity.rt_id, expected_version=1))
        assert isinstance(problem, VersionConflict)
        assert problem.current.rt_id == entity.rt_id
    assert (await deploy_adapter(store, ALICE, NOW, rt_id=adapter.rt_id, expected_version=3)).wanted


async def test_wishes_that_race_count_each_change_once(store: TenantStore) -> None:
    pool = a_served_pool()
    adapter = an_adapter(pool=pool)
    await stored(store, pool, adapter)
    wishes = (
        (deploy_adapter if number % 2 else undeploy_adapter)(store, ALICE, NOW, rt_id=adapter.rt_id)
        for number in range(40)
    )
    await asyncio.gather(*wishes)
    lines = (await store.transition_page(adapter, PageRequest(first=500))).rows
    found = await reread(store, adapter)
    assert found.generation == sum(line.what is Aspect.WISH for line in lines)
    assert found.wanted == (found.generation % 2 == 1)


async def test_what_is_being_deployed_is_never_outside_a_pool(store: TenantStore) -> None:
    pool = a_pool(name="North")
    await stored(store, pool)
    for number in range(20):
        adapter = an_adapter(name=f"Adapter {number}", pool=pool)
        await stored(store, adapter)
        await asyncio.gather(
            deploy_adapter(store, ALICE, NOW, rt_id=adapter.rt_id),
            move_adapter(store, ALICE, NOW, rt_id=adapter.rt_id, pool_rt_id=None),
            return_exceptions=True,
        )
        found = await reread(store, adapter)
        assert found.wanted == (found.pool_rt_id is not None)


@both_drivers
async def test_edits_of_a_pool_wait_for_a_large_wish_and_do_not_starve_it(store: TenantStore) -> None:
    pool = a_pool()
    await stored(store, pool, *(an_adapter(name=f"{number}", pool=pool) for number in range(150)))
    deploying = asyncio.create_task(deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id))
    edited = await asyncio.gather(
        *(edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={"description": f"{number}"}) for number in range(70))
    )
    assert len((await deploying).adapters) == 150
    assert sorted(pool.rt_version for pool in edited) == list(range(2, 72))
