"""The feed: one MongoDB change stream of this process, and everybody who listens to it.

A subscriber holds a bounded inbox. What entities are matters, not how they came there, so an inbox keeps the latest
event of each entity (`conflating`); where every step matters, an inbox that runs full is emptied and its owner reads on
from the history that MongoDB keeps. So nobody is ever owed an unbounded queue, and nobody loses a step.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import total_ordering
from typing import Any, Final, Self

import structlog

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.store.entities import ADAPTERS, POOLS
from octomesh_graphql.store.hints import Switchboard
from octomesh_graphql.store.mongo import (
    ChangeHistoryLost,
    ChangeStream,
    Document,
    MongoCommandFailed,
    MongoUnavailable,
    Timestamp,
)
from octomesh_graphql.store.tenants import TENANTS, Registry
from octomesh_graphql.store.turns import Turns

log = structlog.get_logger()

INBOX_EVENTS: Final = 256
"""Events kept for a subscriber who wants every step, before it must read on from MongoDB's history."""

INBOX_ENTITIES: Final = 1_000
"""Entities whose latest event is kept for a subscriber who wants the outcome, before it must do the same."""

HISTORY_EVENTS: Final = 256
"""Events read from MongoDB's history in one go."""

HISTORY_READERS: Final = 8
"""History streams open at once: a thousand clients that come back together take turns."""

SNAPSHOTS_AT_ONCE: Final = 8
"""Pages of snapshots told at once, for the same reason."""

SNAPSHOT_SECONDS: Final = 0.1
"""How long a turn at that lasts at most, for the sake of all others when a client reads slowly or not at all. A page
takes a tenth of it."""

WAIT_MS: Final = 500
"""How long an idle stream takes to notice that it shall stop."""

_HISTORY_SECONDS = 8.0  # a million writes of others take three; less than the 10 s after which MongoDB counts as gone
_DROPPED = ("drop", "rename")  # of a collection, by itself or with its whole database
_BACKLOG = 1_000  # events between the stream and the subscribers; beyond that the stream waits
_STOP_SECONDS = 2.0  # the stream looks up every half second, unless MongoDB does not answer
_RETRY_SECONDS = 5.0  # longest pause between attempts to open the stream again


@total_ordering
@dataclass(frozen=True)
class Position:
    """A place in the history of the whole deployment: MongoDB's cluster time, and the how-manieth event at it."""

    time: Timestamp
    index: int

    @classmethod
    def behind(cls, time: Timestamp) -> Self:
        """Behind everything that happened up to and at this time."""
        return cls(time, 2**31 - 1)

    def __lt__(self, other: Position) -> bool:
        return (self.time, self.index) < (other.time, other.index)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One write to a pool or an adapter, or several to the same one, with what was there before and after."""

    position: Position
    since: Position
    """The place of the first write; `position` is that of the last."""
    tenant_id: str
    rt_id: str
    before: CommunicationEntity | None
    after: CommunicationEntity | None
    last: CommunicationEntity | None
    """The latest image there is: `after`, or what was deleted."""
    lost: bool = False
    """It can't be told what happened: the images are not kept, or not understood."""
    pools: Mapping[str, Pool] = field(default_factory=dict)
    """The pools it concerns, as they are now, by id; filled in before subscribers see it."""
    passed: frozenset[str] = frozenset()
    """Pools it was in between."""

    @property
    def pool_rt_ids(self) -> set[str]:
        """The pools whose members it may have changed, or that it is about."""
        images = [image for image in (self.before, self.after) if image]
        ids = {image.pool_rt_id if isinstance(image, Adapter) else image.rt_id for image in images}
        return {rt_id for rt_id in ids if rt_id} | self.passed

    def following(self, earlier: Event) -> Event:
        """Both in one, for who only wants to know where things ended."""
        return replace(
            self,
            since=earlier.since,
            before=earlier.before,
            lost=self.lost or earlier.lost,
            passed=frozenset(earlier.pool_rt_ids | self.pool_rt_ids),
        )

    def behind(self, known: Position) -> Event | None:
        """What of it is news to one who knows all up to a position; None if nothing is."""
        if self.position <= known:
            return None
        if self.since <= known:  # so the entity was known: no id is ever given twice
            return replace(self, before=self.before or self.last)
        never_was = self.before is None and self.after is None and not self.lost
        return None if never_was else self


