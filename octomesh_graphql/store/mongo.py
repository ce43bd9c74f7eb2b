"""The one door to the MongoDB driver.

Everything the house asks of MongoDB is a method of `Mongo`. It is written for the shape of PyMongo's own asynchronous
client; Motor's differs in what is awaited, which `_settled` evens out, so either driver serves.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC
from enum import Enum
from typing import Any, Final, Self, TypeVar

# Motor runs each operation in a thread, by default ten. A write that waits for somebody's transaction holds one; with
# fewer threads than operations that transaction would find none to go on in, and all would wait for their time-outs.
os.environ.setdefault("MOTOR_MAX_WORKERS", "80")

import bson
import motor.motor_asyncio
import pymongo
from bson import ObjectId, Timestamp
from bson.codec_options import CodecOptions
from pymongo import IndexModel
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
)

__all__ = [
    "ChangeHistoryLost",
    "Document",
    "Driver",
    "Duplicate",
    "IdleTransaction",
    "IndexModel",
    "Mongo",
    "MongoCommandFailed",
    "MongoUnavailable",
    "ObjectId",
    "Raced",
    "Session",
    "Timestamp",
    "pack",
    "patience",
    "run_admin_command",
    "unpack",
]

Document = dict[str, Any]
Pipeline = Sequence[Mapping[str, Any]]
Session = Any
T = TypeVar("T")


class Driver(Enum):
    """Which client library carries the traffic."""

    MOTOR = "motor"
    PYMONGO = "pymongo"


class MongoUnavailable(Exception):
    """MongoDB can't be reached, or did not answer in time."""


class MongoCommandFailed(Exception):
    """MongoDB refused a command; `code` and `code_name` are its own."""

    def __init__(self, message: str, code: int, code_name: str) -> None:
        super().__init__(message)
        self.code = code
        self.code_name = code_name


class Duplicate(Exception):
    """A unique index has the value already; `fields` names what must be unique."""

    def __init__(self, fields: frozenset[str]) -> None:
        super().__init__(f"already there: {', '.join(sorted(fields))}")
        self.fields = fields


class Raced(Exception):
    """Somebody else wrote the same document in between; reading again and deciding again is the answer."""


class ChangeHistoryLost(Exception):
    """The changes behind a position, or the state at a time, are no longer kept."""


@dataclass(frozen=True)
class IdleTransaction:
    """An open transaction in which nothing is done at the moment: equal to what it was as long as nothing is."""

    session: bytes
    number: int
    worked_micros: int
    client: str
    """Address of who worked in it last."""


PATIENCE_SECONDS: Final = 10.0
"""How long an operation may take, and so may all together that one request needs: see `patience`."""

_CONNECTIONS: Final = 50
"""Operations and transactions under way at once in a process. Beyond that callers queue here and not in the driver,
because PyMongo's asynchronous pool hands out connections unfairly when callers outnumber them."""

_APP_NAME: Final = "octomesh"
"""By which MongoDB knows our connections."""

_STREAMS: Final = 20
"""Connections to spare for change streams, each of which holds one while it waits."""

_OPTIONS: Final[Mapping[str, Any]] = {
    "w": "majority",
    "journal": True,
    "retryWrites": True,
    "readConcernLevel": "majority",
    "timeoutMS": int(PATIENCE_SECONDS * 1000),
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 3_000,
    "heartbeatFrequencyMS": 2_000,
    "maxPoolSize": _CONNECTIONS + _STREAMS,
    "tz_aware": True,
    "tzinfo": UTC,
    "appname": _APP_NAME,
}
"""Acknowledged means majority-committed and journaled; reads see what was acknowledged; nothing hangs beyond 10 s.
While a primary is cut off from the other members but not from us, reads are as old as that cut until we hear of the
next one, within two heartbeats; writes fail meanwhile. No read of a process is older than one before it: see
`Mongo._operation`."""

_HISTORY_LOST = (286, 280, 136)  # ChangeStreamHistoryLost, ChangeStreamFatalError, CappedPositionLost
_SNAPSHOT_LOST = (239, 246)  # SnapshotTooOld, SnapshotUnavailable: an index was made meanwhile
_WRITE_CONFLICT = 112
_DUPLICATE_KEY = 11000
_PASSING = (
    *(6, 7, 89, 9001),  # HostUnreachable, HostNotFound, NetworkTimeout, SocketException: among the members
    *(24, 50, 202, 262),  # LockTimeout, MaxTimeMSExpired, NetworkInterfaceExceededTimeLimit, ExceededTimeLimit
    *(64, 100, 133, 134),  # WriteConcernFailed, UnsatisfiableWriteConcern, no member to read from, no majority yet
    *(91, 189, 10107, 11600, 11601, 11602, 13435, 13436),  # it ends, is interrupted, or is no primary any more
    14031,  # OutOfDiskSpace
)
"""By what MongoDB refuses work that it may do a moment later."""
_BATCH = 10_000  # documents per answer: one page is one round trip
_PLAIN: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)


