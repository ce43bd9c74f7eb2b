"""Watching: what subscribers are told.

A new watcher first gets the present state as SNAPSHOTs, all as of one moment, then LIVE, then what changed since that
moment. With a cursor it continues behind it. Where the history does not reach back that far, it is told RESYNC and
starts over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.change import Change, ChangeKind, CommunicationStateChange
from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.states import CommunicationState
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Event, Feed, Inbox, Position, conflated
from octomesh_graphql.store.mongo import (
    ChangeHistoryLost,
    ObjectId,
    Timestamp,
    pack,
    unpack,
)
from octomesh_graphql.store.sealing import Forged, Seal


class InvalidCursor(Exception):
    """The cursor was not given out by a subscription of this tenant."""


Told = tuple[Position | None, Change | None]
"""What is told, and the position to go on from once it has been received; None: still the one of before. Without a
change it is the position alone: what lies in front of it meant nothing to this watcher."""


@dataclass(frozen=True, kw_only=True)
class _Interest:
    """What a watcher wants to hear."""

    matching: dict[str, dict[str, Any]]
    """The entities of the snapshot: a query for each collection."""
    conflating: bool
    present: Callable[[CommunicationEntity], Change | None]
    """How an entity of the snapshot is told."""
    tell: Callable[[Sequence[Event]], Iterator[Told]]
    """How events are told."""
    change: type[Change] = Change
    """What LIVE and RESYNC are told as."""


def pool_changes(
    store: TenantStore,
    feed: Feed,
    *,
    rt_ids: Collection[str] | None = None,
    after: str | None = None,
    line: asyncio.Lock | None = None,
) -> AsyncIterator[Change]:
    """Changes of pools (None: of all), of their members too. Raises `InvalidCursor`.

    What is told on one `line`, a WebSocket for instance, begins one after the other.
    """

    newest: dict[str, int] = {}

    def tell(events: Sequence[Event]) -> Iterator[Told]:
        latest: dict[str, Change] = {}
        for event in events:
            for change in _changes_of_pools(event):
                if _among(change.rt_id, rt_ids):
                    latest[str(change.rt_id)] = _joined(latest.get(str(change.rt_id)), change)
        for index, change in enumerate(latest.values(), start=1):
            told = None if _is_outdated(change, newest) else change
            yield events[-1].position if index == len(latest) else None, told

    interest = _Interest(matching={"pools": _ids(rt_ids)}, conflating=True, present=_snapshot_of_entity, tell=tell)
    return _follow(store, feed, interest, after, line)


def _is_outdated(change: Change, newest: dict[str, int]) -> bool:
    """Whether a pool was told as it was later: with the change of a member it is told as it is by then. `newest` has
    the revisions told."""
    rt_id = str(change.rt_id)
    if change.entity is None:
        newest.pop(rt_id, None)
        return False
    before, revision = newest.get(rt_id, 0), change.entity.revision
    newest[rt_id] = max(before, revision)
    return change.kind is ChangeKind.UPDATED and revision < before


def adapter_changes(
    store: TenantStore,
    feed: Feed,
    *,
    pool_rt_ids: Collection[str] | None = None,
    rt_ids: Collection[str] | None = None,
    after: str | None = None,
    line: asyncio.Lock | None = None,
) -> AsyncIterator[Change]:
    """Changes of adapters (None: of all); with `pool_rt_ids` of those that are or were in these pools."""

    def tell(events: Sequence[Event]) -> Iterator[Told]:
        for event in events:
            if not isinstance(event.last, Adapter) or not _among(event.rt_id, rt_ids):
                continue
            if pool_rt_ids is None or event.pool_rt_ids & set(pool_rt_ids):
                yield event.position, _change_of_entity(event)

    query = _ids(rt_ids)
    if pool_rt_ids is not None:
        query["poolRtId"] = {"$in": [ObjectId(rt_id) for rt_id in pool_rt_ids]}
    interest = _Interest(matching={"adapters": query}, conflating=True, present=_snapshot_of_entity, tell=tell)
    return _follow(store, feed, interest, after, line)


def communication_state_changes(
    store: TenantStore,
    feed: Feed,
    *,
    pool_rt_ids: Collection[str] | None = None,
    adapter_rt_ids: Collection[str] | None = None,
    states: Collection[CommunicationState] | None = None,
    after: str | None = None,
    line: asyncio.Lock | None = None,
) -> AsyncIterator[Change]:
    """Every single transition of a communication state: of these pools and these adapters, or of all if neither is
    given."""
    everything = pool_rt_ids is None and adapter_rt_ids is None
    pools = None if everything else pool_rt_ids or ()
    adapters = None if everything else adapter_rt_ids or ()

    def wanted(entity: CommunicationEntity) -> bool:
        ids = pools if isinstance(entity, Pool) else adapters
        return _among(entity.rt_id, ids) and (states is None or entity.communication_state in states)

    def tell(events: Sequence[Event]) -> Iterator[Told]:
        for event in events:
            before, after = event.before, event.after
            changed = before and after and before.communication_state is not after.communication_state
            if changed and before and after and wanted(after):
                yield event.position, _transition(ChangeKind.UPDATED, after, before.communication_state)

    def present(entity: CommunicationEntity) -> Change | None:
        return _transition(ChangeKind.SNAPSHOT, entity, None) if wanted(entity) else None

    interest = _Interest(
        matching={"pools": _ids(pools), "adapters": _ids(adapters)},
        conflating=False,
        present=present,
        tell=tell,
        change=CommunicationStateChange,
    )
    return _follow(store, feed, interest, after, line)


async def _follow(
    store: TenantStore, feed: Feed, interest: _Interest, after: str | None, line: asyncio.Lock | None
) -> AsyncIterator[Change]:
    """The story of one watcher, until it goes, its tenant is deleted or the server stops."""
    line = line or asyncio.Lock()
    seal = store.seal.of("changes")
    position = _opened(seal, after)
    with feed.inbox(store.tenant.id, conflating=interest.conflating) as inbox:
        reading_back = position is not None and feed.missed(position)
        while not inbox.closed:
            try:
                if position is None:
                    async for position, change in _present(store, feed, interest, line):
                        if change:
                            yield replace(change, cursor=_closed(seal, position))
                    reading_back = False
                assert position is not None
                async for told_at, change in _behind(store, feed, inbox, interest, position, reading_back):
                    position = told_at or position
                    if change:
                        yield replace(change, cursor=_closed(seal, position))
                reading_back = inbox.behind
            except ChangeHistoryLost:
                position, reading_back = None, False
                inbox.catch_up()
                yield interest.change(cursor=_closed(seal, None), kind=ChangeKind.RESYNC)


async def _present(store: TenantStore, feed: Feed, interest: _Interest, line: asyncio.Lock) -> AsyncIterator[Told]:
    """The present state, all as of one moment, and LIVE with the position of that moment.

    A few are told at a time, page by page, and one on a line: a thousand who come at once would have all of it in
    memory, and keep everybody else waiting.

    Raises `ChangeHistoryLost` when telling it takes longer than MongoDB keeps that moment.
    """
    moment: Timestamp | None = None
    for collection, matching in interest.matching.items():
        more: ObjectId | None = None
        first = True
        while first or more:
            first = False
            async with line, feed.snapshots.turn():
                page, more, moment = await store.snapshot(collection, matching, more, moment)
                while page:  # nothing that was told is kept: the next turn may be far away
                    change = interest.present(page.popleft())
                    if change:
                        yield None, change
    assert moment is not None
    yield Position.behind(moment), interest.change(cursor="", kind=ChangeKind.LIVE)


async def _behind(
    store: TenantStore,
    feed: Feed,
    inbox: Inbox,
    interest: _Interest,
    position: Position,
    reading_back: bool,
) -> AsyncIterator[Told]:
    """What is known to have happened behind a position: from the history if asked to, else from the inbox."""
    if not reading_back:
        for told in _told(interest, await inbox.take(), position):
            yield told
        return
    inbox.catch_up()
    more = True
    while more:
        events, more = await feed.history(store.tenant.id, position)
        for told in _told(interest, conflated(events) if interest.conflating else events, position):
            yield told
        position = events[-1].position if events else position


def _told(interest: _Interest, events: Sequence[Event], position: Position) -> Iterator[Told]:
    """What an interest makes of the events behind a position. Raises `ChangeHistoryLost` when one is not known."""
    news = [news for event in events if (news := event.behind(position))]
    if any(event.lost for event in news):
        raise ChangeHistoryLost("an image is missing")
    yield from interest.tell(news)
    if news:  # never back to where the history, which was read before, has led already
        yield news[-1].position, None


def _changes_of_pools(event: Event) -> Iterator[Change]:
    """What an event means to pools: one of its own, or one of a member that was or is theirs."""
    if isinstance(event.last, Pool):
        yield _change_of_entity(event)
        return
    for rt_id, pool in event.pools.items():
        yield Change(cursor="", kind=ChangeKind.UPDATED, rt_id=rt_id, entity=pool)


def _change_of_entity(event: Event) -> Change:
    if event.after is None:
        kind = ChangeKind.DELETED
    else:
        kind = ChangeKind.CREATED if event.before is None else ChangeKind.UPDATED
    return Change(cursor="", kind=kind, rt_id=event.rt_id, entity=event.last)


def _joined(earlier: Change | None, later: Change) -> Change:
    """Two changes of one entity told as one: new is still new, gone stays gone."""
    if earlier and later.kind is ChangeKind.UPDATED and earlier.kind is not ChangeKind.UPDATED:
        return replace(
            later,
            kind=earlier.kind,
            entity=later.entity if earlier.kind is ChangeKind.CREATED else earlier.entity,
        )
    return later


def _snapshot_of_entity(entity: CommunicationEntity) -> Change:
    return Change(cursor="", kind=ChangeKind.SNAPSHOT, rt_id=entity.rt_id, entity=entity)


def _transition(
    kind: ChangeKind, entity: CommunicationEntity, previous: CommunicationState | None
) -> CommunicationStateChange:
    return CommunicationStateChange(
        cursor="",
        kind=kind,
        rt_id=entity.rt_id,
        entity=entity,
        previous=previous,
        current=entity.communication_state,
        timestamp=entity.communication_state_timestamp,
        reason=entity.communication_reason,
    )


def _among(rt_id: str | None, rt_ids: Collection[str] | None) -> bool:
    return rt_ids is None or rt_id in rt_ids


def _ids(rt_ids: Collection[str] | None) -> dict[str, Any]:
    return {} if rt_ids is None else {"_id": {"$in": [ObjectId(rt_id) for rt_id in rt_ids]}}


def _closed(seal: Seal, position: Position | None) -> str:
    """The cursor of a position. That of None, in the middle of a snapshot, leads to a new snapshot."""
    return seal.close(pack({"t": position.time, "i": position.index} if position else {}))


def _opened(seal: Seal, cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    try:
        place = unpack(seal.open(cursor))
    except (Forged, ValueError) as error:
        raise InvalidCursor(
            "The cursor in 'after' was not given out by a subscription of this tenant. Subscribe without it."
        ) from error
    return Position(place["t"], place["i"]) if place else None
