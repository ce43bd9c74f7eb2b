"""The database a command works on: the configured one, or the embedded one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog

from octomesh_graphql.cli.running import CommandFailed, Failures
from octomesh_graphql.settings import Settings
from octomesh_graphql.store.embedded import EmbeddedMongod, EmbeddedMongoError, embedded_mongod, running_uri
from octomesh_graphql.store.mongo import Driver, Mongo, MongoCommandFailed, MongoUnavailable
from octomesh_graphql.store.tenants import NoReplicaSet, Registry

log = structlog.get_logger()

FAILURES: Failures = (EmbeddedMongoError, MongoCommandFailed, MongoUnavailable, NoReplicaSet)
"""By what a command fails whose database fails it."""


@dataclass(frozen=True, kw_only=True)
class Database:
    """Where data is. `where` is for people and holds no credentials."""

    uri: str = field(repr=False)
    where: str
    embedded: EmbeddedMongod | None = None


@asynccontextmanager
async def own_database(settings: Settings) -> AsyncIterator[Database]:
    """The database of a server: the configured one, else an embedded one of its own. Raises `EmbeddedMongoError`."""
    if settings.mongo_uri:
        yield _configured(settings.mongo_uri.get_secret_value())
        return
    async with embedded_mongod(settings.data_dir, binary=settings.mongod) as mongod:
        log.warning(
            "the embedded MongoDB is for trials and tests only",
            version=mongod.version,
            data_dir=str(settings.data_dir),
            instead="set OCTOMESH_MONGO_URI to a replica set",
        )
        yield Database(uri=mongod.uri, where=f"the embedded MongoDB in {settings.data_dir}", embedded=mongod)


@asynccontextmanager
async def shared_database(settings: Settings) -> AsyncIterator[Database]:
    """The database of a command that may run beside a server: if that one embeds its MongoDB, the same."""
    uri = None if settings.mongo_uri else running_uri(settings.data_dir)
    if uri:
        yield Database(uri=uri, where=f"the embedded MongoDB in {settings.data_dir}, which a server runs")
        return
    async with own_database(settings) as database:
        yield database


@asynccontextmanager
async def connected(settings: Settings, database: Database) -> AsyncIterator[Registry]:
    """The tenants of a database, until the block ends. Raises `CommandFailed` when MongoDB can't serve us."""
    async with Mongo.connect(database.uri, Driver(settings.mongo_driver)) as mongo:
        registry = Registry(mongo, settings.database_prefix)
        try:
            await registry.prepare()
        except MongoUnavailable as error:
            reason = str(error).split(" (configured timeouts:")[0]
            raise CommandFailed(f"{reason}. Does it run, and does OCTOMESH_MONGO_URI say where?") from error
        except MongoCommandFailed as error:
            raise CommandFailed(
                f"MongoDB refuses us: {error}. Do the user and password in OCTOMESH_MONGO_URI exist, with the role "
                "that SECURITY.md shows?"
            ) from error
        yield registry


def _configured(uri: str) -> Database:
    hosts = urlsplit(uri).netloc.rpartition("@")[2]
    return Database(uri=uri, where=f"the MongoDB at {hosts}, from OCTOMESH_MONGO_URI")