class Mongo:
    """A connection to a replica set."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._turn = asyncio.Semaphore(_CONNECTIONS)
        self._seen: Timestamp | None = None

    @classmethod
    @asynccontextmanager
    async def connect(cls, uri: str, driver: Driver = Driver.MOTOR) -> AsyncIterator[Self]:
        """Connected until the block ends. Raises `MongoUnavailable`; the message is for the person at the console."""
        client = _client(uri, driver)
        try:
            yield cls(client)
        finally:
            await _settled(client.close())

    async def command(self, database: str, command: Mapping[str, Any]) -> Document:
        """Run one command, for instance `{"ping": 1}`. The first key is the command."""
        async with self._in_turn():
            return await self._commanded(database, command)

    async def present(self) -> Timestamp:
        """A time up to which everything is committed for good: whatever reads from now on sees it."""
        hello = await self.command("admin", {"hello": 1})
        last_write = hello.get("lastWrite")  # mongos tells none
        time: Timestamp = last_write["majorityOpTime"]["ts"] if last_write else hello["operationTime"]
        return time

    async def aggregate(
        self, database: str, collection: str, pipeline: Pipeline, *, session: Session = None
    ) -> list[Document]:
        """All results of a pipeline, in one round trip unless they exceed 16 MiB."""
        async with self._operation(session) as within:
            cursor = await _settled(
                self._client[database][collection].aggregate(list(pipeline), session=within, batchSize=_BATCH)
            )
            return list(await cursor.to_list(None))

    async def snapshot(
        self, database: str, collection: str, pipeline: Pipeline, at: Timestamp | None
    ) -> tuple[list[Document], Timestamp]:
        """The results of a pipeline, at most 16 MiB, as they were `at` a time (None: now), and that time.

        Raises `ChangeHistoryLost` when that time is no longer kept.
        """
        seen = {"afterClusterTime": self._seen} if self._seen else {}
        answer = await self.command(
            database,
            {
                "aggregate": collection,
                "pipeline": list(pipeline),
                "cursor": {"batchSize": _BATCH},
                "readConcern": {"level": "snapshot", **({"atClusterTime": at} if at else seen)},
            },
        )
        documents, time = answer["cursor"]["firstBatch"], answer["cursor"]["atClusterTime"]
        self._see(time)
        return documents, time

    async def find_one(self, database: str, collection: str, query: Mapping[str, Any]) -> Document | None:
        """The first document that matches, if any."""
        async with self._operation() as session:
            found: Document | None = await self._client[database][collection].find_one(dict(query), session=session)
            return found

    async def insert(
        self, database: str, collection: str, documents: Sequence[Document], *, session: Session = None
    ) -> None:
        """Store new documents. Raises `Duplicate`."""
        async with self._operation(session) as within:
            await self._client[database][collection].insert_many(documents, session=within)

    async def update(
        self,
        database: str,
        collection: str,
        query: Mapping[str, Any],
        update: Mapping[str, Any],
        *,
        upsert: bool = False,
        session: Session = None,
    ) -> bool:
        """Change the one document that matches; False when none does. Raises `Duplicate`."""
        async with self._operation(session) as within:
            result = await self._client[database][collection].update_one(
                dict(query), dict(update), upsert=upsert, session=within
            )
            return bool(result.matched_count or result.upserted_id is not None)

    async def modify(
        self, database: str, collection: str, query: Mapping[str, Any], pipeline: Pipeline, *, upsert: bool = False
    ) -> Document | None:
        """Change the one document that matches by a pipeline, which can see the document and MongoDB's clock (`$$NOW`).

        Returns it as it is then; None when none matches. Raises `Duplicate` when two upsert it at once.
        """
        async with self._operation() as session:
            found: Document | None = await self._client[database][collection].find_one_and_update(
                dict(query),
                list(pipeline),
                upsert=upsert,
                return_document=pymongo.ReturnDocument.AFTER,
                session=session,
            )
            return found

    async def delete(
        self, database: str, collection: str, query: Mapping[str, Any], *, session: Session = None
    ) -> bool:
        """Remove the one document that matches; False when none does."""
        async with self._operation(session) as within:
            result = await self._client[database][collection].delete_one(dict(query), session=within)
            return bool(result.deleted_count)

    async def create_indexes(self, database: str, collection: str, indexes: Sequence[IndexModel]) -> None:
        """Make sure that they exist, and with them the collection."""
        async with self._in_turn():
            await self._client[database][collection].create_indexes(indexes)

    async def drop_database(self, database: str) -> None:
        """Remove a database with all that is in it."""
        async with self._in_turn():
            await self._client.drop_database(database)

    async def transact(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run `work` in one transaction: all of it is stored, or nothing.

        One that breaks off stays open, and what it has written locked, until somebody ends it: `ending_abandoned` does.
        """
        # Not `with_transaction`: it repeats a commit for two minutes, whatever time-out there is.
        async with self._operation() as session, await _settled(session.start_transaction()):
            return await work(session)

    async def idle_transactions(self) -> list[IdleTransaction]:
        """Those of all our processes. Raises `MongoCommandFailed` where MongoDB does not tell."""
        current = {"allUsers": False, "idleSessions": True}  # of all users nobody may ask without a role for it
        idle = {"type": "idleSession", "appName": _APP_NAME, "transaction": {"$exists": True}}
        pipeline = [{"$currentOp": current}, {"$match": idle}]
        answer = await self._urgent({"aggregate": 1, "pipeline": pipeline, "cursor": {"batchSize": _BATCH}})
        return [_idle_transaction(found) for found in answer["cursor"]["firstBatch"]]

    async def end_transactions(self, sessions: Sequence[bytes]) -> None:
        """End what is open in these sessions. What was committed stays so."""
        await self._urgent({"killSessions": [{"id": session} for session in sessions]})

    async def _urgent(self, command: Mapping[str, Any]) -> Document:
        """Without a turn: those who have them may be waiting for just this."""
        with _translated():
            return await self._commanded("admin", command)

    async def _commanded(self, database: str, command: Mapping[str, Any]) -> Document:
        return dict(await self._client[database].command(dict(command), codec_options=_PLAIN))

    @asynccontextmanager
    async def watch(
        self,
        pipeline: Pipeline,
        *,
        database: str | None = None,
        start_at: Timestamp | None = None,
        resume_after: Mapping[str, Any] | None = None,
        wait_ms: int = 500,
    ) -> AsyncIterator[ChangeStream]:
        """A change stream over the deployment or one database, with images of before and after.

        Raises `ChangeHistoryLost` when the start lies before what is still kept.
        """
        target = self._client if database is None else self._client[database]
        with _translated():
            stream = await _settled(
                target.watch(
                    list(pipeline),
                    full_document="whenAvailable",
                    full_document_before_change="whenAvailable",
                    start_at_operation_time=start_at,
                    resume_after=resume_after,
                    max_await_time_ms=wait_ms,
                )
            )
            await stream.__aenter__()  # or Motor would not open it before the first event is asked for
        try:
            yield ChangeStream(stream, self._see)
        finally:
            await _settled(stream.close())

    @asynccontextmanager
    async def _operation(self, transaction: Session = None) -> AsyncIterator[Session]:
        """A turn for one operation, and the session that sees whatever was seen before, whichever member answered.

        A new primary has all that was acknowledged, but shows it only when it has learned that a majority has it too.
        A transaction has one turn, and its own session, for all of its operations.
        """
        if transaction is not None:
            with _translated():
                yield transaction
            return
        async with self._in_turn(), _session(self._client) as session:
            if self._seen is not None:
                session.advance_operation_time(self._seen)
            try:
                yield session
            except asyncio.CancelledError:
                _lose(session)
                raise
            self._see(session.operation_time)

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """One of so many at once."""
        async with self._turn:
            with _translated():
                yield

    def _see(self, time: Timestamp | None) -> None:
        """Nobody is told anything older from now on. What failed has no such time: it may be rolled back."""
        if time is not None and (self._seen is None or time > self._seen):
            self._seen = time


