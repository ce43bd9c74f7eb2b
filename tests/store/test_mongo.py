"""The door to the driver: what it asks, and how it tells what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import motor.motor_asyncio
import pymongo
import pytest
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from octomesh_graphql.store.mongo import (
    Driver,
    Duplicate,
    IndexModel,
    Mongo,
    MongoCommandFailed,
    MongoUnavailable,
    Raced,
    Session,
    Timestamp,
    pack,
    unpack,
)
from octomesh_graphql.store.tenants import Registry
from tests.drivers import both_drivers


async def test_a_server_that_is_not_there_is_told_as_such() -> None:
    nowhere: Any = pymongo.AsyncMongoClient("mongodb://127.0.0.1:1", timeoutMS=300)
    async with nowhere:
        with pytest.raises(MongoUnavailable, match=r"MongoDB does not answer: 127\.0\.0\.1:1: .*Connect"):
            await Mongo(nowhere).command("admin", {"ping": 1})


@both_drivers
async def test_a_refused_command_keeps_mongodbs_own_code(mongo: Mongo) -> None:
    with pytest.raises(MongoCommandFailed) as failed:
        await mongo.command("admin", {"noSuchCommand": 1})
    assert (failed.value.code, failed.value.code_name) == (59, "CommandNotFound")


@both_drivers
async def test_what_must_be_unique_is_named(registry: Registry) -> None:
    mongo, database = registry.mongo, registry.system
    await mongo.create_indexes(database, "things", [IndexModel({"name": 1}, unique=True)])
    await mongo.insert(database, "things", [{"_id": 1, "name": "a"}, {"_id": 2, "name": "b"}])

    async def insert(session: Session) -> None:
        await mongo.insert(database, "things", [{"name": "c"}, {"name": "a"}], session=session)

    for attempt in (
        lambda: mongo.insert(database, "things", [{"name": "a"}]),
        lambda: mongo.update(database, "things", {"_id": 2}, {"$set": {"name": "a"}}),
        lambda: mongo.transact(insert),
    ):
        with pytest.raises(Duplicate) as duplicate:
            await attempt()
        assert duplicate.value.fields == {"name"}


@both_drivers
async def test_two_transactions_on_one_document_are_a_race(registry: Registry) -> None:
    mongo, database = registry.mongo, registry.system
    await mongo.insert(database, "things", [{"_id": 1}])
    locked, done = asyncio.Event(), asyncio.Event()

    async def slow(session: Session) -> None:
        await mongo.update(database, "things", {"_id": 1}, {"$set": {"slow": True}}, session=session)
        locked.set()
        await done.wait()

    async def quick(session: Session) -> None:
        await mongo.update(database, "things", {"_id": 1}, {"$set": {"quick": True}}, session=session)

    first = asyncio.create_task(mongo.transact(slow))
    await locked.wait()
    with pytest.raises(Raced):
        await mongo.transact(quick)
    done.set()
    await first
    assert await mongo.find_one(database, "things", {"_id": 1}) == {"_id": 1, "slow": True}


@both_drivers
async def test_a_stream_that_cannot_be_is_refused_as_it_opens(mongo: Mongo) -> None:
    with pytest.raises(MongoCommandFailed):
        async with mongo.watch([{"$out": "elsewhere"}]):
            pass


@both_drivers
async def test_what_happened_before_the_present_is_committed(registry: Registry) -> None:
    mongo = registry.mongo
    before = await mongo.present()
    await mongo.insert(registry.system, "things", [{"_id": 1}])
    after = await mongo.present()
    assert before < after
    things = [{"$match": {"ns.coll": "things"}}]
    async with mongo.watch(things, database=registry.system, start_at=after, wait_ms=1) as stream:
        again = await stream.next()
        assert again is None or again["clusterTime"] == after
    async with mongo.watch(things, database=registry.system, start_at=before, wait_ms=1) as stream:
        assert await stream.next() is not None
        assert await stream.next() is None
        assert stream.resume_token is not None


async def test_what_is_packed_keeps_its_types() -> None:
    assert unpack(pack({"t": Timestamp(7, 1), "n": None})) == {"t": Timestamp(7, 1), "n": None}
    for garbage in (b"", b"\x00", b"\xff" * 40):
        with pytest.raises(ValueError, match="not BSON"):
            unpack(garbage)


class Overhearing(CommandListener):
    """What is asked of MongoDB, and at which times it answers."""

    def __init__(self) -> None:
        self.read_concerns: list[tuple[str, Any]] = []
        self.times: list[Timestamp] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.read_concerns.append((event.command_name, event.command.get("readConcern")))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self.times.append(event.reply["operationTime"])

    def failed(self, event: CommandFailedEvent) -> None:
        pass

    def asked_after(self) -> Any:
        """What the last read must have seen."""
        return self.read_concerns[-1][1].get("afterClusterTime")


@pytest.fixture
async def overheard(mongo_uri: str, driver: Driver) -> AsyncIterator[tuple[Mongo, Overhearing]]:
    """A connection, and what is said on it."""
    overhearing = Overhearing()
    build = motor.motor_asyncio.AsyncIOMotorClient if driver is Driver.MOTOR else pymongo.AsyncMongoClient
    client: Any = build(mongo_uri, w="majority", readConcernLevel="majority", event_listeners=[overhearing])
    yield Mongo(client), overhearing
    if closing := client.close():
        await closing


@both_drivers
async def test_whoever_is_the_primary_must_have_seen_what_was_seen_before(
    registry: Registry, overheard: tuple[Mongo, Overhearing]
) -> None:
    (mongo, overhearing), database = overheard, registry.system
    await mongo.find_one(database, "things", {})
    assert overhearing.asked_after() is None

    async def insert(session: Session) -> None:
        await mongo.insert(database, "things", [{"_id": 1}], session=session)

    await mongo.transact(insert)
    committed = overhearing.times[-1]
    assert await mongo.aggregate(database, "things", []) == [{"_id": 1}]
    assert overhearing.asked_after() >= committed
    await mongo.snapshot(database, "things", [], None)
    assert overhearing.asked_after() >= committed

    async with mongo.watch([], database=database) as stream:
        await registry.mongo.insert(database, "things", [{"_id": 2}])
        while (event := await stream.next()) is None:
            pass
    await mongo.find_one(database, "things", {})
    assert overhearing.asked_after() >= event["clusterTime"] > committed


@both_drivers
async def test_what_failed_need_not_have_been_seen(registry: Registry, overheard: tuple[Mongo, Overhearing]) -> None:
    (mongo, overhearing), database = overheard, registry.system
    await mongo.insert(database, "things", [{"_id": 1}])
    committed = overhearing.times[-1]

    async def insert(session: Session) -> None:
        await mongo.insert(database, "things", [{"_id": 2}], session=session)
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            await mongo.transact(insert)
        with pytest.raises(Duplicate):
            await mongo.insert(database, "things", [{"_id": 1}])
    await registry.mongo.insert(database, "others", [{"_id": 1}])
    with pytest.raises(Duplicate):
        await mongo.insert(database, "things", [{"_id": 1}])
    assert overhearing.times[-1] > committed
    await mongo.find_one(database, "things", {})
    assert overhearing.asked_after() == committed


@both_drivers
async def test_nobody_waits_behind_a_write_that_was_given_up(mongo: Mongo, registry: Registry) -> None:
    database, locked, done = registry.system, asyncio.Event(), asyncio.Event()
    await mongo.insert(database, "things", [{"_id": 1}])

    async def hold(session: Session) -> None:
        await mongo.update(database, "things", {"_id": 1}, {"$set": {"held": True}}, session=session)
        locked.set()
        await done.wait()

    holding = asyncio.create_task(mongo.transact(hold))
    await locked.wait()
    given_up = asyncio.create_task(mongo.update(database, "things", {"_id": 1}, {"$set": {"late": True}}))
    await asyncio.sleep(0.2)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    try:
        async with asyncio.timeout(5):
            for number in range(3):
                await mongo.insert(database, "others", [{"_id": number}])
    finally:
        done.set()
        await holding
