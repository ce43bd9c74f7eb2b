"""Notes of a tenant: what was done to it once and must not be done again. They go when the tenant goes."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from octomesh_graphql.domain.tenant import Tenant
from octomesh_graphql.store.tenants import Registry

_NOTES: Final = "notes"


async def is_noted(registry: Registry, tenant: Tenant, note: str) -> bool:
    """Whether this was noted for the tenant."""
    return await registry.mongo.find_one(tenant.database, _NOTES, {"_id": note}) is not None


async def take_note(registry: Registry, tenant: Tenant, note: str, now: datetime) -> None:
    """Remember this for the tenant. Twice is boring."""
    await registry.mongo.update(tenant.database, _NOTES, {"_id": note}, {"$setOnInsert": {"at": now}}, upsert=True)
