"""Transactions that nobody goes on with.

MongoDB keeps what an open transaction has written from all other writers, and lets it be open for a minute. A server
that is killed, frozen or cut off in the middle of a commit leaves one. Every server looks for them and ends them; whose
server was only slow finds that another came first, and decides again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from octomesh_graphql.store.mongo import IdleTransaction, Mongo, MongoCommandFailed, MongoUnavailable

log = structlog.get_logger()

ABANDONED_SECONDS: Final = 3.0
"""Without any work in it. Whoever waits for it meanwhile still gets through within the ten seconds of an operation."""

LOOK_SECONDS: Final = 1.0
"""Between two looks."""


@asynccontextmanager
async def ending_abandoned(
    mongo: Mongo, *, after_seconds: float = ABANDONED_SECONDS, look_seconds: float = LOOK_SECONDS
) -> AsyncIterator[None]:
    """Look for such transactions, and end them, until the block ends."""
    task = asyncio.create_task(_look_on(mongo, after_seconds, look_seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _look_on(mongo: Mongo, after_seconds: float, look_seconds: float) -> None:
    unchanged_since: dict[IdleTransaction, float] = {}
    refused = False
    while True:
        await asyncio.sleep(look_seconds)
        try:
            idle, now = await mongo.idle_transactions(), time.monotonic()
            unchanged_since = {each: unchanged_since.get(each, now) for each in idle}
            for each, since in unchanged_since.items():
                if now - since >= after_seconds:
                    await mongo.end_transaction(each.session)
                    log.warning("ended a transaction that nobody went on with", client=each.client)
            refused = False
        except MongoUnavailable:
            pass  # others tell of it
        except MongoCommandFailed as error:
            if not refused:
                log.warning("what a killed server was writing is locked until MongoDB ends it", reason=str(error))
            refused = True
        except Exception:
            log.exception("looking for abandoned transactions failed")
