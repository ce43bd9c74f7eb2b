"""The registry of tenants, and the way to a tenant's data.

Registry and secrets are in the system database; each tenant has a database of its own. The names of both begin with
one prefix, so that no tenant can name a database that is not ours.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from weakref import WeakSet

from octomesh_graphql.domain.problem import NameTaken, Refused
from octomesh_graphql.domain.tenant import RESERVED, TENANT_ID, Tenant, no_tenant, tenant_id_problems
from octomesh_graphql.store.entities import ANSWERS, TenantStore
from octomesh_graphql.store.mongo import Document, Duplicate, IndexModel, Mongo, MongoCommandFailed
from octomesh_graphql.store.sealing import Seal

TENANTS: Final = "tenants"
KEPT_ANSWERS_SECONDS: Final = 24 * 3600
"""How long an answer can be asked for again: a client that was away for a night is not surprised."""

KEPT_TRANSITIONS_SECONDS: Final = 90 * 24 * 3600
"""How long transitions are kept: a quarter of a year, the longest that people ask "since when" about."""

_WITH_IMAGES: Final = ("pools", "adapters")
"""Collections whose changes carry what was there before."""

_NAME: Final = IndexModel({"nameKey": 1}, name="name", unique=True)
_COUNTED: Final = ("poolRtId", "deploymentState", "configurationState", "communicationState", "wanted")
_INDEXES: Final = {
    "pools": [_NAME],
    "adapters": [
        _NAME,
        IndexModel({"poolRtId": 1, "nameKey": 1}, name="pool"),
        IndexModel(dict.fromkeys(_COUNTED, 1), name="tally"),
    ],
    "transitions": [
        IndexModel({"entityRtId": 1, "at": -1, "_id": -1}, name="entity"),
        IndexModel({"poolRtId": 1, "at": -1, "_id": -1}, name="pool"),
        IndexModel({"at": 1}, name="kept", expireAfterSeconds=KEPT_TRANSITIONS_SECONDS),
    ],
    ANSWERS: [IndexModel({"at": 1}, name="kept", expireAfterSeconds=KEPT_ANSWERS_SECONDS)],
}

_NAMESPACE_EXISTS = 48


class NoReplicaSet(Exception):
    """The MongoDB server can't serve us; the message says why and what to do."""


