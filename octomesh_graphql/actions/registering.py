"""Registering: how agents come, stay known to be there, and go.

An operator speaks for the pools it has claimed, the process of an adapter for that adapter. Every write is made only
while the session it comes from is alive, so nothing that is late or doubled can overwrite what is newer.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from octomesh_graphql.domain.caller import Caller
from octomesh_graphql.domain.pool import Pool, ServingOperator
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, OperatorFacts, Session
from octomesh_graphql.domain.text import shown
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.unit import Unit, write

_NAMESPACE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


async def register_operator(sessions: Sessions, facts: OperatorFacts, *, holder: str = "") -> Session:
    """A new session of an operator; it claims its pools next.

    Raises `AgentRefused` for unusable facts, and while somebody else than the holder is this operator.
    """
    return await sessions.begin_operator(facts.checked(), holder)


async def register_adapter(
    sessions: Sessions, now: datetime, *, tenant_id: str, rt_id: str, holder: str = ""
) -> Session:
    """A new session of an adapter's process: the adapter is ONLINE.

    Raises `AgentRefused` when there is no such adapter, and while somebody else than the holder is its process.
    """
    store = await tenant_of(sessions, tenant_id)
    if await store.adapter(rt_id) is None:
        raise missing("adapter", rt_id)
    session = await sessions.begin_adapter(tenant_id, rt_id, holder)

    async def act(unit: Unit) -> Session:
        adapter = await unit.adapter(rt_id)
        if adapter is None:
            raise missing("adapter", rt_id)
        await sessions.check(session)  # after reading: whoever ends it meanwhile makes this attempt race
        unit.save(adapter.registered(now, session=session, reason="Its process registered."))
        return session

    return await write(store, act, caller=agent(session), now=now)


async def claim_pool(
    sessions: Sessions, session: Session, now: datetime, *, tenant_id: str, pool_rt_id: str, namespace: str
) -> Pool:
    """Serve a pool from now on: it is ONLINE. Claiming it again is boring.

    Raises `AgentRefused` when the session is over, the pool is not there, or another live operator serves it.
    """
    operator = await sessions.operator(session)
    store = await tenant_of(sessions, tenant_id)
    namespace_checked(namespace)
    by = ServingOperator(
        id=operator.id, cluster=operator.cluster, namespace=namespace, version=operator.version, since=now
    )

    async def act(unit: Unit) -> Pool:
        pool = await unit.pool(pool_rt_id)
        if pool is None:
            raise missing("pool", pool_rt_id)
        await sessions.check(session)  # after reading: whoever ends it meanwhile makes this attempt race
        return unit.save(pool.claimed(now, by, session))

    await sessions.claim(session, tenant_id, pool_rt_id)
    return await write(store, act, caller=agent(session), now=now)


async def release_pool(sessions: Sessions, session: Session, now: datetime, *, tenant_id: str, pool_rt_id: str) -> None:
    """Serve a pool no longer: it is UNREGISTERED. One that is gone, or served by another by now, is left alone.

    Raises `AgentRefused` when the session is over.
    """
    await sessions.operator(session)

    async def act(unit: Unit) -> None:
        pool = await unit.pool(pool_rt_id)
        released = pool and pool.released_by(now, session, "The operator released it: its resource was removed.")
        if released and released is not pool:
            unit.save(released)
            unit.also.append(sessions.unclaiming(session, tenant_id, pool_rt_id))

    try:
        store = await sessions.registry.open(tenant_id)
    except Refused:  # gone, and the pool with it
        pass
    else:
        await write(store, act, caller=agent(session), now=now)


def namespace_checked(namespace: str) -> str:
    """Itself. Raises `AgentRefused` when no namespace can have that name."""
    if not _NAMESPACE.fullmatch(namespace):
        raise AgentRefused(
            AgentErrorCode.BAD_USER_INPUT, f"'{shown(namespace)}' can't be the name of a Kubernetes namespace."
        )
    return namespace


def agent(session: Session) -> Caller:
    """An agent as the one who did something."""
    name = f"adapter {session.agent}" if session.of_adapter else f"operator {session.agent}"
    return Caller(name=name, authenticated=False, may_edit=False)


async def tenant_of(sessions: Sessions, tenant_id: str) -> TenantStore:
    """The data of a tenant. Raises `AgentRefused`."""
    try:
        return await sessions.registry.open(tenant_id)
    except Refused as refused:
        raise AgentRefused(AgentErrorCode.NOT_FOUND, str(refused)) from refused


def missing(kind: str, rt_id: str) -> AgentRefused:
    """The refusal of what is about an entity that is not there."""
    return AgentRefused(AgentErrorCode.NOT_FOUND, f"There is no {kind} {shown(rt_id, 40)} in this tenant.")
