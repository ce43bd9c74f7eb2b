"""Lists of pools and adapters, in a real MongoDB."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pymongo
import pytest
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.states import (
    AdapterType,
    CommunicationState,
    ConfigurationState,
    DeploymentState,
    HealthLevel,
)
from octomesh_graphql.domain.tally import Tally
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.mongo import Mongo
from octomesh_graphql.store.paging import InvalidPage, Page, PageRequest, Sort
from octomesh_graphql.store.selecting import AdapterFilter, AdapterOrderField, PoolFilter, PoolOrderField
from octomesh_graphql.store.tenants import Registry
from tests.builders import LATER, NOW, a_pool, a_served_pool, a_tally, an_adapter, an_rt_id, stored
from tests.drivers import both_drivers

pytestmark = both_drivers

PAGE = PageRequest()


def names(page: Page[Any]) -> list[str]:
    return [row.name for row in page.rows]


async def pools_of_every_kind(store: TenantStore) -> dict[str, tuple[Pool, list[Adapter]]]:
    """Pools with up to two adapters in all combinations of states."""
    states = [
        {"deployment_state": deployment, "configuration_state": configuration, "wanted": wanted}
        for deployment, configuration, wanted in itertools.product(DeploymentState, ConfigurationState, (True, False))
    ]
    combinations = [(), *[(state,) for state in states], *zip(states, [*states[7:], *states[:7]], strict=True)]
    made = {}
    for number, combination in enumerate(combinations):
        pool = a_pool(name=f"Pool {number:03}")
        members = [
            an_adapter(name=f"{number:03}.{index}", pool=pool, **state) for index, state in enumerate(combination)
        ]
        made[pool.name] = pool, members
    for pool, members in made.values():
        await stored(store, pool, *members)
    return made


# Derived states


async def test_mongodb_and_python_agree_on_the_states_of_pools(store: TenantStore) -> None:
    made = await pools_of_every_kind(store)
    page = await store.pool_page(PageRequest(first=500), counted=True)
    assert page.total == len(made)
    for pool in page.rows:
        assert pool.tally == a_tally(*made[pool.name][1])


@pytest.mark.parametrize("state", ["deployment_state", "configuration_state"])
async def test_filters_by_derived_states_find_what_python_finds(store: TenantStore, state: str) -> None:
    made = await pools_of_every_kind(store)
    tallies = {name: a_tally(*members) for name, (_, members) in made.items()}
    every: Any = DeploymentState if state == "deployment_state" else ConfigurationState
    for wanted in every:
        conditions: dict[str, Any] = {state: [wanted]}
        page = await store.pool_page(
            PageRequest(first=500), chosen=PoolFilter(**conditions), search="pool", counted=True
        )
        expected = [name for name, tally in tallies.items() if getattr(tally, state) is wanted]
        assert names(page) == expected
        assert page.total == len(expected)


@pytest.mark.parametrize("field", [PoolOrderField.DEPLOYMENT_STATE, PoolOrderField.CONFIGURATION_STATE])
async def test_pages_ordered_by_derived_states_are_in_the_order_of_python(
    store: TenantStore, field: PoolOrderField
) -> None:
    made = await pools_of_every_kind(store)
    state = "deployment_state" if field is PoolOrderField.DEPLOYMENT_STATE else "configuration_state"
    order = [Sort(field.value, descending=True), Sort("nameKey")]
    read: list[str] = []
    request = PageRequest(first=10)
    while True:
        page = await store.pool_page(request, order=order)
        read += names(page)
        if not page.has_next:
            break
        request = PageRequest(first=10, after=page.cursors[-1])
    ranks = {name: getattr(a_tally(*members), state).value for name, (_, members) in made.items()}
    assert read == sorted(ranks, key=lambda name: (-ranks[name], name))


async def test_pools_are_filtered_and_ordered_by_the_attention_they_need_as_python_judges_it(
    store: TenantStore,
) -> None:
    communications = list(itertools.product(CommunicationState, repeat=2))
    members = [
        {"deployment_state": deployment, "wanted": wanted} for deployment in DeploymentState for wanted in (True, False)
    ]
    for number, ((operator, process), states) in enumerate(itertools.product(communications, members)):
        pool = a_pool(name=f"Pool {number:03}", communication_state=operator)
        await stored(store, pool, an_adapter(name=f"{number}", pool=pool, communication_state=process, **states))
    await stored(
        store, *(a_pool(name=f"Empty {state.name}", communication_state=state) for state in CommunicationState)
    )
    everything = (await store.pool_page(PageRequest(first=500))).rows
    assert {pool.health.level for pool in everything} == set(HealthLevel)
    for level in HealthLevel:
        found = await store.pool_page(PageRequest(first=500), chosen=PoolFilter(health=[level]))
        assert names(found) == [pool.name for pool in everything if pool.health.level is level]
    worst_first = [Sort(PoolOrderField.HEALTH.value, descending=True), Sort("nameKey")]
    ordered = await store.pool_page(PageRequest(first=500), order=worst_first)
    assert names(ordered) == [each.name for each in sorted(everything, key=lambda pool: -pool.health.level.value)]


# Filters


async def test_filters_choose_adapters(store: TenantStore) -> None:
    north, south = a_pool(name="North"), a_pool(name="South")
    await stored(
        store,
        north,
        south,
        an_adapter(name="a", pool=north, type=AdapterType.MESH),
        an_adapter(name="b", pool=north, communication_state=CommunicationState.ONLINE),
        an_adapter(name="c", pool=south, deployment_state=DeploymentState.ERROR),
        an_adapter(name="d", configuration_state=ConfigurationState.ERROR),
    )
    expectations: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["a", "b", "c", "d"]),
        ({"pool_rt_id": north.rt_id}, ["a", "b"]),
        ({"pool_rt_id": an_rt_id()}, []),
        ({"unassigned": True}, ["d"]),
        ({"unassigned": False}, ["a", "b", "c"]),
        ({"pool_rt_id": north.rt_id, "unassigned": True}, []),
        ({"type": [AdapterType.MESH]}, ["a"]),
        ({"type": [AdapterType.MESH, AdapterType.EDGE]}, ["a", "b", "c", "d"]),
        ({"type": []}, []),
        ({"communication_state": [CommunicationState.ONLINE]}, ["b"]),
        ({"deployment_state": [DeploymentState.ERROR]}, ["c"]),
        ({"configuration_state": [ConfigurationState.ERROR]}, ["d"]),
        ({"name_contains": "B"}, ["b"]),
        ({"rt_ids": []}, []),
        ({"rt_ids": [an_rt_id()]}, []),
    ]
    for conditions, expected in expectations:
        page = await store.adapter_page(PAGE, chosen=AdapterFilter(**conditions), counted=True)
        assert (names(page), page.total) == (expected, len(expected)), conditions


async def test_filters_choose_pools(store: TenantStore) -> None:
    north, south = a_served_pool(name="North"), a_pool(name="South")
    await stored(store, north, south)
    online = PoolFilter(communication_state=[CommunicationState.ONLINE])
    assert names(await store.pool_page(PAGE, chosen=online)) == ["North"]
    assert names(await store.pool_page(PAGE, chosen=PoolFilter(rt_ids=[south.rt_id]))) == ["South"]
    assert names(await store.pool_page(PAGE, chosen=PoolFilter(name_contains="th"))) == ["North", "South"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (".*", ["a.*b"]),
        ("a.*b", ["a.*b"]),
        ("^", []),
        ("[", ["x[y"]),
        ("(", ["(?i)"]),
        ("\\", ["back\\slash"]),
        ("$where", ["$where"]),
        ('{"$gt": ""}', ['{"$gt": ""}']),
        ("ÖL", ["Öl"]),
        ("O\u0308l", ["Öl"]),
        ("öL", ["Öl"]),
        ("  öl ", ["Öl"]),
        ("Ol", []),
        ("👩‍👩‍👧", ["👩‍👩‍👧‍👦"]),
        ("سيم", ["سيمنس"]),
        ("at the\nsea", ["Öl"]),
        ("", ["(?i)", "$where", "a.*b", "back\\slash", "Öl", "x[y", '{"$gt": ""}', "سيمنس", "👩‍👩‍👧‍👦"]),
        (" ", ["(?i)", "$where", "a.*b", "back\\slash", "Öl", "x[y", '{"$gt": ""}', "سيمنس", "👩‍👩‍👧‍👦"]),
        ("\x00", []),
        ("\ud800", []),
        ("a" * 100_000, []),
    ],
    ids=repr,
)
async def test_a_search_takes_every_character_for_itself(
    searchable: TenantStore, search: str, found: list[str]
) -> None:
    assert sorted(names(await searchable.pool_page(PAGE, search=search))) == sorted(found)


@pytest.fixture
async def searchable(store: TenantStore) -> TenantStore:
    awkward = ["a.*b", "x[y", "(?i)", "back\\slash", "$where", '{"$gt": ""}', "👩‍👩‍👧‍👦", "سيمنس"]
    await stored(store, a_pool(name="Öl", description="Drilled at the\nsea."), *(a_pool(name=name) for name in awkward))
    return store


async def test_an_entity_is_found_by_its_name_without_case(store: TenantStore) -> None:
    await stored(store, a_pool(name="Öl"), an_adapter(name="Öl"))
    assert (await store.pool_named("öl")) is not None
    assert (await store.adapter_named(" ÖL")) is not None
    for other in ("Ol", "", "\ud800", "\x00", "$ne"):
        assert (await store.pool_named(other)) is None
        assert (await store.adapter_named(other)) is None


# Orders


async def test_every_order_can_be_read_page_by_page(store: TenantStore) -> None:
    await pools_of_every_kind(store)
    await stored(store, a_served_pool(name="Served"), an_adapter(name="Loose", type=AdapterType.MESH))
    for field, descending in itertools.product(PoolOrderField, (True, False)):
        whole = await store.pool_page(PageRequest(first=500), order=[Sort(field.value, descending)])
        half = await store.pool_page(PageRequest(first=33), order=[Sort(field.value, descending)])
        rest = await store.pool_page(
            PageRequest(first=500, after=half.cursors[-1]), order=[Sort(field.value, descending)]
        )
        assert names(half) + names(rest) == names(whole)
    for adapter_field, descending in itertools.product(AdapterOrderField, (True, False)):
        order = [Sort(adapter_field.value, descending)]
        everyone = await store.adapter_page(PageRequest(first=500), order=order)
        some = await store.adapter_page(PageRequest(last=33), order=order)
        others = await store.adapter_page(PageRequest(last=500, before=some.cursors[0]), order=order)
        assert names(others) + names(some) == names(everyone)


async def test_a_cursor_is_refused_by_every_other_list(store: TenantStore, registry: Registry) -> None:
    await stored(store, a_pool(), an_adapter())
    await registry.create("other", None, NOW)
    other = await registry.open("other")
    after = PageRequest(after=(await store.pool_page(PAGE)).cursors[0])
    await store.pool_page(after)
    foreign: list[Awaitable[Any]] = [
        store.pool_page(after, search="x"),
        store.pool_page(after, chosen=PoolFilter(name_contains="x")),
        store.pool_page(after, order=[Sort("nameKey", True)]),
        other.pool_page(after),
        store.adapter_page(after),
        store.adapter_pages([an_rt_id()], after),
    ]
    for page in foreign:
        with pytest.raises(InvalidPage):
            await page


async def test_a_cursor_ends_with_its_tenant(store: TenantStore, registry: Registry) -> None:
    await stored(store, a_pool())
    after = PageRequest(after=(await store.pool_page(PAGE)).cursors[0])
    await registry.delete("acme")
    await registry.create("acme", None, LATER)
    with pytest.raises(InvalidPage):
        await (await registry.open("acme")).pool_page(after)


# Adapters of many pools


async def test_each_pool_gets_a_page_of_its_own(store: TenantStore) -> None:
    pools = [a_pool(name=f"Pool {number}") for number in range(5)]
    members = [
        an_adapter(name=f"{number}.{index}", pool=pool) for number, pool in enumerate(pools) for index in range(number)
    ]
    await stored(store, *pools, *members)
    rt_ids = [*(pool.rt_id for pool in pools), an_rt_id()]
    pages = await store.adapter_pages(rt_ids, PageRequest(first=2))
    assert [names(pages[rt_id]) for rt_id in rt_ids] == [
        [],
        ["1.0"],
        ["2.0", "2.1"],
        ["3.0", "3.1"],
        ["4.0", "4.1"],
        [],
    ]
    assert [pages[rt_id].total for rt_id in rt_ids] == [0, 1, 2, 3, 4, 0]
    assert [pages[rt_id].has_next for rt_id in rt_ids] == [False, False, False, True, True, False]

    request = PageRequest(first=3, after=pages[pools[4].rt_id].cursors[-1])
    rest = await store.adapter_pages([pools[4].rt_id], request)
    assert names(rest[pools[4].rt_id]) == ["4.2", "4.3"]
    assert rest[pools[4].rt_id].total == 4

    descending = [Sort("nameKey", descending=True)]
    last = await store.adapter_pages(rt_ids, PageRequest(last=1), order=descending)
    assert [names(last[rt_id]) for rt_id in rt_ids] == [[], ["1.0"], ["2.0"], ["3.0"], ["4.0"], []]

    chosen = AdapterFilter(name_contains=".1")
    filtered = await store.adapter_pages(rt_ids, PageRequest(first=0), chosen=chosen)
    assert [filtered[rt_id].total for rt_id in rt_ids] == [0, 0, 1, 1, 1, 0]
    assert await store.adapter_pages([], PAGE) == {}


class _Commands(CommandListener):
    """What a client sent to MongoDB."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.sent.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


