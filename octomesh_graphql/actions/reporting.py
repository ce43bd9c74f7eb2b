"""Reporting: operators ask what is wished about a pool, and tell what they found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from octomesh_graphql.actions.arranging import finish_deletion
from octomesh_graphql.actions.registering import agent, missing, tenant_of
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, Session
from octomesh_graphql.domain.text import shown
from octomesh_graphql.domain.wish import Finding, WishedAdapter, wished
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.unit import Unit, write

WISH_ADAPTERS: Final = 100
"""Adapters of a wish told at once: with the largest configurations 6.4 MiB."""

FINDINGS: Final = 200
"""Findings of one report: one transaction of a tenth of a second."""

MESSAGE_CHARACTERS: Final = 1_000
"""Longest message kept of a finding; an operator's are a sentence or two."""


@dataclass(frozen=True, kw_only=True)
class WishPage:
    """Some of what is wished about a pool."""

    pool: Pool
    adapters: Sequence[WishedAdapter]
    next: str | None
    """Where the next page begins: behind this adapter; None after the last."""


async def pool_wish(
    sessions: Sessions, session: Session, *, tenant_id: str, pool_rt_id: str, after: str | None = None
) -> WishPage:
    """What is wished about a claimed pool: its adapters that are wanted or not yet gone, in order of their ids.

    Raises `AgentRefused` when the session is over, or does not serve the pool.
    """
    await sessions.operator(session)
    store = await tenant_of(sessions, tenant_id)
    adapters = await store.wished_adapters(pool_rt_id, after=after, limit=WISH_ADAPTERS + 1)
    pool = await store.pool(pool_rt_id)  # after its adapters: one that is deleted has none, which is no wish
    if pool is None:
        raise missing("pool", pool_rt_id)
    pool.spoken_for(session)
    told = adapters[:WISH_ADAPTERS]
    return WishPage(
        pool=pool,
        adapters=[wished(adapter) for adapter in told],
        next=told[-1].rt_id if len(adapters) > WISH_ADAPTERS else None,
    )


async def report_pool(
    sessions: Sessions,
    session: Session,
    now: datetime,
    *,
    tenant_id: str,
    pool_rt_id: str,
    findings: Sequence[Finding],
) -> None:
    """What an operator found about adapters of a pool it serves. A deletion that waited for them is finished.

    A finding about an older wish, or about an adapter that is no longer in the pool, is ignored. Raises `AgentRefused`
    when the session is over, or does not serve the pool.
    """
    if len(findings) > FINDINGS:
        message = f"A report may have {FINDINGS} findings, not {len(findings)}. Send several."
        raise AgentRefused(AgentErrorCode.BAD_USER_INPUT, message)
    await sessions.operator(session)
    store = await tenant_of(sessions, tenant_id)
    by_adapter = {finding.rt_id: finding for finding in findings}

    async def act(unit: Unit) -> None:
        pool = await unit.pool(pool_rt_id)
        if pool is None:
            raise missing("pool", pool_rt_id)
        pool.spoken_for(session)
        if await _found(unit, now, pool, by_adapter):
            unit.hold(pool)
        if pool.deleting:
            await finish_deletion(unit, now, pool)

    await write(store, act, caller=agent(session), now=now)


async def _found(unit: Unit, now: datetime, pool: Pool, findings: Mapping[str, Finding]) -> bool:
    """Save what was found; whether anything of it is news."""
    news = False
    for rt_id, adapter in (await unit.adapters(list(findings))).items():
        if adapter.pool_rt_id != pool.rt_id:
            continue
        finding = findings[rt_id]
        message = finding.message and shown(finding.message, MESSAGE_CHARACTERS)
        found = adapter.found(now, generation=finding.generation, phase=finding.phase, message=message)
        news = news or found is not adapter
        unit.save(found)
    return news