def conflated(events: Iterable[Event]) -> list[Event]:
    """One event for each entity, in the order of the last writes."""
    outcomes: dict[str, Event] = {}
    for event in events:
        earlier = outcomes.pop(event.rt_id, None)
        outcomes[event.rt_id] = event.following(earlier) if earlier else event
    return list(outcomes.values())


@dataclass(eq=False)
class Inbox:
    """What one subscriber has not yet taken. When it is full, it empties itself and says that it is `behind`."""

    tenant_id: str
    conflating: bool
    behind: bool = False
    closed: bool = False
    _events: dict[str | Position, Event] = field(default_factory=dict)
    _pools: dict[str, Pool | None] = field(default_factory=dict)
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, event: Event) -> None:
        """Keep an event; of the same entity only the outcome, if conflating."""
        if self.behind:
            return
        key = event.rt_id if self.conflating else event.position
        earlier = self._events.pop(key, None)
        self._events[key] = event.following(earlier) if earlier else event
        self._pools |= {rt_id: event.pools.get(rt_id) for rt_id in event.pool_rt_ids}
        if len(self._events) > (INBOX_ENTITIES if self.conflating else INBOX_EVENTS):
            self.fall_behind()
        self._filled.set()

    def catch_up(self) -> None:
        """Collect again; what came before has to be read from the history."""
        self.behind = False

    def fall_behind(self) -> None:
        """Forget what is kept: the owner has to read the history."""
        self._empty()
        self.behind = True
        self._filled.set()

    def close(self) -> None:
        """The tenant is gone, or the server stops: nothing more will come."""
        self.closed = True
        self._filled.set()

    async def take(self) -> Sequence[Event]:
        """All that came since the last time, oldest first; waits for something. Empty when behind or closed."""
        await self._filled.wait()
        self._filled.clear()
        # Events that waited longer saw older versions of the pools: the latest that came with any of them counts.
        pools = {rt_id: pool for rt_id, pool in self._pools.items() if pool}
        events = [_completed(event, pools) for event in self._events.values()]
        self._empty()
        return events

    def _empty(self) -> None:
        self._events.clear()
        self._pools.clear()


