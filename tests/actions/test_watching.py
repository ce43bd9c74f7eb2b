"""What subscribers are told: everything that matters, in order, whatever happens to them or to the stream."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from octomesh_graphql.actions.arranging import DeletionMode, delete_adapter, delete_pool, edit_pool, move_adapter
from octomesh_graphql.actions.deploying import deploy_adapter
from octomesh_graphql.actions.watching import (
    InvalidCursor,
    adapter_changes,
    communication_state_changes,
    pool_changes,
)
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.change import Change, ChangeKind, CommunicationStateChange
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.states import CommunicationState, DeploymentState
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import HISTORY_EVENTS, INBOX_ENTITIES, INBOX_EVENTS, Event, Feed, Position
from octomesh_graphql.store.mongo import ChangeHistoryLost, Timestamp
from octomesh_graphql.store.tenants import Registry
from octomesh_graphql.store.unit import Unit, write
from tests.builders import (
    ALICE,
    LATER,
    NOW,
    a_pool,
    a_served_pool,
    a_session,
    an_adapter,
    an_rt_id,
    created_adapter,
    created_pool,
    stored,
)
from tests.drivers import both_drivers

SNAPSHOT, LIVE = ChangeKind.SNAPSHOT, ChangeKind.LIVE
CREATED, UPDATED, DELETED, RESYNC = ChangeKind.CREATED, ChangeKind.UPDATED, ChangeKind.DELETED, ChangeKind.RESYNC
UNREGISTERED, ONLINE, OFFLINE = CommunicationState

Watcher = AsyncIterator[Change]


@asynccontextmanager
async def watching(watcher: Any) -> AsyncIterator[Watcher]:
    """A watcher that goes in the end, and nothing that takes longer than a test should."""
    async with asyncio.timeout(20), aclosing(watcher):
        yield watcher


async def told(watcher: Watcher, count: int) -> list[Change]:
    """The next so many changes."""
    return [await anext(watcher) for _ in range(count)]


async def until(watcher: Watcher, kind: ChangeKind) -> list[Change]:
    """All changes up to the first of a kind."""
    changes = []
    async for change in watcher:
        changes.append(change)
        if change.kind is kind:
            break
    return changes


def kinds(changes: Sequence[Change]) -> list[ChangeKind]:
    return [change.kind for change in changes]


async def set_state(store: TenantStore, entity: Pool | Adapter, state: CommunicationState) -> None:
    """What an agent that comes or goes does to the state."""

    async def act(unit: Unit) -> None:
        found: Any = await (unit.pool(entity.rt_id) if isinstance(entity, Pool) else unit.adapter(entity.rt_id))
        event = {ONLINE: found.registered, OFFLINE: found.lost, UNREGISTERED: found.released}[state]
        unit.save(event(NOW, session=a_session(), reason=f"It is {state.name}."))

    await write(store, act, caller=ALICE, now=NOW)


# From the beginning


@both_drivers
async def test_a_new_watcher_is_told_the_present_then_live_then_changes(store: TenantStore, feed: Feed) -> None:
    pools = [await created_pool(store, name) for name in ("North", "South")]
    async with watching(pool_changes(store, feed)) as watcher:
        changes = await told(watcher, 3)
        assert kinds(changes) == [SNAPSHOT, SNAPSHOT, LIVE]
        assert [change.entity for change in changes[:2]] == pools
        assert (changes[2].rt_id, changes[2].entity) == (None, None)

        new = await created_pool(store, "West")
        [created] = await told(watcher, 1)
        assert (created.kind, created.entity) == (CREATED, new)
        edited = await edit_pool(store, ALICE, LATER, rt_id=new.rt_id, given={"name": "East"})
        [updated] = await told(watcher, 1)
        assert (updated.kind, updated.entity) == (UPDATED, edited)
        await delete_pool(store, ALICE, LATER, rt_id=new.rt_id, mode=DeletionMode.ONLY_IF_UNDEPLOYED)
        [deleted] = await told(watcher, 1)
        assert (deleted.kind, deleted.rt_id) == (DELETED, new.rt_id)
        assert deleted.entity is not None
        assert deleted.entity.name == "East"


@both_drivers
async def test_an_empty_tenant_is_live_at_once(store: TenantStore, feed: Feed) -> None:
    for watch in (pool_changes, adapter_changes, communication_state_changes):
        async with watching(watch(store, feed)) as watcher:
            [live] = await told(watcher, 1)
            assert live.kind is LIVE
            assert isinstance(live, CommunicationStateChange) == (watch is communication_state_changes)


async def test_a_snapshot_of_many_is_whole(store: TenantStore, feed: Feed) -> None:
    pools = [a_pool(name=f"{number:03}") for number in range(250)]
    await stored(store, *pools)
    async with watching(pool_changes(store, feed)) as watcher:
        changes = await until(watcher, LIVE)
    assert sorted(str(change.rt_id) for change in changes[:-1]) == sorted(pool.rt_id for pool in pools)


@both_drivers
async def test_nothing_falls_between_the_snapshot_and_the_changes(store: TenantStore, feed: Feed) -> None:
    pools = [await created_pool(store, f"{number}") for number in range(5)]
    versions = 20

    async def edit(pool: Pool) -> None:
        for number in range(versions):
            await edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={"description": f"{number}"})

    async def follow() -> dict[str, list[int]]:
        """The revisions each pool was told with, until the last."""
        seen: dict[str, list[int]] = {pool.rt_id: [] for pool in pools}
        async with watching(pool_changes(store, feed)) as watcher:
            async for change in watcher:
                if change.entity:
                    seen[change.entity.rt_id].append(change.entity.revision)
                if all(revisions and revisions[-1] == versions + 1 for revisions in seen.values()):
                    return seen
        raise AssertionError("it ended")

    writers = [asyncio.create_task(edit(pool)) for pool in pools]
    for seen in await asyncio.gather(*(follow() for _ in range(10))):
        for revisions in seen.values():
            assert revisions == sorted(set(revisions))
    await asyncio.gather(*writers)


@both_drivers
async def test_no_transition_is_missing_between_the_snapshot_and_the_changes(store: TenantStore, feed: Feed) -> None:
    pool = await created_pool(store)
    states = [ONLINE, OFFLINE] * 30

    async def write() -> None:
        for state in states:
            await set_state(store, pool, state)

    async def follow() -> list[CommunicationState]:
        known: list[Any] = []
        async with watching(communication_state_changes(store, feed)) as watcher:
            async for change in watcher:
                assert isinstance(change, CommunicationStateChange)
                if change.kind is UPDATED:
                    assert change.previous is known[-1]
                if change.current:
                    known.append(change.current)
                if change.entity and change.entity.revision == len(states) + 1:
                    return known
        raise AssertionError("it ended")

    writing = asyncio.create_task(write())
    for known in await asyncio.gather(*(follow() for _ in range(10))):
        assert known == [UNREGISTERED, *states][-len(known) :]
    await writing


# What concerns whom


async def test_pools_are_told_of_their_members(store: TenantStore, feed: Feed) -> None:
    north, south = await created_pool(store, "North"), await created_pool(store, "South")
    async with watching(pool_changes(store, feed, rt_ids=[north.rt_id])) as watcher:
        await until(watcher, LIVE)
        member = await created_adapter(store, pool=north)
        await created_adapter(store, "other", pool=south)

        async def members(count: int, state: DeploymentState = DeploymentState.UNDEPLOYED) -> None:
            async for change in watcher:
                assert (change.kind, change.rt_id) == (UPDATED, north.rt_id)
                assert isinstance(change.entity, Pool)
                if (change.entity.tally.adapters, change.entity.deployment_state) == (count, state):
                    return

        await members(1)
        await deploy_adapter(store, ALICE, NOW, rt_id=member.rt_id)
        await members(1, DeploymentState.PENDING)
        second = await created_adapter(store, "second", pool=south)
        await move_adapter(store, ALICE, NOW, rt_id=second.rt_id, pool_rt_id=north.rt_id)
        await members(2, DeploymentState.PENDING)
        await move_adapter(store, ALICE, NOW, rt_id=second.rt_id, pool_rt_id=None)
        await members(1, DeploymentState.PENDING)


async def test_adapters_that_come_to_or_leave_the_watched_pools_are_told(store: TenantStore, feed: Feed) -> None:
    north, south = await created_pool(store, "North"), await created_pool(store, "South")
    member, other = await created_adapter(store, "a", pool=north), await created_adapter(store, "b", pool=south)
    async with watching(adapter_changes(store, feed, pool_rt_ids=[north.rt_id])) as watcher:
        [snapshot, live] = await told(watcher, 2)
        assert (snapshot.entity, live.kind) == (member, LIVE)
        left = await move_adapter(store, ALICE, NOW, rt_id=member.rt_id, pool_rt_id=south.rt_id)
        [gone] = await told(watcher, 1)
        assert (gone.kind, gone.entity) == (UPDATED, left)
        await move_adapter(store, ALICE, NOW, rt_id=member.rt_id, pool_rt_id=None)  # not of interest any more
        joined = await move_adapter(store, ALICE, NOW, rt_id=other.rt_id, pool_rt_id=north.rt_id)
        [came] = await told(watcher, 1)
        assert (came.kind, came.entity) == (UPDATED, joined)
        new = await created_adapter(store, "c", pool=north)
        assert [(change.kind, change.entity) for change in await told(watcher, 1)] == [(CREATED, new)]
        await delete_adapter(store, ALICE, NOW, rt_id=new.rt_id)
        assert [(change.kind, change.entity) for change in await told(watcher, 1)] == [(DELETED, new)]


async def test_only_the_adapters_asked_for_are_told(store: TenantStore, feed: Feed) -> None:
    wanted, other = await created_adapter(store, "wanted"), await created_adapter(store, "other")
    async with watching(adapter_changes(store, feed, rt_ids=[wanted.rt_id])) as watcher:
        assert [change.rt_id for change in await told(watcher, 2)] == [wanted.rt_id, None]
        for adapter in (other, wanted):
            await delete_adapter(store, ALICE, NOW, rt_id=adapter.rt_id)
        assert [change.rt_id for change in await told(watcher, 1)] == [wanted.rt_id]


async def test_a_transition_tells_what_was_what_is_when_and_why(store: TenantStore, feed: Feed) -> None:
    pool, adapter = await created_pool(store), await created_adapter(store)
    async with watching(communication_state_changes(store, feed)) as watcher:
        changes = await told(watcher, 3)
        assert kinds(changes) == [SNAPSHOT, SNAPSHOT, LIVE]
        assert isinstance(changes[0], CommunicationStateChange)
        assert (changes[0].previous, changes[0].current) == (None, UNREGISTERED)
        for entity in (pool, adapter):
            await set_state(store, entity, ONLINE)
            [change] = await told(watcher, 1)
            assert isinstance(change, CommunicationStateChange)
            assert (change.rt_id, change.previous, change.current) == (entity.rt_id, UNREGISTERED, ONLINE)
            assert (change.timestamp, change.reason) == (NOW, "It is ONLINE.")


@pytest.mark.parametrize(
    ("pools", "adapters", "states", "heard"),
    [
        (None, None, None, ["North", "South", "OPC UA"]),
        (["North"], None, None, ["North"]),
        (None, ["OPC UA"], None, ["OPC UA"]),
        (["South"], ["OPC UA"], None, ["South", "OPC UA"]),
        ([], None, None, []),
        (None, None, [OFFLINE], ["North", "South", "OPC UA"]),
        (["North"], [], [ONLINE, UNREGISTERED], ["North"]),
    ],
)
async def test_only_the_entities_and_states_asked_for_are_told(
    store: TenantStore,
    feed: Feed,
    pools: list[str] | None,
    adapters: list[str] | None,
    states: list[CommunicationState] | None,
    heard: list[str],
) -> None:
    entities: dict[str, Pool | Adapter] = {
        "North": await created_pool(store, "North"),
        "South": await created_pool(store, "South"),
        "OPC UA": await created_adapter(store, "OPC UA"),
    }
    chosen: dict[str, Any] = {
        "pool_rt_ids": None if pools is None else [entities[name].rt_id for name in pools],
        "adapter_rt_ids": None if adapters is None else [entities[name].rt_id for name in adapters],
    }
    async with watching(communication_state_changes(store, feed, states=states, **chosen)) as watcher:
        [*snapshot, _] = await until(watcher, LIVE)
        at_first = heard if states is None or UNREGISTERED in states else []
        assert [change.entity for change in snapshot] == [entities[name] for name in at_first]

        steps = (ONLINE, OFFLINE, UNREGISTERED)
        for entity in entities.values():
            for state in steps:
                await set_state(store, entity, state)
        expected = [(entities[name].rt_id, step) for name in heard for step in steps if step in (states or steps)]
        changes = await told(watcher, len(expected))
        found = [(change.rt_id, change.current) for change in changes if isinstance(change, CommunicationStateChange)]
        assert found == expected


async def test_watchers_hear_only_of_their_tenant(registry: Registry, store: TenantStore, feed: Feed) -> None:
    await registry.create("beta", None, NOW)
    beta = await registry.open("beta")
    async with watching(pool_changes(store, feed)) as watcher:
        await until(watcher, LIVE)
        await created_pool(beta, "theirs")
        ours = await created_pool(store, "ours")
        assert [change.entity for change in await told(watcher, 1)] == [ours]


# Resuming


async def test_who_resumes_two_hundred_times_hears_each_transition_once_and_in_order(
    store: TenantStore, feed: Feed
) -> None:
    pools = [await created_pool(store, f"{number}") for number in range(4)]
    states = [ONLINE, OFFLINE, UNREGISTERED] * 17
    heard: dict[str, list[Any]] = {pool.rt_id: [] for pool in pools}
    async with watching(communication_state_changes(store, feed)) as watcher:
        after = (await until(watcher, LIVE))[-1].cursor

    async def write(pool: Pool) -> None:
        for state in states:
            await set_state(store, pool, state)

    writers = [asyncio.create_task(write(pool)) for pool in pools]
    total = len(pools) * len(states)
    assert total >= 200
    for _ in range(total):
        async with watching(communication_state_changes(store, feed, after=after)) as watcher:
            [change] = await told(watcher, 1)
        assert change.kind is UPDATED
        assert isinstance(change, CommunicationStateChange)
        heard[str(change.rt_id)].append(change.current)
        after = change.cursor
    await asyncio.gather(*writers)
    for pool in pools:
        assert heard[pool.rt_id] == states


async def test_who_resumes_hears_what_happened_while_it_was_away(store: TenantStore, feed: Feed) -> None:
    north, south, west = [await created_pool(store, name) for name in ("North", "South", "West")]
    async with watching(pool_changes(store, feed)) as watcher:
        after = (await until(watcher, LIVE))[-1].cursor
    await delete_pool(store, ALICE, NOW, rt_id=south.rt_id, mode=DeletionMode.ONLY_IF_UNDEPLOYED)
    new = await created_pool(store, "New")
    for number in range(3):
        await edit_pool(store, ALICE, NOW, rt_id=north.rt_id, given={"description": f"{number}"})
    passing = await created_pool(store, "Passing")
    await delete_pool(store, ALICE, NOW, rt_id=passing.rt_id, mode=DeletionMode.ONLY_IF_UNDEPLOYED)
    await created_adapter(store, pool=west)

    async with watching(pool_changes(store, feed, after=after)) as watcher:
        changes = await told(watcher, 4)
        assert [(change.kind, change.rt_id) for change in changes] == [
            (DELETED, south.rt_id),
            (CREATED, new.rt_id),
            (UPDATED, north.rt_id),
            (UPDATED, west.rt_id),
        ]
        last = await created_pool(store, "Last")
        assert [change.entity for change in await told(watcher, 1)] == [last]


async def test_a_cursor_is_good_on_every_server(registry: Registry, store: TenantStore, feed: Feed) -> None:
    async with watching(pool_changes(store, feed)) as watcher:
        after = (await until(watcher, LIVE))[-1].cursor
    pool = await created_pool(store)
    elsewhere = Registry(registry.mongo, registry.prefix)
    async with Feed(elsewhere, wait_ms=20).running() as other:
        there = await elsewhere.open("acme")
        async with watching(pool_changes(there, other, after=after)) as watcher:
            assert [change.entity for change in await told(watcher, 1)] == [pool]


async def test_a_cursor_in_the_middle_of_a_snapshot_leads_to_a_new_snapshot(store: TenantStore, feed: Feed) -> None:
    for name in ("North", "South"):
        await created_pool(store, name)
    async with watching(pool_changes(store, feed)) as watcher:
        [first] = await told(watcher, 1)
    async with watching(pool_changes(store, feed, after=first.cursor)) as watcher:
        assert kinds(await told(watcher, 3)) == [SNAPSHOT, SNAPSHOT, LIVE]


async def test_a_history_of_many_pages_is_read_to_its_end(store: TenantStore, feed: Feed) -> None:
    async with watching(adapter_changes(store, feed)) as watcher:
        after = (await until(watcher, LIVE))[-1].cursor
    adapters = [an_adapter(name=f"{number:04}") for number in range(2 * HISTORY_EVENTS + 50)]
    await stored(store, *adapters)
    async with watching(adapter_changes(store, feed, after=after)) as watcher:
        changes = await told(watcher, len(adapters))
    assert {change.rt_id for change in changes} == {adapter.rt_id for adapter in adapters}


class Scripted(Feed):
    """A feed that does not run: its history is given, and its events are put into the inboxes by hand."""

    past: Sequence[Event] = ()

    def missed(self, after: Position) -> bool:
        return True

    async def history(self, tenant_id: str, after: Position) -> tuple[Sequence[Event], bool]:
        return [event for event in self.past if event.position > after], False

    def put(self, event: Event) -> None:
        for inbox in self._inboxes["acme"]:
            inbox.put(event)


async def test_what_the_history_told_is_not_told_again_when_it_comes_late(
    registry: Registry, store: TenantStore, feed: Feed
) -> None:
    async with watching(communication_state_changes(store, feed)) as watcher:
        after = (await until(watcher, LIVE))[-1].cursor
    second = (await registry.mongo.present()).time + 100
    steps = [a_pool(communication_state=state, rt_id=an_rt_id(1)) for state in (UNREGISTERED, *[ONLINE, OFFLINE] * 3)]
    events = [
        Event(
            position=(place := Position(Timestamp(second + number, 1), 0)),
            since=place,
            tenant_id="acme",
            rt_id=was.rt_id,
            before=was,
            after=then,
            last=then,
        )
        for number, (was, then) in enumerate(itertools.pairwise(steps))
    ]
    scripted = Scripted(registry)
    scripted.past = events[:4]
    async with watching(communication_state_changes(store, scripted, after=after)) as watcher:
        assert [change.cursor for change in await told(watcher, 4)]
        following = asyncio.create_task(told(watcher, 2))
        for event in events:
            scripted.put(event)
            await asyncio.sleep(0)  # the watcher takes each by itself
            await asyncio.sleep(0)
        changes = [change for change in await following if isinstance(change, CommunicationStateChange)]
    assert [(change.previous, change.current) for change in changes] == [(OFFLINE, ONLINE), (ONLINE, OFFLINE)]


async def test_a_foreign_cursor_is_refused(registry: Registry, store: TenantStore, feed: Feed) -> None:
    await registry.create("beta", None, NOW)
    beta = await registry.open("beta")
    async with watching(pool_changes(beta, feed)) as watcher:
        theirs = (await until(watcher, LIVE))[-1].cursor
    for cursor in ("", "x", "ü", "\ud800", theirs, "A" * 10_000):
        with pytest.raises(InvalidCursor, match="was not given out by a subscription of this tenant"):
            async with watching(pool_changes(store, feed, after=cursor)) as watcher:
                await anext(watcher)
    assert feed.subscribers == 0


async def test_a_cursor_ends_with_its_tenant(registry: Registry, store: TenantStore, feed: Feed) -> None:
    async with watching(pool_changes(store, feed)) as watcher:
        after = (await until(watcher, LIVE))[-1].cursor
    await registry.delete("acme")
    await registry.create("acme", None, LATER)
    with pytest.raises(InvalidCursor):
        async with watching(pool_changes(await registry.open("acme"), feed, after=after)) as watcher:
            await anext(watcher)


# When the history is lost


class Forgetful(Feed):
    """A feed whose history is gone, so many times."""

    forgets = 1

    async def history(self, tenant_id: str, after: Position) -> tuple[Sequence[Event], bool]:
        if self.forgets:
            self.forgets -= 1
            raise ChangeHistoryLost("rolled over")
        return await super().history(tenant_id, after)


@both_drivers
@pytest.mark.parametrize("watch", [pool_changes, adapter_changes, communication_state_changes])
async def test_where_the_history_is_gone_everything_is_told_anew(
    registry: Registry, store: TenantStore, feed: Feed, watch: Any
) -> None:
    pool, adapter = await created_pool(store, "North"), await created_adapter(store, "OPC UA")
    async with watching(watch(store, feed)) as watcher:
        after = (await until(watcher, LIVE))[-1].cursor
    await set_state(store, pool, ONLINE)
    await set_state(store, adapter, ONLINE)
    async with Forgetful(registry, wait_ms=20).running() as forgetful:
        async with watching(watch(store, forgetful, after=after)) as watcher:
            [resync, *snapshot] = await until(watcher, LIVE)
            assert (resync.kind, resync.entity) == (RESYNC, None)
            assert set(kinds(snapshot[:-1])) == {SNAPSHOT}
            for change in snapshot[:-1]:
                assert change.entity is not None
                assert change.entity.communication_state is ONLINE
            await set_state(store, pool, OFFLINE)
            await set_state(store, adapter, OFFLINE)
            [change] = await told(watcher, 1)
            assert change.kind is UPDATED
            assert type(change) is type(resync)
        forgetful.forgets = 1
        async with watching(watch(store, forgetful, after=resync.cursor)) as watcher:
            assert (await told(watcher, 1))[0].kind is SNAPSHOT


async def test_a_write_without_images_makes_watchers_start_over(
    registry: Registry, store: TenantStore, feed: Feed
) -> None:
    pool = await created_pool(store)
    async with watching(pool_changes(store, feed)) as watcher:
        await until(watcher, LIVE)
        images = {"changeStreamPreAndPostImages": {"enabled": False}}
        await registry.mongo.command(store.tenant.database, {"collMod": "pools", **images})
        edited = await edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={"name": "South"})
        resync, snapshot, live = await told(watcher, 3)
        assert kinds([resync, snapshot, live]) == [RESYNC, SNAPSHOT, LIVE]
        assert snapshot.entity == edited


# Slow ones


async def test_a_slow_watcher_gets_the_outcome_and_not_every_step(store: TenantStore, feed: Feed) -> None:
    there, gone = await created_pool(store, "there"), await created_pool(store, "gone")
    async with watching(pool_changes(store, feed)) as slow, watching(pool_changes(store, feed)) as quick:
        await until(slow, LIVE)
        await until(quick, LIVE)
        for number in range(20):
            await edit_pool(store, ALICE, NOW, rt_id=there.rt_id, given={"description": f"{number}"})
        new = await created_pool(store, "new")
        edited = await edit_pool(store, ALICE, NOW, rt_id=new.rt_id, given={"description": "edited"})
        passing = await created_pool(store, "passing")
        for pool in (gone, passing):
            await delete_pool(store, ALICE, NOW, rt_id=pool.rt_id, mode=DeletionMode.ONLY_IF_UNDEPLOYED)
        last = await created_pool(store, "last")
        async for change in quick:
            if change.rt_id == last.rt_id:
                break
        changes = await told(slow, 4)
        assert [(change.kind, change.rt_id) for change in changes] == [
            (UPDATED, there.rt_id),
            (CREATED, new.rt_id),
            (DELETED, gone.rt_id),
            (CREATED, last.rt_id),
        ]
        assert isinstance(changes[0].entity, Pool)
        assert (changes[0].entity.rt_version, changes[1].entity) == (21, edited)


class Eventful(TenantStore):
    """A store in which a pool is created just before a snapshot and deleted just behind it."""

    def during_snapshot(self, feed: Feed) -> None:
        self._feed = feed

    async def snapshot(self, *which: Any) -> Any:
        with self._feed.inbox(self.tenant.id, conflating=False) as inbox:
            pool = await created_pool(self, "passing")
            seen = await super().snapshot(*which)
            await delete_pool(self, ALICE, NOW, rt_id=pool.rt_id, mode=DeletionMode.FORCE)
            while not any(event.after is None for event in await inbox.take()):
                pass
        return seen


async def test_who_saw_an_entity_in_the_snapshot_is_told_that_it_is_gone(
    registry: Registry, store: TenantStore, feed: Feed
) -> None:
    eventful = Eventful(registry.mongo, store.tenant, store.seal)
    eventful.during_snapshot(feed)
    async with watching(pool_changes(eventful, feed)) as watcher:
        snapshot, live, deleted = await told(watcher, 3)
    assert kinds([snapshot, live, deleted]) == [SNAPSHOT, LIVE, DELETED]
    assert snapshot.rt_id == deleted.rt_id


async def test_a_slow_watcher_of_transitions_misses_none(store: TenantStore, feed: Feed) -> None:
    pool = await created_pool(store)
    states = [ONLINE, OFFLINE] * (INBOX_EVENTS // 2 + 25)
    async with (
        watching(communication_state_changes(store, feed)) as slow,
        watching(communication_state_changes(store, feed)) as quick,
    ):
        await until(slow, LIVE)
        await until(quick, LIVE)
        for state in states:
            await set_state(store, pool, state)
        for watcher in (quick, slow):
            changes = await told(watcher, len(states))
            assert [change.current for change in changes if isinstance(change, CommunicationStateChange)] == states


async def test_a_slow_watcher_of_a_crowd_reads_it_from_the_history(store: TenantStore, feed: Feed) -> None:
    async with watching(adapter_changes(store, feed)) as watcher:
        await until(watcher, LIVE)
        adapters = [an_adapter(name=f"{number:04}") for number in range(INBOX_ENTITIES + 100)]
        for start in range(0, len(adapters), 400):
            await stored(store, *adapters[start : start + 400])
        heard = {change.rt_id for change in await told(watcher, len(adapters))}
        assert heard == {adapter.rt_id for adapter in adapters}


# Ends


async def test_the_end_of_a_tenant_ends_its_watchers(registry: Registry, store: TenantStore, feed: Feed) -> None:
    async with watching(pool_changes(store, feed)) as watcher:
        await until(watcher, LIVE)
        await registry.delete("acme")
        assert [change async for change in watcher] == []
    assert feed.subscribers == 0


async def test_the_end_of_the_server_ends_all_watchers(registry: Registry, store: TenantStore) -> None:
    await stored(store, a_served_pool())
    async with watching(pool_changes(store, feed := Feed(registry, wait_ms=20))) as watcher:
        async with feed.running():
            assert kinds(await told(watcher, 2)) == [SNAPSHOT, LIVE]
        assert [change async for change in watcher] == []


async def test_who_goes_leaves_nothing_behind(store: TenantStore, feed: Feed) -> None:
    await stored(store, a_pool())
    async with watching(pool_changes(store, feed)) as early, watching(pool_changes(store, feed)) as late:
        await told(early, 1)
        await told(late, 2)
        assert feed.subscribers == 2
    assert feed.subscribers == 0
