"""Sweeping: agents that fell silent, or signed off, are seen to be gone.

Every server sweeps. Whoever ends a session first has ended it; and however many look after what it spoke for, each
transition is written once, because a second look finds nothing left to do.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import structlog

from octomesh_graphql.actions import clock
from octomesh_graphql.domain.caller import SERVER
from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.domain.session import Session
from octomesh_graphql.store.mongo import MongoCommandFailed, MongoUnavailable
from octomesh_graphql.store.sessions import Claim, Loss, Sessions
from octomesh_graphql.store.unit import Unit, write

log = structlog.get_logger()

SWEEP_SECONDS: Final = 1.0
"""Between two looks. With the few seconds of grace after a broken connection it is OFFLINE well within 10 s."""

_AT_ONCE: Final = 8
"""Losses seen to at once: most of the time is waiting for the journal."""


@asynccontextmanager
async def sweeping(sessions: Sessions) -> AsyncIterator[None]:
    """Sweep until the block ends."""
    task = asyncio.create_task(_sweep_on(sessions))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def sweep(sessions: Sessions, now: datetime) -> None:
    """End what ran out, and look after everything that nobody speaks for any more."""
    await sessions.lapse()
    losses = await sessions.losses()
    for first in range(0, len(losses), _AT_ONCE):
        await asyncio.gather(*(_settle(sessions, loss, now) for loss in losses[first : first + _AT_ONCE]))


async def _settle(sessions: Sessions, loss: Loss, now: datetime) -> None:
    """See to this loss; what can't be done for one agent is tried again, and holds up no other."""
    try:
        await settle(sessions, loss, now)
    except MongoUnavailable:
        raise
    except Exception:
        log.exception("an agent's end could not be settled", agent=loss.session.agent, epoch=loss.session.epoch)


async def sign_off(sessions: Sessions, session: Session, now: datetime) -> None:
    """The agent stops, by its own word: an operator's pools go OFFLINE at once, an adapter is UNREGISTERED.

    Raises `AgentRefused` when the session is over.
    """
    loss = await sessions.end(session)
    if loss is None:
        raise session.stale()
    await settle(sessions, loss, now)


async def settle(sessions: Sessions, loss: Loss, now: datetime) -> None:
    """See to everything this loss left behind."""
    claims = await sessions.claims(loss)
    failures = [failure for claim in claims if (failure := await _tried(_lose(sessions, claim, loss, now)))]
    if failures:
        raise failures[0]
    await sessions.settled(loss)
    if claims:
        log.info("agent is gone", agent=loss.session.agent, epoch=loss.session.epoch, why=loss.why, claims=len(claims))


async def _lose(sessions: Sessions, claim: Claim, loss: Loss, now: datetime) -> None:
    async def act(unit: Unit) -> None:
        found = unit.adapter(claim.rt_id) if claim.session.of_adapter else unit.pool(claim.rt_id)
        entity: CommunicationEntity | None = await found
        if entity:
            parted = entity.released if loss.goodbye and claim.session.of_adapter else entity.lost
            unit.save(parted(now, session=claim.session, reason=loss.why))
            if entity.session != claim.session.key:
                unit.hold(entity)  # the session may be about to speak for it: then it races, and finds itself ended

    try:
        store = await sessions.registry.open(claim.tenant_id)
    except Refused:  # gone, and with it whatever could be OFFLINE
        pass
    else:
        await write(store, act, caller=SERVER, now=now)
    await sessions.forget(claim)


async def _tried(work: Awaitable[None]) -> Exception | None:
    """What it failed with, if it did and others can still be done."""
    try:
        await work
    except MongoUnavailable:
        raise
    except Exception as failure:
        return failure
    return None


async def _sweep_on(sessions: Sessions) -> None:
    """Sweep again and again. Not at once where nobody could be heard before: agents must have the time to renew."""
    failures = 1
    while True:
        pause = sessions.renew_seconds if failures else SWEEP_SECONDS
        await asyncio.sleep(pause * random.uniform(1.0, 1.2))  # servers that started together part
        try:
            await sweep(sessions, clock.now())
            failures = 0
        except (MongoUnavailable, MongoCommandFailed) as error:
            failures += 1
            if failures == 1:
                log.warning("sweeping waits for the database", reason=str(error))
        except Exception:
            failures += 1
            log.exception("sweeping failed", failures=failures)
