"""Transactions that nobody goes on with are ended, and no others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.store.abandoned import ABANDONED_SECONDS, LOOK_SECONDS, ending_abandoned
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

THING = {"_id": 1}


@asynccontextmanager
async def looking_often(mongo: Mongo, after_seconds: float) -> AsyncIterator[None]:
    async with ending_abandoned(mongo, after_seconds=after_seconds, look_seconds=0.05):
        yield


async def test_an_edit_gets_through_what_a_killed_server_held(
    registry: Registry, store: TenantStore, mongo: Mongo, mongo_uri: str
) -> None:
    pool = a_pool(name="North")
    await stored(store, pool)

    async def rename(unit: Unit) -> Pool:
        found = await unit.pool(pool.rt_id)
        assert found is not None
        return unit.save(found.edited(LATER, name="South"))

    with capture_logs() as logs:
        async with (
            left_open(mongo_uri, f"{registry.prefix}acme", "pools", {"_id": ObjectId(pool.rt_id)}),
            ending_abandoned(mongo),
        ):
            began = time.monotonic()
            renamed = await write(store, rename, caller=ALICE, now=LATER)
            assert time.monotonic() - began > ABANDONED_SECONDS - LOOK_SECONDS
    assert await store.pool(pool.rt_id) == renamed
    assert [line["event"] for line in logs] == ["ended a transaction that nobody went on with"]
    assert logs[0]["client"].startswith("127.0.0.1:")


@both_drivers
async def test_whose_transaction_was_ended_has_lost_a_race(mongo: Mongo, registry: Registry) -> None:
    database = registry.system
    for goes_on in (True, False):  # or commits what it has

        async def hold(session: Session, goes_on: bool = goes_on) -> None:
            await mongo.update(database, "things", THING, {"$set": {"held": True}}, upsert=True, session=session)
            [own] = await mongo.idle_transactions()
            await mongo.end_transaction(own.session)
            assert await mongo.idle_transactions() == []
            if goes_on:
                await mongo.update(database, "things", THING, {"$set": {"again": True}}, session=session)

        with pytest.raises(Raced):
            await mongo.transact(hold)
    assert await mongo.find_one(database, "things", THING) is None


@both_drivers
async def test_a_slow_transaction_is_not_an_abandoned_one(mongo: Mongo, registry: Registry) -> None:
    database = registry.system

    async def count(session: Session) -> None:
        for _ in range(6):
            await mongo.update(database, "things", THING, {"$inc": {"count": 1}}, upsert=True, session=session)
            await asyncio.sleep(0.25)

    async with looking_often(mongo, after_seconds=0.8):
        await mongo.transact(count)
    assert await mongo.find_one(database, "things", THING) == {**THING, "count": 6}


async def test_other_programs_take_all_the_time_they_want(mongo: Mongo, registry: Registry, mongo_uri: str) -> None:
    async with left_open(mongo_uri, registry.system, "things", THING, app="other") as session:
        async with looking_often(mongo, after_seconds=0.1):
            await asyncio.sleep(0.5)
        await session.commit_transaction()
    assert await mongo.find_one(registry.system, "things", THING) == {**THING, "held": True}


async def test_looking_goes_on_after_whatever_goes_wrong(
    mongo: Mongo, registry: Registry, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = mongo.idle_transactions
    wrong: list[Exception] = [
        MongoUnavailable("asleep"),
        MongoCommandFailed("not you", 13, "Unauthorized"),
        MongoCommandFailed("not you", 13, "Unauthorized"),
        LookupError("what nobody thought of"),
    ]

    async def looked() -> list[IdleTransaction]:
        if wrong:
            raise wrong.pop(0)
        return await look()

    monkeypatch.setattr(mongo, "idle_transactions", looked)
    with capture_logs() as logs:
        async with left_open(mongo_uri, registry.system, "things", THING), looking_often(mongo, after_seconds=0.1):
            async with asyncio.timeout(5):
                while wrong or await look():
                    await asyncio.sleep(0.02)
    assert [line["event"] for line in logs] == [
        "what a killed server was writing is locked until MongoDB ends it",
        "looking for abandoned transactions failed",
        "ended a transaction that nobody went on with",
    ]
    assert logs[0]["reason"] == "not you"
