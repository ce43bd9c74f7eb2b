"""Deploying: users' wishes that adapters run or are gone. An operator acts on them; nothing is sent from here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from octomesh_graphql.actions.arranging import existing, pool_of
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.caller import Caller
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.unit import Unit, write


@dataclass(frozen=True, kw_only=True)
class PoolWish:
    """A wish about all adapters of a pool: the pool, and those for which it was news."""

    pool: Pool
    adapters: Sequence[Adapter]


async def deploy_adapter(
    store: TenantStore, caller: Caller, now: datetime, *, rt_id: str, expected_version: int | None = None
) -> Adapter:
    """Wish an adapter deployed. Raises `Refused`, for one in no pool for instance."""
    return await _wish(store, caller, now, rt_id, expected_version, lambda a, pool: a.deploy(now, pool))


async def undeploy_adapter(
    store: TenantStore, caller: Caller, now: datetime, *, rt_id: str, expected_version: int | None = None
) -> Adapter:
    """Wish an adapter gone from its cluster."""
    return await _wish(store, caller, now, rt_id, expected_version, lambda a, pool: a.undeploy(now, pool))


async def deploy_pool_adapters(
    store: TenantStore, caller: Caller, now: datetime, *, rt_id: str, expected_version: int | None = None
) -> PoolWish:
    """Wish all adapters of a pool deployed. Raises `Refused` for a pool that is being deleted."""
    return await _wish_all(store, caller, now, rt_id, expected_version, lambda a, pool: a.deploy(now, pool))


async def undeploy_pool_adapters(
    store: TenantStore, caller: Caller, now: datetime, *, rt_id: str, expected_version: int | None = None
) -> PoolWish:
    """Wish all adapters of a pool gone from its cluster."""
    return await _wish_all(store, caller, now, rt_id, expected_version, lambda a, pool: a.undeploy(now, pool))


async def _wish(
    store: TenantStore,
    caller: Caller,
    now: datetime,
    rt_id: str,
    expected_version: int | None,
    wish: Callable[[Adapter, Pool | None], Adapter],
) -> Adapter:
    async def act(unit: Unit) -> Adapter:
        adapter = existing(await unit.adapter(rt_id), "adapter", rt_id).expecting(expected_version)
        pool = await pool_of(unit, adapter)
        wished = unit.save(wish(adapter, pool))
        if pool and wished is not adapter:
            unit.hold(pool)
        return wished

    return await write(store, act, caller=caller, now=now)


async def _wish_all(
    store: TenantStore,
    caller: Caller,
    now: datetime,
    rt_id: str,
    expected_version: int | None,
    wish: Callable[[Adapter, Pool], Adapter],
) -> PoolWish:
    async def act(unit: Unit) -> PoolWish:
        pool = existing(await unit.pool(rt_id), "pool", rt_id).expecting(expected_version).changeable()
        before = await unit.adapters_of(pool)
        after = [unit.save(wish(adapter, pool)) for adapter in before]
        changed = [wished for was, wished in zip(before, after, strict=True) if wished is not was]
        return PoolWish(pool=unit.hold(pool) if changed else pool, adapters=changed)

    wished = await write(store, act, caller=caller, now=now)
    if not wished.adapters:
        return wished
    return PoolWish(pool=await store.with_present_tally(wished.pool), adapters=wished.adapters)