class Feed:
    """The changes of all tenants of a registry, for everybody in this process."""

    def __init__(self, registry: Registry, *, wait_ms: int = WAIT_MS) -> None:
        self._registry = registry
        self._wait_ms = wait_ms
        self.agents = Switchboard(registry)
        self.leaving = False
        """Whether the server is on its way out."""
        self._inboxes: dict[str, set[Inbox]] = {}
        self._readers = asyncio.Semaphore(HISTORY_READERS)
        self.snapshots = Turns(SNAPSHOTS_AT_ONCE, SNAPSHOT_SECONDS)
        """Whose turn it is to read and tell a page of the present."""
        self._backlog: asyncio.Queue[Event] = asyncio.Queue(_BACKLOG)
        self._stopping = False
        self._place = _Place()
        self._published: Position | None = None
        self._alive = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Listening until the block ends; then every inbox is closed."""
        pump, publisher = asyncio.create_task(self._pump()), asyncio.create_task(self._publish())
        try:
            await self._alive.wait()
            yield self
        finally:
            self._stopping = True
            self.close_all()
            await asyncio.wait({pump}, timeout=_STOP_SECONDS)
            for task in (pump, publisher):
                task.cancel()
            await asyncio.wait({pump, publisher})

    @property
    def alive(self) -> bool:
        """Whether the stream is open."""
        return self._alive.is_set()

    @property
    def subscribers(self) -> int:
        """How many inboxes are open."""
        return sum(len(inboxes) for inboxes in self._inboxes.values())

    @contextmanager
    def inbox(self, tenant_id: str, *, conflating: bool) -> Iterator[Inbox]:
        """An inbox that receives all events of a tenant that are published from now on."""
        inbox = Inbox(tenant_id, conflating)
        if self._stopping:
            inbox.close()
        self._inboxes.setdefault(tenant_id, set()).add(inbox)
        try:
            yield inbox
        finally:
            remaining = self._inboxes[tenant_id]
            remaining.discard(inbox)
            if not remaining:
                del self._inboxes[tenant_id]

    def leave(self) -> None:
        """The server is about to stop: connections that break from now on are of its own making."""
        self.leaving = True

    def close_all(self) -> None:
        """Nothing more will come, for anybody."""
        self.agents.close()
        for tenant_id in list(self._inboxes):
            self._close(tenant_id)

    def missed(self, after: Position) -> bool:
        """Whether events behind `after` may have been published before now."""
        return self._published is None or after < self._published

    async def history(self, tenant_id: str, after: Position) -> tuple[Sequence[Event], bool]:
        """Events of a tenant behind a position, oldest first, and whether there may be more.

        Raises `ChangeHistoryLost` when MongoDB does not keep them any more, or so many others that to pick them out
        takes too long.
        """
        async with self._readers:
            try:
                async with asyncio.timeout(_HISTORY_SECONDS):
                    events = await self._read_back(f"{self._registry.prefix}{tenant_id}", after)
            except TimeoutError as error:
                if not self.alive:
                    raise MongoUnavailable("MongoDB does not answer") from error
                raise ChangeHistoryLost("too much happened since") from error
            return await self._with_pools(tenant_id, events), len(events) == HISTORY_EVENTS

    async def _read_back(self, database: str, after: Position) -> list[Event]:
        numbering = _Numbering(self._registry.prefix)
        events: list[Event] = []
        pipeline = _pipeline(collections=("pools", "adapters"))
        async with self._registry.mongo.watch(pipeline, database=database, start_at=after.time, wait_ms=1) as stream:
            while len(events) < HISTORY_EVENTS:
                change = await stream.next()
                if change and change["operationType"] in _DROPPED:
                    raise ChangeHistoryLost("all of it was dropped")
                if change is None:  # MongoDB gives nothing only when it has come to the end, however far that was
                    break
                event = numbering.event(change)
                if event and event.position > after:
                    events.append(event)
        return events

    # The stream

    async def _pump(self) -> None:
        """Read the stream for as long as the feed runs, opening it again whenever it breaks."""
        failures = 0
        while not self._stopping:
            try:
                async with self._opened() as stream:
                    failures = 0
                    self._alive.set()
                    await self._read(stream)
            except ChangeHistoryLost:
                failures += 1
                log.warning("change history lost, subscribers who miss something start over", failures=failures)
                self._place = _Place()
                self._registry.forget_all()
            except (MongoUnavailable, MongoCommandFailed) as error:
                failures += 1
                log.warning("change stream broken", reason=str(error), failures=failures)
            except Exception:
                failures += 1
                log.exception("change stream broken", failures=failures)
            finally:
                self._alive.clear()
            if not self._stopping and failures:
                await asyncio.sleep(random.uniform(0.1, min(0.2 * 2**failures, _RETRY_SECONDS)))

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[ChangeStream]:
        """The stream, from the place where it broke, at the beginning from now on."""
        if self._place.position is None:
            self._place.position = self._published = Position.behind(await self._registry.mongo.present())
            self._all_behind()  # what happened up to now is in the history, and what comes is in the stream
        start = None if self._place.idle_token else self._place.position.time
        pipeline = _pipeline(collections=("pools", "adapters", TENANTS), prefix=self._registry.prefix)
        async with self._registry.mongo.watch(
            pipeline, start_at=start, resume_after=self._place.idle_token, wait_ms=self._wait_ms
        ) as stream:
            yield stream

    async def _read(self, stream: ChangeStream) -> None:
        numbering = _Numbering(self._registry.prefix)
        place = self._place
        while not self._stopping:
            change = await stream.next()
            if change is None:
                place.idle_token = stream.resume_token
                continue
            place.idle_token = None
            if change["operationType"] in _DROPPED:
                self._dropped(change)
                continue
            self._tenant_changed(change)
            event = numbering.event(change)
            if event and (place.position is None or event.position > place.position):
                place.position = event.position
                await self._backlog.put(event)

    def _dropped(self, change: Document) -> None:
        """Somebody dropped a tenant's data beneath us: it is set up anew when it is next needed, and all look again."""
        tenant_id = change["ns"]["db"].removeprefix(self._registry.prefix)
        log.info("data was dropped", tenant=tenant_id, collection=change["ns"]["coll"])
        self._registry.forget(tenant_id)
        self.agents.everything()
        for inbox in self._inboxes.get(tenant_id, ()):
            inbox.fall_behind()

    def _tenant_changed(self, change: Document) -> None:
        """A tenant marked for deletion or gone: its subscriptions end, and agents find out by looking again."""
        if change["ns"].get("coll") != TENANTS or change["operationType"] == "insert":
            return
        tenant_id = change["documentKey"]["_id"]
        self._registry.forget(tenant_id)
        if (change.get("fullDocument") or {"deleting": True}).get("deleting"):
            self._registry.close(tenant_id)
            self._close(tenant_id)
            self.agents.everything()  # its database goes as a whole: nothing is told of the pools in it

    # The subscribers

    async def _publish(self) -> None:
        """Hand events to the inboxes, many at a time when many came."""
        while True:
            events = [await self._backlog.get()]
            while not self._backlog.empty():
                events.append(self._backlog.get_nowait())
            # First, so that who subscribes meanwhile reads the history.
            self._published = max(self._published or events[-1].position, events[-1].position)
            await self.agents.tell(events)
            for tenant_id in {event.tenant_id for event in events if event.tenant_id in self._inboxes}:
                await self._deliver(tenant_id, [event for event in events if event.tenant_id == tenant_id])

    async def _deliver(self, tenant_id: str, events: Sequence[Event]) -> None:
        try:
            completed = await self._with_pools(tenant_id, events)
        except MongoUnavailable as error:
            log.warning("events could not be completed, their subscribers read the history", reason=str(error))
            completed = []
        except Exception:
            log.exception("events could not be completed, their subscribers read the history")
            completed = []
        for inbox in list(self._inboxes.get(tenant_id, ())):
            if not completed:
                inbox.fall_behind()
            for event in completed:
                inbox.put(event)

    async def _with_pools(self, tenant_id: str, events: Sequence[Event]) -> list[Event]:
        """The events with the pools they concern, all read in one go."""
        concerned = {rt_id for event in events for rt_id in event.pool_rt_ids}
        pools = await (await self._registry.open(tenant_id)).pools(concerned) if concerned else {}
        return [_completed(event, pools) for event in events]

    def _close(self, tenant_id: str) -> None:
        for inbox in self._inboxes.get(tenant_id, ()):
            inbox.close()

    def _all_behind(self) -> None:
        self.agents.everything()
        for inboxes in self._inboxes.values():
            for inbox in inboxes:
                inbox.fall_behind()