class ChangeStream:
    """An open change stream. Stop it between two calls of `next`, never during one: Motor would lose an event."""

    def __init__(self, stream: Any, see: Callable[[Timestamp], None]) -> None:
        self._stream = stream
        self._see = see

    async def next(self) -> Document | None:
        """The next event, or None when none came within the waiting time. Raises `ChangeHistoryLost`."""
        with _translated():
            event: Document | None = await self._stream.try_next()
        if event is not None:
            self._see(event["clusterTime"])
        return event

    @property
    def resume_token(self) -> Mapping[str, Any] | None:
        """Where another stream would go on."""
        token: Mapping[str, Any] | None = self._stream.resume_token
        return token


@contextmanager
def patience(spent: float = 0.0) -> Iterator[None]:
    """All operations of the block together have the time of one, less the seconds that are spent already; beyond it
    they raise `MongoUnavailable` at once."""
    with pymongo.timeout(PATIENCE_SECONDS - spent):
        yield


async def run_admin_command(uri: str, command: Mapping[str, Any], *, database: str = "admin") -> Document:
    """Run one command over a connection of its own, straight to that server.

    Raises `MongoUnavailable` or `MongoCommandFailed`.
    """
    with _translated():
        client: Any = pymongo.AsyncMongoClient(
            uri, directConnection=True, serverSelectionTimeoutMS=5_000, connectTimeoutMS=3_000
        )
        try:
            return dict(await client[database].command(dict(command)))
        finally:
            await client.close()