@asynccontextmanager
async def overheard(uri: str, registry: Registry) -> AsyncIterator[tuple[TenantStore, list[str]]]:
    """The store of `acme` over a connection of its own, and the commands that go over it."""
    commands = _Commands()
    client: Any = pymongo.AsyncMongoClient(uri, event_listeners=[commands], tz_aware=True)
    try:
        store = await Registry(Mongo(client), registry.prefix).open("acme")
        commands.sent.clear()
        yield store, commands.sent
    finally:
        await client.close()


async def test_a_page_is_one_round_trip(mongo_uri: str, registry: Registry, store: TenantStore) -> None:
    await pools_of_every_kind(store)
    async with overheard(mongo_uri, registry) as (listening, sent):
        pools = await listening.pool_page(PageRequest(first=500), counted=True)
        assert sent == ["aggregate"]
        sent.clear()
        pages = await listening.adapter_pages([pool.rt_id for pool in pools.rows], PageRequest(first=500))
        assert sent == ["aggregate"]
        assert sum(page.total or 0 for page in pages.values()) == sum(pool.tally.adapters for pool in pools.rows)
        sent.clear()
        await listening.adapter_page(PAGE, chosen=AdapterFilter(unassigned=True), search="x", counted=True)
        assert sent == ["aggregate"]