@dataclass
class _Place:
    """Where the stream is. While it is idle its token counts, which stays good when the last event is long gone."""

    position: Position | None = None
    idle_token: Mapping[str, Any] | None = None


class _Numbering:
    """Makes events of a stream's changes, and counts those that happened at the same time."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._last: Timestamp | None = None
        self._index = 0

    def event(self, change: Document) -> Event | None:
        """The event of a change; None if it is about nothing that subscribers see."""
        collection = change["ns"].get("coll")
        if collection not in ("pools", "adapters"):
            return None
        time = change["clusterTime"]
        self._index = self._index + 1 if time == self._last else 0
        self._last = time
        images = _images(change)
        position = Position(time, self._index)
        before, after = images or (None, None)
        return Event(
            position=position,
            since=position,
            tenant_id=change["ns"]["db"].removeprefix(self._prefix),
            rt_id=str(change["documentKey"]["_id"]),
            before=before,
            after=after,
            last=after or before,
            lost=images is None,
        )


def _images(change: Document) -> tuple[CommunicationEntity | None, CommunicationEntity | None] | None:
    """The entity before and after a change; None where what should be there is not, or is not understood."""
    before, after = change.get("fullDocumentBeforeChange"), change.get("fullDocument")
    operation = change["operationType"]
    if (before is None and operation != "insert") or (after is None and operation != "delete"):
        return None
    decode = POOLS.decode if change["ns"]["coll"] == "pools" else ADAPTERS.decode
    try:
        return decode(before) if before else None, decode(after) if after else None
    except (TypeError, ValueError):
        log.warning("change not understood", collection=change["ns"]["coll"], key=str(change["documentKey"]["_id"]))
        return None


def _pipeline(*, collections: Sequence[str], prefix: str | None = None) -> list[Document]:
    """What a stream lets through: writes to these collections, in databases with this prefix."""
    wanted: Document = {
        "operationType": {"$in": ["insert", "update", "replace", "delete", *_DROPPED]},
        "ns.coll": {"$in": list(collections)},
    }
    if prefix is not None:
        wanted["ns.db"] = {"$regex": f"^{re.escape(prefix)}"}
    return [{"$match": wanted}]


def _completed(event: Event, pools: Mapping[str, Pool]) -> Event:
    """The event with the pools as they are now; an event of a pool shows the pool's present adapters."""
    concerned = {rt_id: pools[rt_id] for rt_id in event.pool_rt_ids if rt_id in pools}
    after = event.after
    if isinstance(after, Pool) and after.rt_id in concerned:
        after = replace(after, tally=concerned[after.rt_id].tally)
    return replace(event, after=after, last=after or event.last, pools=concerned)
