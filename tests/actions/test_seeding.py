"""The demo tenant: filled once, then the user's."""

from __future__ import annotations

from octomesh_graphql.actions.arranging import DeletionMode, delete_adapter, delete_pool, edit_pool
from octomesh_graphql.actions.deploying import undeploy_pool_adapters
from octomesh_graphql.actions.seeding import DEMO, seed_demo
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.states import AdapterType, CommunicationState, DeploymentState
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.paging import PageRequest
from octomesh_graphql.store.tenants import Registry
from tests.builders import ALICE, LATER, NOW


class Interrupted(Exception):
    pass


async def pools(store: TenantStore) -> list[Pool]:
    return list((await store.pool_page(PageRequest(first=500))).rows)


async def adapters(store: TenantStore) -> list[Adapter]:
    return list((await store.adapter_page(PageRequest(first=500))).rows)


async def test_there_is_something_of_everything_to_look_at(registry: Registry) -> None:
    assert await seed_demo(registry, NOW)
    store = await registry.open(DEMO)
    members, found = await pools(store), await adapters(store)
    assert (len(members), len(found)) == (5, 14)
    assert {adapter.type for adapter in found} == set(AdapterType)
    assert len([adapter for adapter in found if adapter.pool_rt_id is None]) == 2
    assert len([pool for pool in members if pool.tally.adapters == 0]) == 1
    assert len([adapter for adapter in found if "/broken/" in adapter.image_name and adapter.wanted]) == 1
    assert all(adapter.description and adapter.configuration for adapter in found)


async def test_wishes_are_pending_and_say_what_they_wait_for(registry: Registry) -> None:
    await seed_demo(registry, NOW)
    store = await registry.open(DEMO)
    wanted = [adapter for adapter in await adapters(store) if adapter.wanted]
    assert {adapter.deployment_state for adapter in wanted} == {DeploymentState.PENDING}
    assert all("no operator serves the pool" in (adapter.status_message or "") for adapter in wanted)
    assert {pool.communication_state for pool in await pools(store)} == {CommunicationState.UNREGISTERED}


async def test_a_second_start_leaves_the_tenant_as_the_user_left_it(registry: Registry) -> None:
    await seed_demo(registry, NOW)
    store = await registry.open(DEMO)
    north, south, *_ = await pools(store)
    await edit_pool(store, ALICE, LATER, rt_id=north.rt_id, given={"name": "Mine"})
    await delete_pool(store, ALICE, LATER, rt_id=south.rt_id, mode=DeletionMode.FORCE)
    left = await pools(store), await adapters(store)
    assert not await seed_demo(registry, LATER)
    assert (await pools(store), await adapters(store)) == left


async def test_an_emptied_tenant_stays_empty(registry: Registry) -> None:
    await seed_demo(registry, NOW)
    store = await registry.open(DEMO)
    for pool in await pools(store):
        await undeploy_pool_adapters(store, ALICE, LATER, rt_id=pool.rt_id)
        await delete_pool(store, ALICE, LATER, rt_id=pool.rt_id, mode=DeletionMode.ONLY_IF_UNDEPLOYED)
    for adapter in await adapters(store):
        await delete_adapter(store, ALICE, LATER, rt_id=adapter.rt_id)
    await seed_demo(registry, LATER)
    assert await adapters(store) == []


async def test_an_interrupted_filling_is_completed_without_doubles(registry: Registry) -> None:
    await seed_demo(registry, NOW)
    complete = await names(registry)
    await registry.delete(DEMO)
    for steps in (0, 1, 2, 9, 17):
        await interrupted_after(registry, steps)
    assert await seed_demo(registry, LATER)
    assert await names(registry) == complete


async def test_a_deleted_demo_tenant_comes_back_with_the_next_start(registry: Registry) -> None:
    await seed_demo(registry, NOW)
    await registry.delete(DEMO)
    assert await seed_demo(registry, LATER)
    assert len(await pools(await registry.open(DEMO))) == 5


async def names(registry: Registry) -> list[tuple[str, str | None, bool]]:
    """What there is, by names: the adapters with their pools and wishes, and the pools."""
    store = await registry.open(DEMO)
    pool_names = {pool.rt_id: pool.name for pool in await pools(store)}
    members = [(a.name, pool_names.get(a.pool_rt_id or ""), a.wanted) for a in await adapters(store)]
    return sorted([*members, *((name, None, False) for name in pool_names.values())], key=str)


async def interrupted_after(registry: Registry, steps: int) -> None:
    """Seed, but lose the power after so many writes."""
    store = await registry.open(DEMO) if await registry.tenants() else None
    if store is None:
        await registry.create(DEMO, None, NOW)
        store = await registry.open(DEMO)
    commit, written = store.commit, 0

    async def counted(*arguments: object, **more: object) -> object:
        nonlocal written
        if written == steps:
            raise Interrupted
        written += 1
        return await commit(*arguments, **more)  # type: ignore[arg-type,func-returns-value]

    store.commit = counted  # type: ignore[method-assign, assignment]
    try:
        await seed_demo(registry, NOW)
        raise AssertionError("not interrupted")
    except Interrupted:
        registry.forget(DEMO)
