"""What one action saved is committed together or not at all."""

from __future__ import annotations

import asyncio

import pytest

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.transition import Aspect
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.mongo import Duplicate, Raced
from octomesh_graphql.store.paging import PageRequest
from octomesh_graphql.store.unit import Unit, write
from tests.builders import ALICE, LATER, NOW, a_pool, an_adapter, stored
from tests.drivers import both_drivers

pytestmark = both_drivers


async def history(store: TenantStore, entity: Pool | Adapter) -> list[tuple[Aspect, str | None, str | None]]:
    page = await store.transition_page(entity, PageRequest())
    return [(line.what, line.from_, line.to) for line in page.rows]


async def read(unit: Unit, entity: Adapter) -> Adapter:
    found = await unit.adapter(entity.rt_id)
    assert found is not None
    return found


async def test_what_was_saved_is_there_with_its_history(store: TenantStore) -> None:
    pool = a_pool(name="North")
    adapter = an_adapter(pool=pool)
    await stored(store, pool, adapter)

    async def deploy(unit: Unit) -> Adapter:
        return unit.save((await read(unit, adapter)).deploy(LATER, pool))

    deployed = await write(store, deploy, caller=ALICE, now=LATER)
    assert await store.adapter(adapter.rt_id) == deployed
    assert deployed.revision == 2
    assert await history(store, adapter) == [
        (Aspect.DEPLOYMENT, "UNDEPLOYED", "PENDING"),
        (Aspect.WISH, "UNDEPLOYED", "DEPLOYED"),
        (Aspect.EXISTENCE, None, "EXISTS"),
    ]
    assert len(await history(store, pool)) == 4
    [newest, *_] = (await store.transition_page(adapter, PageRequest())).rows
    assert (newest.who, newest.at, newest.entity_name) == ("alice", LATER, "OPC UA")
    assert newest.id


async def test_history_is_read_page_by_page(store: TenantStore) -> None:
    pool = a_pool()
    await stored(store, pool, *(an_adapter(name=f"{number}", pool=pool) for number in range(5)))
    whole = await store.transition_page(pool, PageRequest())
    start = await store.transition_page(pool, PageRequest(first=4))
    rest = await store.transition_page(pool, PageRequest(first=4, after=start.cursors[-1]))
    assert [*start.rows, *rest.rows] == whole.rows
    assert len(whole.rows) == 6


async def test_who_lost_a_race_decides_again_on_what_is_there(store: TenantStore) -> None:
    adapter = an_adapter(name="first")
    await stored(store, adapter)
    seen: list[str] = []

    async def describe(unit: Unit) -> Adapter:
        found = await read(unit, adapter)
        seen.append(found.name)
        if len(seen) == 1:
            await rename(store, adapter, "second")
        return unit.save(found.edited(LATER, description="Described."))

    edited = await write(store, describe, caller=ALICE, now=LATER)
    assert seen == ["first", "second"]
    assert (edited.name, edited.description, edited.rt_version, edited.revision) == ("second", "Described.", 3, 3)
    assert await store.adapter(adapter.rt_id) == edited


async def rename(store: TenantStore, adapter: Adapter, name: str) -> Adapter:
    async def act(unit: Unit) -> Adapter:
        return unit.save((await read(unit, adapter)).edit(NOW, {"name": name}, None))

    return await write(store, act, caller=ALICE, now=NOW)


async def test_nothing_is_half_written_when_one_of_several_is_taken(store: TenantStore) -> None:
    adapter, other = an_adapter(name="first"), an_adapter(name="taken")
    await stored(store, adapter, other)

    async def act(unit: Unit) -> None:
        unit.save((await read(unit, adapter)).deploy(LATER, a_pool()))
        unit.save(an_adapter(name="TAKEN"))
        unit.save(a_pool())

    with pytest.raises(Duplicate) as duplicate:
        await write(store, act, caller=ALICE, now=LATER)
    assert duplicate.value.fields == {"nameKey"}
    assert await store.adapter(adapter.rt_id) == adapter
    assert (await store.pool_page(PageRequest(), counted=True)).total == 0
    assert (await store.adapter_page(PageRequest(), counted=True)).total == 2
    assert len(await history(store, adapter)) == 1


