"""Transactions that nobody goes on with.

MongoDB keeps what an open transaction has written from all other writers, and lets it be open for a minute. A server
that is killed, frozen or cut off in the middle of a commit leaves one. Every server looks for them and ends them; one
that was only slow finds that another came first, and decides again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from octomesh_graphql.store.mongo import IdleTransaction, Mongo, MongoUnavailable

log = structlog.get_logger()

LOOKS: Final = 4
"""In so many looks nothing was done in it. Looks, not seconds: else who stood still would end its own when it wakes."""

LOOK_SECONDS: Final = 1.0
"""Between two looks. Whoever waits for what it has written gets through within the ten seconds of an operation."""


@asynccontextmanager
async def ending_abandoned(mongo: Mongo, look_seconds: float = LOOK_SECONDS) -> AsyncIterator[None]:
    """Look for such transactions, and end them, until the block ends."""
    task = asyncio.create_task(_look_on(mongo, look_seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _look_on(mongo: Mongo, look_seconds: float) -> None:
    looks: dict[IdleTransaction, int] = {}
    fails = False
    while True:
        await asyncio.sleep(look_seconds)
        try:
            looks = {each: looks.get(each, 0) + 1 for each in await mongo.idle_transactions()}
            if abandoned := [each for each, count in looks.items() if count >= LOOKS]:
                await mongo.end_transactions([each.session for each in abandoned])
                log.warning("ended what nobody went on with", transactions=[each.client for each in abandoned])
            fails = False
        except MongoUnavailable:
            pass  # others tell of it
        except Exception as error:
            if not fails:
                log.warning("what a killed server was writing is locked until MongoDB ends it", reason=repr(error))
            fails = True
