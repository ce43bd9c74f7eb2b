"""What is left of events that were told: nothing."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from octomesh_graphql.actions import watching
from octomesh_graphql.api.admitting import OPEN
from octomesh_graphql.api.schema import SUBFIELDS_KEPT, build_schema
from octomesh_graphql.api.visiting import TenantVisit
from octomesh_graphql.domain.change import Change, ChangeKind
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from tests.builders import a_pool

WATCH = """subscription { poolChanges {
  kind cursor pool { rtId name summary { adapters deployed } health { level headline } operator { id } }
} }"""
EVENTS = 8_000


async def test_a_subscription_keeps_no_memory_of_the_events_it_has_told(
    store: TenantStore, sessions: Sessions, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = a_pool(name="North")

    async def endless(*_: Any, **__: Any) -> AsyncIterator[Change]:
        while True:
            yield Change(kind=ChangeKind.UPDATED, cursor="c", rt_id=pool.rt_id, entity=pool)

    monkeypatch.setattr(watching, "pool_changes", endless)
    visit = TenantVisit(OPEN, sessions, feed, "r", tenant_id=store.tenant.id)
    await visit.enter(None)
    results = await build_schema().stream(WATCH, context_value=visit)

    async def told(events: int) -> None:
        for _ in range(events):
            result: Any = await anext(results)
            assert not result.errors

    async def least_blocks() -> int:
        """The memory in use, at the low of what is kept for a while and then forgotten."""
        samples = []
        for _ in range(20):
            await told(SUBFIELDS_KEPT // 10)
            gc.collect()
            samples.append(sys.getallocatedblocks())
        return min(samples)

    await told(1_000)
    before = await least_blocks()
    await told(EVENTS)
    kept = await least_blocks() - before
    await results.aclose()
    assert kept < EVENTS / 20  # the library by itself keeps several for each event