async def test_a_name_that_is_taken_meanwhile_is_a_duplicate_and_no_race(store: TenantStore) -> None:
    adapter = an_adapter(name="first")
    await stored(store, adapter, an_adapter(name="taken"))
    with pytest.raises(Duplicate):
        await rename(store, adapter, "Taken")


async def test_nothing_is_half_written_when_one_of_several_was_changed_meanwhile(store: TenantStore) -> None:
    pool = a_pool()
    adapters = [an_adapter(name=f"{number}", pool=pool) for number in range(3)]
    await stored(store, pool, *adapters)

    async def act(unit: Unit) -> None:
        for adapter in adapters:
            unit.save((await read(unit, adapter)).deploy(LATER, pool))
        await rename(store, adapters[-1], "other")

    unit = Unit(store, who="alice", now=LATER)
    await act(unit)
    with pytest.raises(Raced):
        await store.commit(unit.changes(), unit.transitions())
    assert [adapter.wanted for adapter in await store.adapters_of(pool.rt_id)] == [False, False, False]
    assert [line for line in await history(store, pool) if line[0] is Aspect.WISH] == []


async def test_what_was_read_and_held_must_still_be_so(store: TenantStore) -> None:
    pool = a_pool(name="North")
    await stored(store, pool)
    seen: list[str] = []

    async def add_member(unit: Unit) -> None:
        found = await unit.pool(pool.rt_id)
        assert found is not None
        seen.append(found.name)
        if len(seen) == 1:
            await write(store, rename_pool, caller=ALICE, now=NOW)
        unit.hold(found)
        unit.save(an_adapter(pool=found))

    async def rename_pool(unit: Unit) -> None:
        found = await unit.pool(pool.rt_id)
        assert found is not None
        unit.save(found.edit(NOW, {"name": "South"}))

    await write(store, add_member, caller=ALICE, now=NOW)
    assert seen == ["North", "South"]


async def test_what_was_deleted_meanwhile_is_not_brought_back(store: TenantStore) -> None:
    adapter = an_adapter()
    await stored(store, adapter)
    seen: list[Adapter | None] = []

    async def edit(unit: Unit) -> None:
        found = await unit.adapter(adapter.rt_id)
        seen.append(found)
        if found:
            await write(store, delete, caller=ALICE, now=NOW)
            unit.save(found.edit(LATER, {"name": "other"}, None))

    async def delete(unit: Unit) -> None:
        unit.delete(await read(unit, adapter))

    await write(store, edit, caller=ALICE, now=LATER)
    assert seen == [adapter, None]
    assert await store.adapter(adapter.rt_id) is None
    assert (await history(store, adapter))[0] == (Aspect.EXISTENCE, "EXISTS", None)


async def test_a_unit_sees_one_version_of_each_entity(store: TenantStore) -> None:
    adapter = an_adapter(name="first")
    await stored(store, adapter)
    unit = Unit(store, who="alice", now=LATER)
    once = await read(unit, adapter)
    await rename(store, adapter, "second")
    assert await read(unit, adapter) is once
    unit.save(once.edited(LATER, description="Described."))
    with pytest.raises(Raced):
        await store.commit(unit.changes(), unit.transitions())
    assert (await store.adapters([adapter.rt_id]))[adapter.rt_id].name == "second"


async def test_what_is_as_it_was_is_not_written(store: TenantStore) -> None:
    adapter = an_adapter()
    await stored(store, adapter)

    async def act(unit: Unit) -> Adapter:
        return unit.save(await read(unit, adapter))

    assert await write(store, act, caller=ALICE, now=LATER) == adapter
    assert (await store.adapters([adapter.rt_id]))[adapter.rt_id].revision == 1


async def test_every_one_of_a_crowd_of_writers_gets_its_turn(store: TenantStore) -> None:
    adapter = an_adapter()
    await stored(store, adapter)

    async def edit(unit: Unit) -> None:
        unit.save((await read(unit, adapter)).edited(NOW))

    await asyncio.gather(*(write(store, edit, caller=ALICE, now=NOW) for _ in range(100)))
    assert (await store.adapters([adapter.rt_id]))[adapter.rt_id].rt_version == 101


async def test_what_an_action_raises_leaves_nothing(store: TenantStore) -> None:
    async def act(unit: Unit) -> None:
        unit.save(a_pool())
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        await write(store, act, caller=ALICE, now=NOW)
    assert (await store.pool_page(PageRequest(), counted=True)).total == 0
