"""What becomes of a transaction that is cut off from MongoDB in the middle."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from octomesh_graphql.store.abandoned import ending_abandoned
from octomesh_graphql.store.mongo import Driver, Mongo, MongoUnavailable, Raced
from tests.faults.database import Database
from tests.faults.users import ALL_WELL_SECONDS


@pytest.mark.parametrize("driver", list(Driver), ids=lambda driver: driver.name)
async def test_what_it_had_written_can_soon_be_written_by_others(tmp_path: Path, driver: Driver) -> None:
    async with (
        Database(tmp_path).running() as database,
        Mongo.connect(database.uri, driver) as mongo,
        ending_abandoned(mongo),
    ):
        await mongo.insert("faults", "things", [{"_id": 1, "count": 0}])

        async def cut_off(session: Any) -> None:
            await mongo.update("faults", "things", {"_id": 1}, {"$inc": {"count": 1}}, session=session)
            database.wires[0].swallow()
            await mongo.update("faults", "things", {"_id": 1}, {"$inc": {"count": 1}}, session=session)

        async def another(session: Any) -> None:
            await mongo.update("faults", "things", {"_id": 1}, {"$inc": {"count": 10}}, session=session)

        with pytest.raises(MongoUnavailable):
            await mongo.transact(cut_off)
        await asyncio.sleep(1)
        database.wires[0].heal()
        healed = time.monotonic()
        while not await done(mongo, another):
            assert time.monotonic() - healed < ALL_WELL_SECONDS, "it is still held"
            await asyncio.sleep(0.1)
        assert await mongo.find_one("faults", "things", {}) == {"_id": 1, "count": 10}


async def done(mongo: Mongo, work: Any) -> bool:
    """Whether a transaction came about."""
    try:
        await mongo.transact(work)
    except (Raced, MongoUnavailable):
        return False
    return True
