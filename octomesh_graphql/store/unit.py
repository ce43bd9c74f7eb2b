"""A unit of work: what one action reads and saves, committed together or not at all."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.caller import Caller
from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.domain.transition import Transition, transitions
from octomesh_graphql.store.answers import already_given, given, giving
from octomesh_graphql.store.entities import Step, TenantStore, Write
from octomesh_graphql.store.mongo import PATIENCE_SECONDS, Duplicate, MongoUnavailable, Raced

E = TypeVar("E", bound=CommunicationEntity)
T = TypeVar("T")

_ATTEMPTS: Final = 100  # far beyond what an answer needs to be there; then something else is wrong


class Unit:
    """Reads go through to the database; saves are remembered until the unit is committed.

    Everything saved must have been read through the same unit: the commit succeeds only if it is still as it was read.
    """

    def __init__(self, store: TenantStore, *, who: str, now: datetime) -> None:
        self.now = now
        self._store = store
        self._who = who
        self._read: dict[str, CommunicationEntity] = {}
        self._saved: dict[str, CommunicationEntity | None] = {}
        self.also: list[Step] = []
        """What is to be done in the same transaction, elsewhere in the database. It may be done several times."""

    async def pool(self, rt_id: str) -> Pool | None:
        """The pool with this id."""
        return self._seen(await self._store.pool(rt_id))

    async def adapter(self, rt_id: str) -> Adapter | None:
        """The adapter with this id."""
        return self._seen(await self._store.adapter(rt_id))

    async def adapters(self, rt_ids: Sequence[str]) -> dict[str, Adapter]:
        """Those that exist, by id."""
        found = await self._store.adapters(rt_ids) if rt_ids else {}
        return {rt_id: self._remembered(adapter) for rt_id, adapter in found.items()}

    async def adapters_of(self, pool: Pool) -> list[Adapter]:
        """All adapters of a pool, by name."""
        return [self._remembered(adapter) for adapter in await self._store.adapters_of(pool.rt_id)]

    def save(self, entity: E) -> E:
        """Store it; returns it as it will be stored. What is as it was read is not written."""
        before = self._read.get(entity.rt_id)
        if entity == before:
            return entity
        stored = replace(entity, revision=before.revision + 1) if before else entity
        self._saved[entity.rt_id] = stored
        return stored

    def delete(self, entity: CommunicationEntity) -> None:
        """Remove it."""
        self._saved[entity.rt_id] = None

    @property
    def saved_adapters(self) -> Sequence[Adapter]:
        """The adapters as they were saved in this unit."""
        return [entity for entity in self._saved.values() if isinstance(entity, Adapter)]

    def hold(self, entity: E) -> E:
        """Commit only if this one, though unchanged, is still as it was read: the decision depended on it."""
        if entity.rt_id not in self._saved:
            self._saved[entity.rt_id] = replace(entity, revision=entity.revision + 1)
        return entity

    def changes(self) -> Iterator[Write]:
        """What to commit, as before and after, always in the order of ids so that two units never lock crosswise."""
        for rt_id in sorted(self._saved):
            yield self._read.get(rt_id), self._saved[rt_id]

    def transitions(self) -> Iterator[Transition]:
        """What happened, for the history."""
        for before, after in self.changes():
            yield from transitions(before, after, who=self._who, at=self.now)

    def _seen(self, entity: E | None) -> E | None:
        return None if entity is None else self._remembered(entity)

    def _remembered(self, entity: E) -> E:
        """As it was read first: a decision must not mix two versions. An outdated one fails the commit."""
        first: Any = self._read.setdefault(entity.rt_id, entity)
        return cast(E, first)


async def write(store: TenantStore, act: Callable[[Unit], Awaitable[T]], *, caller: Caller, now: datetime) -> T:
    """Let `act` read, decide and save through a `Unit`, and commit what it saved: all of it or nothing.

    When somebody else wrote one of the documents meanwhile, `act` decides again on what is there now. Who lost once
    waits in line behind the other losers of this process, so that a crowd makes progress in order. A request of the
    caller that was answered before is not acted on again.
    """

    async def attempt() -> T:
        unit = Unit(store, who=caller.name, now=now)
        result = await act(unit)
        answer = [giving(store, caller.request, result, now)] if caller.request else []
        await store.commit(unit.changes(), unit.transitions(), first=answer, also=unit.also)
        return result

    if caller.request is None:
        return await _written(store, attempt)
    before: T | None = await given(store, caller.request, act)
    if before is not None:
        return before
    try:
        return await _written(store, attempt)
    except (Duplicate, Refused) as error:  # the same request may have come twice at once, and the other one was first
        for _ in range(_ATTEMPTS):
            meanwhile: T | None = await given(store, caller.request, act)
            if meanwhile is not None:
                return meanwhile
            if not already_given(error):
                raise
            await asyncio.sleep(0.02)  # it is there, and will soon be there for good
        raise


async def _written(store: TenantStore, attempt: Callable[[], Awaitable[T]]) -> T:
    try:
        return await attempt()
    except Raced:
        async with store.losers:
            return await _insisted(attempt)


async def _insisted(attempt: Callable[[], Awaitable[T]]) -> T:
    until = time.monotonic() + PATIENCE_SECONDS  # somebody who was killed may hold what is wanted for half of that
    longest = 0.001
    while time.monotonic() < until:
        try:
            return await attempt()
        except Raced:
            await asyncio.sleep(random.uniform(0, longest))
            longest = min(2 * longest, 0.1)
    raise MongoUnavailable("Too many writers want to change the same entity; try again in a moment.")
