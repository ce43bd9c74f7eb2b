"""Transactions that nobody goes on with are ended, and no others."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Final

import pytest
from structlog.testing import capture_logs

from octomesh_graphql.domain.caller import Caller, Request
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.store.abandoned import LOOK_SECONDS, LOOKS, ending_abandoned
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.mongo import (
    IdleTransaction,
    Mongo,
    MongoCommandFailed,
    MongoUnavailable,
    ObjectId,
    Raced,
    Session,
)
from octomesh_graphql.store.tenants import Registry
from octomesh_graphql.store.unit import Unit, write
from tests.abandoning import left_open
from tests.builders import ALICE, LATER, a_pool, stored
from tests.drivers import both_drivers

THING: Final = {"_id": 1}
ENDED: Final = "ended what nobody went on with"


# In one write, which waits in MongoDB, and in a transaction, which is refused at once.
@pytest.mark.parametrize("caller", [ALICE, replace(ALICE, request=Request(id="1", caller_id="alice", digest="a"))])
async def test_an_edit_gets_through_what_a_killed_server_held(
    caller: Caller, registry: Registry, store: TenantStore, mongo: Mongo, mongo_uri: str
) -> None:
    pool = a_pool(name="North")
    await stored(store, pool)

    async def rename(unit: Unit) -> Pool:
        found = await unit.pool(pool.rt_id)
        assert found is not None
        return unit.save(found.edited(LATER, name="South"))

    held = left_open(mongo_uri, f"{registry.prefix}acme", "pools", {"_id": ObjectId(pool.rt_id)})
    with capture_logs() as logs:
        async with held, ending_abandoned(mongo):
            began = time.monotonic()
            renamed = await write(store, rename, caller=caller, now=LATER)
            assert time.monotonic() - began > (LOOKS - 1) * LOOK_SECONDS
    assert await store.pool(pool.rt_id) == renamed
    [line] = logs
    assert line["event"] == ENDED
    assert line["transactions"][0].startswith("127.0.0.1:")


@both_drivers
@pytest.mark.parametrize("goes_on", [True, False], ids=["writes", "commits"])
async def test_whose_transaction_was_ended_has_lost_a_race(goes_on: bool, mongo: Mongo, registry: Registry) -> None:
    database = registry.system
    others = await mongo.idle_transactions()

    async def hold(session: Session) -> None:
        await mongo.update(database, "things", THING, {"$set": {"held": True}}, upsert=True, session=session)
        [own] = [each for each in await mongo.idle_transactions() if each not in others]
        await mongo.end_transactions([own.session])
        if goes_on:
            await mongo.update(database, "things", THING, {"$set": {"again": True}}, session=session)

    with pytest.raises(Raced):
        await mongo.transact(hold)
    assert await mongo.find_one(database, "things", THING) is None


@both_drivers
async def test_a_slow_transaction_is_not_an_abandoned_one(mongo: Mongo, registry: Registry) -> None:
    database = registry.system

    async def count(session: Session) -> None:
        for _ in range(12):
            await mongo.update(database, "things", THING, {"$inc": {"count": 1}}, upsert=True, session=session)
            await asyncio.sleep(0.2)

    async with ending_abandoned(mongo, look_seconds=0.4):
        await mongo.transact(count)
    assert await mongo.find_one(database, "things", THING) == {**THING, "count": 12}


async def test_who_stood_still_does_not_end_what_is_its_own(mongo: Mongo, registry: Registry) -> None:
    async def stand_still(session: Session) -> None:
        await mongo.update(registry.system, "things", THING, {"$inc": {"count": 1}}, upsert=True, session=session)
        await asyncio.sleep(0.3)
        time.sleep(1.5)  # noqa: ASYNC251 as a process does that gets no processor
        await asyncio.sleep(0.05)

    async with ending_abandoned(mongo, look_seconds=0.2):
        await mongo.transact(stand_still)
    assert await mongo.find_one(registry.system, "things", THING) == {**THING, "count": 1}


async def test_other_programs_take_all_the_time_they_want(mongo: Mongo, registry: Registry, mongo_uri: str) -> None:
    async with left_open(mongo_uri, registry.system, "things", THING, app="other") as session:
        async with ending_abandoned(mongo, look_seconds=0.02):
            await asyncio.sleep(0.5)
        await session.commit_transaction()
    assert await mongo.find_one(registry.system, "things", THING) == {**THING, "held": True}


async def test_looking_goes_on_after_whatever_goes_wrong(
    mongo: Mongo, registry: Registry, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = mongo.idle_transactions
    refused = MongoCommandFailed("not you", 13, "Unauthorized")
    wrong = [MongoUnavailable("asleep"), refused, MongoUnavailable("asleep"), refused, LookupError("a surprise")]

    async def looked() -> list[IdleTransaction]:
        if wrong:
            raise wrong.pop(0)
        return await look()

    monkeypatch.setattr(mongo, "idle_transactions", looked)
    with capture_logs() as logs:
        async with left_open(mongo_uri, registry.system, "things", THING), ending_abandoned(mongo, look_seconds=0.02):
            async with asyncio.timeout(10):
                while not any(line["event"] == ENDED for line in logs):
                    await asyncio.sleep(0.02)
    assert [line["event"] for line in logs] == [
        "what a killed server was writing is locked until MongoDB ends it",
        ENDED,
    ]
    assert "not you" in logs[0]["reason"]