# One by one


async def test_entities_are_read_by_their_ids(store: TenantStore) -> None:
    pool = a_pool(name="North")
    members = [an_adapter(name=name, pool=pool) for name in ("b", "a")]
    await stored(store, pool, *members)
    assert await store.adapters([members[0].rt_id, an_rt_id()]) == {members[0].rt_id: members[0]}
    assert await store.adapters_of(pool.rt_id) == [members[1], members[0]]
    found = await store.pool(pool.rt_id)
    assert found is not None
    assert found.tally == a_tally(*members)
    assert await store.pool(members[0].rt_id) is None
    assert await store.pools([]) == {}
    assert (await store.with_present_tally(pool)).tally == found.tally
    assert (await store.with_present_tally(a_pool())).tally == Tally()


async def test_a_large_configuration_is_kept_as_it_is(store: TenantStore) -> None:
    configuration: Any = {"$where": "1", "a.b": {"$gt": ""}, "": None, "big": 10**30, "text": "ö" * 30_000}
    adapter = an_adapter(configuration=configuration)
    await stored(store, adapter)
    found = await store.adapter(adapter.rt_id)
    assert found == adapter


async def test_a_page_of_large_configurations_arrives_whole(store: TenantStore) -> None:
    large = [an_adapter(name=f"{number:03}", configuration="x" * 65_000) for number in range(300)]
    for some in (large[:100], large[100:200], large[200:]):
        await stored(store, *some)
    page = await store.adapter_page(PageRequest(first=300))
    assert len(page.rows) == 300  # 19 MiB: more than MongoDB puts into one answer


# Snapshots


async def test_a_snapshot_holds_what_was_there_at_its_moment(store: TenantStore) -> None:
    there: Sequence[Pool] = [a_pool(name=f"Pool {number:03}") for number in range(40)]
    await stored(store, *there)
    first, more, moment = await store.snapshot("pools", {}, None, None)
    await stored(store, a_pool(name="Too late"))
    rest, end, again = await store.snapshot("pools", {}, more, moment)
    assert [entity.rt_id for entity in (*first, *rest)] == sorted(pool.rt_id for pool in there)
    assert (end, again) == (None, moment)
