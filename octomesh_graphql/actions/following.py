"""Following: an agent's open connection, over which it is told to look again.

The connection is also a sign of life: when it breaks, the agent has a few seconds to come back by another one.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from octomesh_graphql.actions.registering import missing, tenant_of
from octomesh_graphql.domain.session import Session
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.hints import Hints
from octomesh_graphql.store.mongo import MongoCommandFailed, MongoUnavailable
from octomesh_graphql.store.sessions import Sessions

log = structlog.get_logger()

_unlinking: set[asyncio.Task[None]] = set()  # the loop itself keeps no hold of its tasks


@dataclass(frozen=True, kw_only=True)
class LookAgain:
    """Where to look again; everywhere if no pool is named."""

    tenant_id: str | None = None
    pool_rt_id: str | None = None


async def look_again(sessions: Sessions, feed: Feed, session: Session) -> AsyncIterator[LookAgain]:
    """Tells an operator at which of its pools to look again: at first at all. Raises `AgentRefused`."""
    await sessions.operator(session)
    async with _connected(sessions, feed, session) as hints:
        while not hints.closed:
            places = await hints.take()
            if places is None:
                yield LookAgain()
            for tenant_id, pool_rt_id in places or ():
                yield LookAgain(tenant_id=tenant_id, pool_rt_id=pool_rt_id)


async def configuration_versions(sessions: Sessions, feed: Feed, session: Session) -> AsyncIterator[str]:
    """Tells an adapter's process that it should take its configuration: at first, and whenever there is another.

    Raises `AgentRefused`, also when the adapter is gone.
    """
    await sessions.check(session)
    tenant_id, rt_id = session.adapter
    told: str | None = None
    async with _connected(sessions, feed, session) as hints:
        while not hints.closed:
            await hints.take()
            adapter = await (await tenant_of(sessions, tenant_id)).adapter(rt_id)
            if adapter is None:
                raise missing("adapter", rt_id)
            if adapter.configuration_version != told:
                told = adapter.configuration_version
                yield told


@asynccontextmanager
async def _connected(sessions: Sessions, feed: Feed, session: Session) -> AsyncIterator[Hints]:
    link = uuid.uuid4().hex
    with feed.agents.listening(session.agent) as hints:
        await sessions.renew(session, link=link)
        try:
            yield hints
        finally:
            if not feed.leaving:  # else it is us who go, which says nothing about the agent
                task = asyncio.create_task(_unlink(sessions, session, link))
                _unlinking.add(task)
                task.add_done_callback(_unlinking.discard)


async def _unlink(sessions: Sessions, session: Session, link: str) -> None:
    try:
        await sessions.unlink(session, link)
    except (MongoUnavailable, MongoCommandFailed) as error:
        log.warning("a broken connection could not be noted, the lease will tell", reason=str(error))
