"""The registry of tenants, in a real MongoDB."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from octomesh_graphql.domain.problem import InvalidValue, NameTaken, NotFound, Refused
from octomesh_graphql.store.embedded import find_mongod
from octomesh_graphql.store.mongo import Driver, Mongo, MongoUnavailable
from octomesh_graphql.store.paging import PageRequest
from octomesh_graphql.store.tenants import NoReplicaSet, Registry
from tests.builders import LATER, NOW, a_pool, an_adapter, stored
from tests.drivers import both_drivers

pytestmark = both_drivers


async def test_a_tenant_gets_a_database_of_its_own(registry: Registry) -> None:
    tenant = await registry.create("acme", "Acme Works", NOW)
    assert (tenant.id, tenant.display_name, tenant.created) == ("acme", "Acme Works", NOW)
    assert tenant.database == f"{registry.prefix}acme"
    assert (await registry.open("acme")).tenant == tenant
    assert (await registry.create("beta", None, NOW)).display_name == "beta"
    assert [tenant.id for tenant in await registry.tenants()] == ["acme", "beta"]


async def test_tenants_do_not_meet(registry: Registry) -> None:
    for tenant_id in ("acme", "beta"):
        await registry.create(tenant_id, None, NOW)
    acme, beta = await registry.open("acme"), await registry.open("beta")
    pool = a_pool(name="North")
    await stored(acme, pool, an_adapter(pool=pool))
    await stored(beta, a_pool(rt_id=pool.rt_id, name="South"))
    assert (await acme.pools([pool.rt_id]))[pool.rt_id].name == "North"
    found = (await beta.pools([pool.rt_id]))[pool.rt_id]
    assert (found.name, found.tally.adapters) == ("South", 0)


async def test_an_id_is_given_once(registry: Registry) -> None:
    await registry.create("acme", None, NOW)
    with pytest.raises(Refused) as refused:
        await registry.create("acme", "Another", LATER)
    [problem] = refused.value.problems
    assert isinstance(problem, NameTaken)
    assert problem.message == "There is a tenant 'acme' already."
    assert [tenant.display_name for tenant in await registry.tenants()] == ["acme"]


async def test_of_many_who_create_the_same_tenant_one_succeeds(registry: Registry) -> None:
    outcomes = await asyncio.gather(*(registry.create("acme", None, NOW) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 9


@pytest.mark.parametrize("tenant_id", ["system", "admin", "Acme", "", "a_b", "../admin"])
async def test_an_impossible_id_is_refused(registry: Registry, tenant_id: str) -> None:
    with pytest.raises(Refused) as refused:
        await registry.create(tenant_id, None, NOW)
    assert isinstance(refused.value.problems[0], InvalidValue)
    assert await registry.tenants() == []


@pytest.mark.parametrize("tenant_id", ["unknown", "system", "admin", "", "$ne", "\x00", "\ud800", "x" * 1000])
async def test_an_unknown_tenant_cannot_be_opened_or_deleted(registry: Registry, tenant_id: str) -> None:
    for attempt in (registry.open, registry.delete):
        with pytest.raises(Refused) as refused:
            await attempt(tenant_id)
        [problem] = refused.value.problems
        assert isinstance(problem, NotFound)
        assert problem.message.startswith("There is no tenant '")


async def test_a_tenant_of_another_deployment_looks_like_an_unknown_one(registry: Registry, mongo: Mongo) -> None:
    await registry.create("acme", None, NOW)
    other = Registry(mongo, prefix=f"{registry.prefix}other_")
    await other.prepare()
    with pytest.raises(Refused, match="There is no tenant 'acme'"):
        await other.open("acme")


async def test_a_tenant_that_is_created_again_starts_empty(registry: Registry) -> None:
    await registry.create("acme", None, NOW)
    await stored(await registry.open("acme"), a_pool(name="North"))
    await registry.delete("acme")
    assert await registry.tenants() == []
    with pytest.raises(Refused, match="There is no tenant 'acme'"):
        await registry.open("acme")

    await registry.create("acme", None, LATER)
    store = await registry.open("acme")
    assert (await store.pool_page(PageRequest(), counted=True)).total == 0
    await stored(store, a_pool(name="North"))


async def test_who_still_holds_a_deleted_tenant_cannot_bring_it_back(registry: Registry) -> None:
    await registry.create("acme", None, NOW)
    held = await registry.open("acme")
    registry.forget_all()
    await registry.delete("acme")
    attempts: list[Awaitable[object]] = [
        stored(held, a_pool(name="ghost")),
        held.pool_page(PageRequest()),
        held.snapshot("pools", {}, None, None),
    ]
    for attempt in attempts:
        with pytest.raises(Refused, match="There is no tenant 'acme'"):
            await attempt
    await registry.create("acme", None, LATER)
    assert (await (await registry.open("acme")).pool_page(PageRequest(), counted=True)).total == 0


async def test_a_deletion_that_was_cut_short_can_be_repeated(registry: Registry) -> None:
    await registry.create("acme", None, NOW)
    await registry.mongo.update(registry.system, "tenants", {"_id": "acme"}, {"$set": {"deleting": True}})
    assert await registry.tenants() == []
    await registry.delete("acme")
    assert await registry.mongo.find_one(registry.system, "tenants", {"_id": "acme"}) is None


async def test_an_open_tenant_is_looked_up_once(registry: Registry) -> None:
    await registry.create("acme", None, NOW)
    store = await registry.open("acme")
    assert await registry.open("acme") is store
    registry.forget("acme")
    assert await registry.open("acme") is not store
    registry.forget_all()


async def test_all_servers_of_a_deployment_share_one_seal(registry: Registry, mongo: Mongo) -> None:
    others = [Registry(mongo, registry.prefix) for _ in range(5)]
    await asyncio.gather(*(other.prepare() for other in others))
    sealed = (await registry.seal()).close(b"x")
    for other in others:
        assert (await other.seal()).open(sealed) == b"x"


async def test_collections_of_before_get_what_the_feed_needs(registry: Registry, mongo: Mongo) -> None:
    await registry.create("acme", None, NOW)
    images = {"changeStreamPreAndPostImages": {"enabled": False}}
    await mongo.command(f"{registry.prefix}acme", {"collMod": "pools", **images})
    registry.forget("acme")
    await registry.open("acme")
    [pools] = (await mongo.command(f"{registry.prefix}acme", {"listCollections": 1, "filter": {"name": "pools"}}))[
        "cursor"
    ]["firstBatch"]
    assert pools["options"]["changeStreamPreAndPostImages"] == {"enabled": True}


async def test_a_standalone_server_is_refused_with_what_would_help(tmp_path: Path, driver: Driver) -> None:
    async with standalone_mongod(tmp_path) as uri, Mongo.connect(uri, driver) as mongo:
        with pytest.raises(NoReplicaSet, match=r"standalone server.*start mongod with --replSet rs0 and run rs.init"):
            await Registry(mongo).prepare()


@pytest.mark.parametrize("uri", ["mongodb://", "http://localhost", "mongodb://host:port/"])
async def test_an_impossible_uri_is_explained(driver: Driver, uri: str) -> None:
    with pytest.raises(MongoUnavailable, match=r"The MongoDB URI can't be used.*It looks like\s+mongodb://user"):
        async with Mongo.connect(uri, driver):
            pass


@asynccontextmanager
async def standalone_mongod(directory: Path) -> AsyncIterator[str]:
    """A mongod that is in no replica set."""
    arguments = ("--port", "0", "--bind_ip", "127.0.0.1", "--nounixsocket", "--dbpath", str(directory))
    process = await asyncio.create_subprocess_exec(
        find_mongod(), *arguments, "--wiredTigerCacheSizeGB", "0.25", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        port = None
        while port is None:
            line = (await process.stdout.readline()).decode()
            found = re.search(r'"Waiting for connections","attr":{"port":(\d+)', line)
            port = found[1] if found else None
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true"
    finally:
        process.terminate()
        await process.communicate()


async def test_a_new_tenant_starts_empty_whatever_a_namesake_left(registry: Registry) -> None:
    await registry.mongo.insert(f"{registry.prefix}acme", "pools", [{"_id": 1, "nameKey": "ghost"}])
    await registry.create("acme", None, NOW)
    page = await (await registry.open("acme")).pool_page(PageRequest(), counted=True)
    assert page.total == 0
