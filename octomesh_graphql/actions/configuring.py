"""Configuring: an adapter's process is handed its configuration, and says what it thinks of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from octomesh_graphql.actions.registering import agent, missing, tenant_of
from octomesh_graphql.actions.reporting import MESSAGE_CHARACTERS
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, Session
from octomesh_graphql.domain.text import shown
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.unit import Unit, write


@dataclass(frozen=True, kw_only=True)
class Handover:
    """A configuration given to an adapter's process; its answer names the version."""

    version: str
    configuration: Any


async def hand_configuration(sessions: Sessions, session: Session, now: datetime) -> Handover:
    """The present configuration; what the adapter thinks of it is awaited from now on. Raises `AgentRefused`."""
    adapter = await _answered(sessions, session, now, lambda adapter: adapter.handed_configuration(now))
    return Handover(version=adapter.configuration_version, configuration=adapter.configuration)


async def acknowledge_configuration(sessions: Sessions, session: Session, now: datetime, version: str) -> Adapter:
    """The adapter works with this version of its configuration; ignored if there is a newer one."""

    def accepted(adapter: Adapter) -> Adapter:
        return adapter.accepted_configuration(now) if adapter.configuration_version == version else adapter

    return await _answered(sessions, session, now, accepted)


async def reject_configuration(
    sessions: Sessions, session: Session, now: datetime, version: str, message: str
) -> Adapter:
    """The adapter can't work with this version of its configuration; ignored if there is a newer one."""
    why = shown(message.strip(), MESSAGE_CHARACTERS) or "The adapter rejected its configuration and gave no reason."

    def rejected(adapter: Adapter) -> Adapter:
        return adapter.rejected_configuration(now, why) if adapter.configuration_version == version else adapter

    return await _answered(sessions, session, now, rejected)


async def _answered(
    sessions: Sessions, session: Session, now: datetime, change: Callable[[Adapter], Adapter]
) -> Adapter:
    """The session's adapter, changed. Raises `AgentRefused` when the session is over or the adapter is gone."""
    if not session.of_adapter:
        raise AgentRefused(AgentErrorCode.BAD_USER_INPUT, "Only the process of an adapter has a configuration.")
    await sessions.check(session)
    tenant_id, rt_id = session.adapter
    store = await tenant_of(sessions, tenant_id)

    async def act(unit: Unit) -> Adapter:
        adapter = await unit.adapter(rt_id)
        if adapter is None:
            raise missing("adapter", rt_id)
        if adapter.session != session.key:
            raise session.stale()
        return unit.save(change(adapter))

    return await write(store, act, caller=agent(session), now=now)