class Registry:
    """All tenants of a MongoDB deployment."""

    def __init__(self, mongo: Mongo, prefix: str = "octomesh_") -> None:
        self.mongo = mongo
        self.prefix = prefix
        self.system = f"{prefix}system"
        self._seal: Seal | None = None
        self._open: dict[str, TenantStore] = {}
        self._given: WeakSet[TenantStore] = WeakSet()

    async def prepare(self) -> None:
        """Make sure that the deployment can serve us and that the system database is set up.

        Raises `NoReplicaSet` for a standalone server, `MongoUnavailable` when nobody answers.
        """
        hello = await self.mongo.command("admin", {"hello": 1})
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise NoReplicaSet(
                "This MongoDB is a standalone server. Live subscriptions need change streams, and those exist only in "
                "a replica set: start mongod with --replSet rs0 and run rs.initiate() once; one member is enough."
            )
        await self._create_collection(self.system, TENANTS)
        await self.mongo.update(
            self.system,
            "secrets",
            {"_id": "cursors"},
            {"$setOnInsert": {"secret": secrets.token_bytes(32)}},
            upsert=True,
        )

    async def seal(self) -> Seal:
        """The seal of this deployment, shared by all its servers."""
        if self._seal is None:
            stored = await self.mongo.find_one(self.system, "secrets", {"_id": "cursors"})
            assert stored is not None, "prepare() was not called"
            self._seal = Seal(stored["secret"], "octomesh")
        return self._seal

    async def create(self, tenant_id: str, display_name: str | None, now: datetime) -> Tenant:
        """A new tenant, with its database set up. Raises `Refused`."""
        Refused.if_any(tenant_id_problems(tenant_id))
        tenant = Tenant(
            id=tenant_id,
            display_name=display_name or tenant_id,
            database=f"{self.prefix}{tenant_id}",
            created=now,
        )
        try:
            await self.mongo.insert(self.system, TENANTS, [_document(tenant)])
        except Duplicate as error:
            raise Refused(NameTaken(message=f"There is a tenant '{tenant_id}' already.", path=("id",))) from error
        await self._clear(tenant)
        await self._prepare(tenant)
        return tenant

    async def tenants(self) -> Sequence[Tenant]:
        """All of them, by id."""
        found = await self.mongo.aggregate(
            self.system, TENANTS, [{"$match": {"deleting": {"$ne": True}}}, {"$sort": {"_id": 1}}]
        )
        return [_tenant(document) for document in found]

    async def delete(self, tenant_id: str) -> None:
        """Remove a tenant with its whole database. Raises `Refused` with `NotFound` when there is none.

        Marked first, so that no server opens it any more and a deletion that was cut short can be repeated.
        """
        _refuse_impossible(tenant_id)
        marked = await self.mongo.update(self.system, TENANTS, {"_id": tenant_id}, {"$set": {"deleting": True}})
        if not marked:
            raise Refused(no_tenant(tenant_id))
        self.close(tenant_id)
        await self.mongo.drop_database(f"{self.prefix}{tenant_id}")
        await self.mongo.delete(self.system, TENANTS, {"_id": tenant_id})

    async def open(self, tenant_id: str) -> TenantStore:
        """The data of a tenant. Raises `Refused` with `NotFound` when there is no such tenant."""
        store = self._open.get(tenant_id)
        if store is None:
            store = await self._opened(tenant_id)
            self._open[tenant_id] = store
        return store

    def forget(self, tenant_id: str) -> None:
        """Look the tenant up again the next time: something about it changed."""
        self._open.pop(tenant_id, None)

    def close(self, tenant_id: str) -> None:
        """Nothing of the tenant is read or written any more, whoever holds its store: it is being deleted."""
        self.forget(tenant_id)
        for store in self._given:
            if store.tenant.id == tenant_id:
                store.gone = True

    def forget_all(self) -> None:
        """Look all tenants up again the next time: deletions may have been missed."""
        self._open.clear()

    async def _opened(self, tenant_id: str) -> TenantStore:
        _refuse_impossible(tenant_id)
        found = await self.mongo.find_one(self.system, TENANTS, {"_id": tenant_id, "deleting": {"$ne": True}})
        if found is None:
            raise Refused(no_tenant(tenant_id))
        tenant = _tenant(found)
        await self._prepare(tenant)
        seal = (await self.seal()).of(tenant.id, tenant.created.isoformat())  # a namesake of before is another tenant
        store = TenantStore(self.mongo, tenant, seal)
        self._given.add(store)
        return store

    async def _prepare(self, tenant: Tenant) -> None:
        """Set up what a tenant's database needs; boring when it is there."""
        for collection in _WITH_IMAGES:
            await self._create_collection(tenant.database, collection)
        for collection, indexes in _INDEXES.items():
            await self.mongo.create_indexes(tenant.database, collection, indexes)

    async def _clear(self, tenant: Tenant) -> None:
        """Remove what a namesake has left: a write that was on its way when that one was deleted."""
        found = await self.mongo.command(tenant.database, {"listCollections": 1, "nameOnly": True})
        if found["cursor"]["firstBatch"]:
            await self.mongo.drop_database(tenant.database)

    async def _create_collection(self, database: str, collection: str) -> None:
        """A collection whose changes carry what was there before; changed into one when it exists without.

        Looked at first: a change, though it changed nothing, waits for every transaction on the collection, and
        everybody else waits behind it. That of a killed server stays open for a minute.
        """
        images = {"changeStreamPreAndPostImages": {"enabled": True}}
        found = await self.mongo.command(database, {"listCollections": 1, "filter": {"name": collection}})
        there = [each["options"] for each in found["cursor"]["firstBatch"]]
        if there and images.items() <= there[0].items():
            return
        try:
            await self.mongo.command(database, {"collMod" if there else "create": collection, **images})
        except MongoCommandFailed as error:
            if error.code != _NAMESPACE_EXISTS:  # another server was first
                raise


def _refuse_impossible(tenant_id: str) -> None:
    if not TENANT_ID.fullmatch(tenant_id) or tenant_id in RESERVED:
        raise Refused(no_tenant(tenant_id))


def _document(tenant: Tenant) -> Document:
    return {
        "_id": tenant.id,
        "displayName": tenant.display_name,
        "database": tenant.database,
        "created": tenant.created,
    }


def _tenant(document: Document) -> Tenant:
    return Tenant(
        id=document["_id"],
        display_name=document["displayName"],
        database=document["database"],
        created=document["created"],
    )
