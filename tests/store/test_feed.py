"""The feed of changes: inboxes by themselves, then the change stream of a real MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import (
    HISTORY_EVENTS,
    INBOX_ENTITIES,
    INBOX_EVENTS,
    Event,
    Feed,
    Inbox,
    Position,
    conflated,
)
from octomesh_graphql.store.mongo import ChangeHistoryLost, Driver, Mongo, MongoUnavailable, Timestamp
from octomesh_graphql.store.tenants import Registry
from octomesh_graphql.store.unit import Unit, write
from tests.builders import ALICE, LATER, NOW, a_pool, an_adapter, created_adapter, created_pool, stored
from tests.drivers import both_drivers


def at(second: int) -> Position:
    return Position(Timestamp(second, 1), 0)


def an_event(
    second: int, before: CommunicationEntity | None, after: CommunicationEntity | None, *pools: Pool, lost: bool = False
) -> Event:
    last = after or before
    return Event(
        position=at(second),
        since=at(second),
        tenant_id="acme",
        rt_id=last.rt_id if last else "?",
        before=before,
        after=after,
        last=last,
        lost=lost,
        pools={pool.rt_id: pool for pool in pools},
    )


ADAPTER = an_adapter(name="0")
FIRST, SECOND, THIRD = (ADAPTER.edited(LATER, description=number) for number in "123")


# Events


def test_several_events_of_one_entity_are_one_with_the_outcome() -> None:
    [event] = conflated([an_event(1, FIRST, SECOND), an_event(2, SECOND, THIRD)])
    assert (event.since, event.position) == (at(1), at(2))
    assert (event.before, event.after, event.last) == (FIRST, THIRD, THIRD)


def test_entities_are_told_in_the_order_of_their_last_events() -> None:
    other = an_adapter(name="other")
    events = conflated([an_event(1, None, FIRST), an_event(2, None, other), an_event(3, FIRST, SECOND)])
    assert [event.position for event in events] == [at(2), at(3)]


def test_an_adapter_that_passed_through_a_pool_concerns_that_pool() -> None:
    pools = [a_pool(name=name) for name in "abc"]
    members = [an_adapter(rt_id=ADAPTER.rt_id, pool=pool) for pool in pools]
    [event] = conflated([an_event(1, members[0], members[1]), an_event(2, members[1], members[2])])
    assert event.pool_rt_ids == {pool.rt_id for pool in pools}


def test_what_was_created_and_deleted_is_news_only_to_who_saw_it_in_between() -> None:
    [event] = conflated([an_event(2, None, FIRST), an_event(4, FIRST, None)])
    assert event.behind(at(1)) is None
    news = event.behind(at(3))
    assert news is not None
    assert (news.before, news.after, news.last) == (FIRST, None, FIRST)
    assert event.behind(at(4)) is None


def test_what_was_created_and_edited_is_new_only_to_who_did_not_know_it() -> None:
    [event] = conflated([an_event(2, None, FIRST), an_event(4, FIRST, SECOND)])
    fresh, known = event.behind(at(1)), event.behind(at(2))
    assert fresh is not None
    assert known is not None
    assert fresh.before is None
    assert known.before is not None
    assert fresh.after == known.after == SECOND


def test_a_lost_event_stays_lost_whatever_follows() -> None:
    [event] = conflated([an_event(1, None, ADAPTER, lost=True), an_event(2, ADAPTER, None)])
    assert event.lost
    assert event.behind(at(0)) is not None


# Inboxes


async def test_a_conflating_inbox_keeps_the_outcome_of_each_entity() -> None:
    inbox = Inbox("acme", conflating=True)
    inbox.put(an_event(1, FIRST, SECOND))
    inbox.put(an_event(2, SECOND, THIRD))
    [event] = await inbox.take()
    assert event.after == THIRD


async def test_an_inbox_for_steps_keeps_every_step() -> None:
    inbox = Inbox("acme", conflating=False)
    inbox.put(an_event(1, FIRST, SECOND))
    inbox.put(an_event(2, SECOND, THIRD))
    assert [event.after for event in await inbox.take()] == [SECOND, THIRD]


async def test_an_inbox_shows_each_pool_as_it_was_seen_last() -> None:
    pool = a_pool(name="old")
    renamed = pool.edit(LATER, {"name": "new"})
    member, other = (an_adapter(name=name, pool=pool) for name in "ab")
    inbox = Inbox("acme", conflating=True)
    inbox.put(an_event(1, None, member, pool))
    inbox.put(an_event(2, None, other, renamed))
    inbox.put(an_event(3, member, ADAPTER.touched(NOW, rt_id=member.rt_id), renamed))
    assert [event.pools for event in await inbox.take()] == [{pool.rt_id: renamed}] * 2

    inbox.put(an_event(4, None, member, pool))
    inbox.put(an_event(5, None, other))  # the pool is gone by now
    assert [event.pools for event in await inbox.take()] == [{}, {}]


@pytest.mark.parametrize(("conflating", "room"), [(True, INBOX_ENTITIES), (False, INBOX_EVENTS)])
async def test_an_inbox_that_runs_full_empties_itself_and_says_so(conflating: bool, room: int) -> None:
    inbox = Inbox("acme", conflating=conflating)
    for second in range(room):
        inbox.put(an_event(second, None, an_adapter()))
    assert not inbox.behind
    inbox.put(an_event(room, None, an_adapter()))
    assert inbox.behind
    inbox.put(an_event(room + 1, None, an_adapter()))
    assert await inbox.take() == []

    inbox.catch_up()
    inbox.put(an_event(room + 2, None, FIRST))
    assert [event.after for event in await inbox.take()] == [FIRST]


async def test_taking_waits_for_something_to_take() -> None:
    inbox = Inbox("acme", conflating=True)
    taking = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    assert not taking.done()
    inbox.close()
    assert await taking == []
    assert inbox.closed


def test_positions_are_ordered_by_time_and_index() -> None:
    moment = Timestamp(1, 5)
    assert Position(moment, 0) < Position(moment, 1) < Position.behind(moment) < Position(Timestamp(1, 6), 0)


# The stream


async def taken(inbox: Inbox, count: int) -> list[Event]:
    """So many events; more are not expected."""
    events: list[Event] = []
    async with asyncio.timeout(10):
        while len(events) < count:
            events += await inbox.take()
    assert len(events) == count
    return events


async def rename(store: TenantStore, pool: Pool, name: str) -> Pool:
    async def act(unit: Unit) -> Pool:
        found = await unit.pool(pool.rt_id)
        assert found is not None
        return unit.save(found.edit(NOW, {"name": name}))

    return await write(store, act, caller=ALICE, now=NOW)


@both_drivers
async def test_events_come_in_order_with_what_was_before_and_after(store: TenantStore, feed: Feed) -> None:
    with feed.inbox("acme", conflating=False) as inbox:
        pool = await created_pool(store, "0")
        versions = [pool, *[await rename(store, pool, str(number)) for number in range(1, 20)]]
        events = await taken(inbox, 20)
    assert [event.after for event in events] == versions
    assert [event.before for event in events] == [None, *versions[:-1]]
    assert [event.position for event in events] == sorted(event.position for event in events)
    assert all(event.tenant_id == "acme" and not event.lost for event in events)


@both_drivers
async def test_events_of_one_transaction_have_places_of_their_own(store: TenantStore, feed: Feed) -> None:
    start = Position.behind(await store._mongo.present())
    pool = a_pool()
    with feed.inbox("acme", conflating=False) as inbox:
        await stored(store, pool, *(an_adapter(name=f"{number}", pool=pool) for number in range(9)))
        events = await taken(inbox, 10)
    assert len({event.position.time for event in events}) == 1
    assert [event.position.index for event in events] == list(range(10))
    middle = events[4].position
    assert (await feed.history("acme", start))[0] == events
    assert (await feed.history("acme", middle))[0] == events[5:]
    assert await feed.history("acme", events[-1].position) == ([], False)


@both_drivers
async def test_events_show_the_pools_they_concern_as_they_are_now(store: TenantStore, feed: Feed) -> None:
    with feed.inbox("acme", conflating=False) as inbox:
        pool = await created_pool(store)
        await taken(inbox, 1)
        adapter = await created_adapter(store, pool=pool)
        events = await taken(inbox, 2)
    for event in events:
        assert event.pools[pool.rt_id].tally.adapters == 1
    [of_pool] = [event for event in events if event.rt_id == pool.rt_id]
    assert isinstance(of_pool.after, Pool)
    assert of_pool.after.tally.adapters == 1
    assert {event.rt_id for event in events} == {pool.rt_id, adapter.rt_id}


@both_drivers
async def test_tenants_hear_only_of_themselves(registry: Registry, store: TenantStore, feed: Feed) -> None:
    await registry.create("beta", None, NOW)
    beta = await registry.open("beta")
    with feed.inbox("acme", conflating=True) as inbox, feed.inbox("beta", conflating=True) as others:
        await created_pool(beta, "theirs")
        await created_pool(store, "ours")
        assert [event.tenant_id for event in await taken(inbox, 1)] == ["acme"]
        assert [event.tenant_id for event in await taken(others, 1)] == ["beta"]
        assert feed.subscribers == 2
    assert feed.subscribers == 0


async def test_an_end_of_a_tenant_closes_its_inboxes_and_no_others(
    registry: Registry, store: TenantStore, feed: Feed
) -> None:
    await registry.create("beta", None, NOW)
    with feed.inbox("acme", conflating=True) as inbox, feed.inbox("beta", conflating=True) as other:
        await registry.mongo.update(registry.system, "tenants", {"_id": "acme"}, {"$set": {"displayName": "Acme"}})
        await created_pool(store)
        await taken(inbox, 1)
        assert not inbox.closed
        await registry.delete("acme")
        async with asyncio.timeout(5):
            assert await inbox.take() == []
        assert inbox.closed
        assert not other.closed


async def test_a_tenant_that_another_server_deleted_is_gone_here_too(
    registry: Registry, store: TenantStore, feed: Feed
) -> None:
    elsewhere = Registry(registry.mongo, registry.prefix)
    with feed.inbox("acme", conflating=True) as inbox:
        await elsewhere.delete("acme")
        async with asyncio.timeout(5):
            await inbox.take()
    for attempt in (registry.open("acme"), created_pool(store)):
        with pytest.raises(Refused, match="There is no tenant 'acme'"):
            await attempt


async def test_agents_look_again_when_a_tenant_is_deleted(registry: Registry, store: TenantStore, feed: Feed) -> None:
    with feed.agents.listening("plant-1") as hints:
        assert await hints.take() is None  # the first look
        await registry.delete("acme")
        async with asyncio.timeout(5):
            assert await hints.take() is None


async def test_the_end_of_a_feed_closes_every_inbox(registry: Registry, store: TenantStore) -> None:
    feed = Feed(registry, wait_ms=20)
    with feed.inbox("acme", conflating=True) as inbox:
        async with feed.running():
            assert feed.alive
        assert await inbox.take() == []
        assert inbox.closed
    assert not feed.alive
    with feed.inbox("acme", conflating=True) as late:
        assert late.closed


# The history


@both_drivers
async def test_the_history_is_read_in_pages(store: TenantStore, feed: Feed) -> None:
    start = Position.behind(await store._mongo.present())
    await stored(store, *(a_pool(name=f"{number}") for number in range(HISTORY_EVENTS + 10)))
    first, more = await feed.history("acme", start)
    assert (len(first), more) == (HISTORY_EVENTS, True)
    rest, more = await feed.history("acme", first[-1].position)
    assert (len(rest), more) == (10, False)
    assert len({event.rt_id for event in (*first, *rest)}) == HISTORY_EVENTS + 10


@both_drivers
@pytest.mark.parametrize("where", ["another database", "the same database"])
async def test_the_history_is_read_to_its_end_however_much_of_others_lies_between(
    registry: Registry, store: TenantStore, where: str
) -> None:
    feed = Feed(registry)
    start = Position.behind(await registry.mongo.present())
    database = store.tenant.database if where == "the same database" else f"{registry.prefix}other"
    noise = [{"noise": number} for number in range(10_000)]
    first = await created_pool(store, "first")
    for _ in range(10):
        await registry.mongo.command(database, {"insert": "noise", "documents": noise, "writeConcern": {"w": 1}})
    last = await created_pool(store, "last")
    events, more = await feed.history("acme", start)
    assert [event.last for event in events] == [first, last]
    assert not more


async def test_a_write_that_left_no_image_is_told_as_lost(registry: Registry, store: TenantStore, feed: Feed) -> None:
    images = {"changeStreamPreAndPostImages": {"enabled": False}}
    with feed.inbox("acme", conflating=True) as inbox:
        pool = await created_pool(store)
        await taken(inbox, 1)
        await registry.mongo.command(store.tenant.database, {"collMod": "pools", **images})
        await rename(store, pool, "other")
        [event] = await taken(inbox, 1)
    assert event.lost


# Failures


class Flaky(Mongo):
    """A connection whose change streams fail as told, once for each failure."""

    failures: Sequence[Exception] = ()
    opened = 0

    @asynccontextmanager
    async def watch(self, pipeline: Any, **options: Any) -> AsyncIterator[Any]:
        self.opened += 1
        async with super().watch(pipeline, **options) as stream:
            yield _FlakyStream(self, stream)


class _FlakyStream:
    def __init__(self, mongo: Flaky, stream: Any) -> None:
        self._mongo = mongo
        self._stream = stream

    async def next(self) -> Any:
        if self._mongo.failures:
            failure, *self._mongo.failures = self._mongo.failures
            raise failure
        return await self._stream.next()

    @property
    def resume_token(self) -> Mapping[str, Any] | None:
        token: Mapping[str, Any] | None = self._stream.resume_token
        return token


@pytest.fixture
async def flaky(mongo_uri: str, driver: Driver) -> AsyncIterator[Flaky]:
    async with Flaky.connect(mongo_uri, driver) as mongo:
        yield mongo


@both_drivers
@pytest.mark.parametrize("failure", [MongoUnavailable("gone"), RuntimeError("surprise")], ids=["gone", "surprise"])
async def test_a_stream_that_broke_goes_on_where_it_was(
    flaky: Flaky, registry: Registry, store: TenantStore, failure: Exception
) -> None:
    names: list[str] = []
    async with Feed(Registry(flaky, registry.prefix), wait_ms=20).running() as feed:
        with feed.inbox("acme", conflating=False) as inbox:
            for number in range(30):
                if number in (5, 20):
                    flaky.failures = [failure]
                await created_pool(store, f"{number:02}")
            names = [event.last.name for event in await taken(inbox, 30) if isinstance(event.last, Pool)]
    assert names == [f"{number:02}" for number in range(30)]
    assert flaky.opened == 3


@both_drivers
async def test_when_the_history_is_lost_subscribers_are_told_that_they_are_behind(
    flaky: Flaky, registry: Registry, store: TenantStore
) -> None:
    async with Feed(Registry(flaky, registry.prefix), wait_ms=20).running() as feed:
        with feed.inbox("acme", conflating=True) as inbox:
            flaky.failures = [ChangeHistoryLost("rolled over")]
            async with asyncio.timeout(10):
                assert await inbox.take() == []
            assert inbox.behind
            start = feed._published
            assert start is not None
            inbox.catch_up()
            await created_pool(store, "after")
            [event] = await taken(inbox, 1)
            assert event.position > start
            assert feed.missed(at(1))
            assert not feed.missed(event.position)


async def test_events_that_cannot_be_completed_are_read_from_the_history(
    registry: Registry, store: TenantStore, feed: Feed
) -> None:
    with feed.inbox("acme", conflating=True) as inbox:
        registry.forget("acme")
        await registry.mongo.update(registry.system, "tenants", {"_id": "acme"}, {"$unset": {"database": ""}})
        await created_pool(store)
        async with asyncio.timeout(5):
            assert await inbox.take() == []
        assert inbox.behind


async def test_a_feed_that_is_cancelled_as_it_starts_leaves_no_task(mongo_uri: str) -> None:
    async with Deaf.connect(mongo_uri) as mongo:

        async def run() -> None:
            async with Feed(Registry(mongo, "nowhere_"), wait_ms=20).running():
                raise AssertionError("never alive")

        running = asyncio.create_task(run())
        await mongo.asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert [task for task in asyncio.all_tasks() if "Feed." in repr(task.get_coro())] == []


class Deaf(Mongo):
    """A connection that opens no change stream."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.asked = asyncio.Event()

    @asynccontextmanager
    async def watch(self, pipeline: Any, **_: Any) -> AsyncIterator[Any]:
        self.asked.set()
        raise MongoUnavailable("never")
        yield pipeline