def pack(values: Mapping[str, Any]) -> bytes:
    """Values in BSON, with their types kept."""
    return bson.encode(values)


def unpack(data: bytes) -> Document:
    """What `pack` packed. Raises ValueError for anything else."""
    try:
        return bson.decode(data, codec_options=_PLAIN)
    except bson.errors.BSONError as error:
        raise ValueError("not BSON") from error


def _client(uri: str, driver: Driver) -> Any:
    build = motor.motor_asyncio.AsyncIOMotorClient if driver is Driver.MOTOR else pymongo.AsyncMongoClient
    try:
        return build(uri, **_OPTIONS)
    except (InvalidURI, ConfigurationError, ValueError) as error:
        # Not with the driver's own words: it quotes parts of the URI, and so perhaps of the password.
        raise MongoUnavailable(
            "The MongoDB URI can't be used. It looks like "
            "mongodb://user:password@host1:27017,host2:27017/?replicaSet=rs0, with the special characters of user and "
            "password percent-encoded."
        ) from error


def _idle_transaction(found: Document) -> IdleTransaction:
    transaction = found["transaction"]
    return IdleTransaction(
        session=found["lsid"]["id"],
        number=transaction["parameters"]["txnNumber"],
        worked_micros=transaction["timeActiveMicros"],
        client=found.get("client", ""),
    )


def _lose(session: Any) -> None:
    """Have the driver use the session for nothing else: a thread of Motor's may be at it still, and MongoDB keeps the
    operations of a session waiting for each other."""
    getattr(session, "delegate", session)._server_session.mark_dirty()


def _session(client: Any) -> Session:
    """A new session. Motor would start a thread for what takes no time."""
    if isinstance(client, motor.motor_asyncio.AsyncIOMotorClient):
        return motor.motor_asyncio.AsyncIOMotorClientSession(client.delegate.start_session(), client)
    return client.start_session()


async def _settled(value: Any) -> Any:
    """What Motor gives at once and PyMongo when awaited, or the other way round."""
    return await value if inspect.isawaitable(value) else value


@contextmanager
def _translated() -> Iterator[None]:
    """The driver's errors, in our words."""
    try:
        yield
    except DuplicateKeyError as error:
        raise _duplicate(error.details or {}) from error
    except BulkWriteError as error:  # what `insert_many` raises
        refused = error.details["writeErrors"]
        if refused and refused[0]["code"] == _DUPLICATE_KEY:
            raise _duplicate(refused[0]) from error
        raise _refusal(error) from error
    except (ConnectionFailure, WaitQueueTimeoutError) as error:
        raise MongoUnavailable(f"MongoDB does not answer: {_short(error)}") from error
    except OperationFailure as error:
        raise _refusal(error) from error
    except (ConfigurationError, InvalidURI) as error:  # found late, when a name is looked up for instance
        raise MongoUnavailable(f"The MongoDB URI can't be used: {_short(error)}") from error
    except PyMongoError as error:
        if error.timeout:
            raise MongoUnavailable(f"MongoDB did not answer in time: {_short(error)}") from error
        raise
    except RuntimeError as error:
        if str(error) != "can't start new thread":
            raise
        raise MongoUnavailable("MongoDB can't be asked: there is no memory for another thread") from error


def _duplicate(details: Mapping[str, Any]) -> Duplicate:
    return Duplicate(frozenset(details.get("keyPattern", ())))


def _refusal(error: OperationFailure) -> Exception:
    if error.code in _HISTORY_LOST + _SNAPSHOT_LOST or error.has_error_label("NonResumableChangeStreamError"):
        return ChangeHistoryLost(str(error))
    if error.code == _WRITE_CONFLICT or error.has_error_label("TransientTransactionError"):
        return Raced("another write came first")
    if error.timeout or error.code in _PASSING or error.has_error_label("RetryableWriteError"):
        return MongoUnavailable(f"MongoDB did not answer in time: {_short(error)}")
    name = (error.details or {}).get("codeName", "")
    return MongoCommandFailed(_short(error), error.code or 0, str(name))


def _short(error: Exception) -> str:
    """The first sentence of an error: the driver adds whole topologies behind it."""
    return str(error).split(", full error:")[0].split(", Topology Description:")[0]
