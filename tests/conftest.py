"""What most tests stand on: a real mongod for each worker, and a fresh registry for each test.

The loop is one for the whole session, because a client of MongoDB belongs to one loop.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octomesh_graphql.store.abandoned import ending_abandoned
from octomesh_graphql.store.embedded import embedded_mongod
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.mongo import Driver, Mongo
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry
from tests.builders import NOW

if TYPE_CHECKING:
    from tests.cli.conftest import Octomesh
    from tests.issuing import TestIssuer


@pytest.fixture(scope="session")
async def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A replica set of one that lives as long as this worker."""
    async with embedded_mongod(tmp_path_factory.mktemp("mongod") / "data") as mongod:
        yield mongod.uri


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> Driver:
    """Motor, unless the test is marked with `both_drivers`."""
    chosen: Driver = getattr(request, "param", Driver.MOTOR)
    return chosen


@pytest.fixture(scope="session")
async def connections(mongo_uri: str) -> AsyncIterator[dict[Driver, Mongo]]:
    """One connection of each driver, for the whole session."""
    async with Mongo.connect(mongo_uri, Driver.MOTOR) as motor, Mongo.connect(mongo_uri, Driver.PYMONGO) as pymongo:
        yield {Driver.MOTOR: motor, Driver.PYMONGO: pymongo}


@pytest.fixture
def mongo(connections: dict[Driver, Mongo], driver: Driver) -> Mongo:
    """A connection to the real MongoDB."""
    return connections[driver]


@pytest.fixture(scope="session")
async def sweeping(connections: dict[Driver, Mongo]) -> AsyncIterator[set[asyncio.Task[None]]]:
    """What removes databases that tests left. Nobody waits for it: a removal takes a tenth of a second."""
    removals: set[asyncio.Task[None]] = set()
    yield removals
    await asyncio.gather(*removals)


@pytest.fixture
async def registry(mongo: Mongo, sweeping: set[asyncio.Task[None]]) -> AsyncIterator[Registry]:
    """A prepared registry with databases of its own, without tenants."""
    registry = Registry(mongo, prefix=f"t{secrets.token_hex(6)}_")
    await registry.prepare()
    yield registry
    sweeping.add(asyncio.create_task(drop_databases(registry)))


@pytest.fixture
async def store(registry: Registry) -> TenantStore:
    """The data of a fresh tenant `acme`."""
    await registry.create("acme", "Acme Works", NOW)
    return await registry.open("acme")


@pytest.fixture
async def sessions(registry: Registry) -> Sessions:
    """The sessions of the agents of the registry."""
    sessions = Sessions(registry)
    await sessions.prepare()
    return sessions


@pytest.fixture
async def feed(registry: Registry) -> AsyncIterator[Feed]:
    """The running feed of the registry, which stops at once when it is told to."""
    async with Feed(registry, wait_ms=20).running() as feed:
        yield feed


@pytest.fixture
def octomesh(tmp_path: Path) -> Octomesh:
    """The `octomesh` command as a program, in a directory of its own; it would embed its MongoDB."""
    from tests.cli.conftest import Octomesh

    return Octomesh(directory=tmp_path)


@pytest.fixture
async def issuer() -> AsyncIterator[TestIssuer]:
    """A real issuer of tokens, which knows the client `robot`."""
    from tests.issuing import TestIssuer

    async with TestIssuer().running() as issuer:
        yield issuer


async def drop_databases(registry: Registry) -> None:
    """Remove what the registry left, also what a killed server was writing."""
    mine = {"name": {"$regex": f"^{registry.prefix}"}}
    async with ending_abandoned(registry.mongo):
        answer = await registry.mongo.command("admin", {"listDatabases": 1, "nameOnly": True, "filter": mine})
        for database in answer["databases"]:
            await registry.mongo.drop_database(database["name"])
