"""Arranging: creating, editing, moving and deleting pools and adapters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from octomesh_graphql.domain.adapter import Adapter, StillDeployed
from octomesh_graphql.domain.caller import Caller
from octomesh_graphql.domain.entity import rt_id_problems
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.problem import InvalidValue, NameTaken, NotFound, Problem, Refused
from octomesh_graphql.domain.states import DescribedEnum
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.mongo import Duplicate, ObjectId
from octomesh_graphql.store.unit import Unit, write

E = TypeVar("E", Pool, Adapter)

MEMBERS_AT_ONCE: Final = 500
"""Most adapters that one edit may add and remove, as many as a page can show."""


class DeletionMode(DescribedEnum):
    """What to do about adapters of a pool that are deployed when the pool is deleted."""

    ONLY_IF_UNDEPLOYED = "ONLY_IF_UNDEPLOYED", "Refuse while anything is deployed, and name it."
    UNDEPLOY_FIRST = "UNDEPLOY_FIRST", "Undeploy everything; the pool goes by itself when that is done."
    FORCE = "FORCE", "Delete it now. What runs in the cluster is left there, and the answer names it."


@dataclass(frozen=True, kw_only=True)
class PoolDeletion:
    """What became of a wish to delete a pool."""

    pool: Pool
    """As it was, or, when it waits for its adapters, as it is."""
    deleted: bool
    """Whether it is gone already."""
    left_behind: Sequence[Adapter] = ()
    """Adapters that may still run in a cluster, though nobody here knows any more."""


async def create_pool(
    store: TenantStore,
    caller: Caller,
    now: datetime,
    *,
    name: str,
    description: str | None = None,
    **more: Any,
) -> Pool:
    """A new pool without adapters. Raises `Refused`."""
    rt_id = str(ObjectId())

    async def act(unit: Unit) -> Pool:
        return unit.save(Pool.new(rt_id=rt_id, now=now, name=name, description=description, **more))

    return await _named_uniquely(name, write(store, act, caller=caller, now=now), store.pool_named)


async def edit_pool(
    store: TenantStore,
    caller: Caller,
    now: datetime,
    *,
    rt_id: str,
    expected_version: int | None = None,
    given: Mapping[str, Any],
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> Pool:
    """Edit a pool's fields and members, all of it or nothing. Raises `Refused` with all that is wrong."""
    _refuse_crowd(add, remove)

    async def act(unit: Unit) -> Pool:
        pool = existing(await unit.pool(rt_id), "pool", rt_id)
        edited = pool.expecting(expected_version).edit(now, dict(given))
        pool.room_for(len(add) - len(remove), ("addAdapters",))
        problems = [*await _adding(unit, now, pool, add), *await _removing(unit, now, pool, remove)]
        Refused.if_any(problems)
        return unit.save(edited)

    edited = await _named_uniquely(given.get("name"), write(store, act, caller=caller, now=now), store.pool_named)
    return await store.with_present_tally(edited) if add or remove else edited


async def delete_pool(
    store: TenantStore,
    caller: Caller,
    now: datetime,
    *,
    rt_id: str,
    mode: DeletionMode,
    expected_version: int | None = None,
) -> PoolDeletion:
    """Delete a pool; its adapters stay, in no pool. Raises `Refused` with what is in the way."""

    async def act(unit: Unit) -> PoolDeletion:
        pool = existing(await unit.pool(rt_id), "pool", rt_id).expecting(expected_version)
        adapters = await unit.adapters_of(pool)
        deployed = [adapter for adapter in adapters if not adapter.at_rest]
        if deployed and mode is DeletionMode.ONLY_IF_UNDEPLOYED:
            raise Refused(_in_the_way(pool, deployed))
        if deployed and mode is DeletionMode.UNDEPLOY_FIRST:
            adapters = [unit.save(adapter.undeploy(now, pool)) for adapter in adapters]
            if any(not adapter.at_rest for adapter in adapters):
                return PoolDeletion(pool=unit.save(pool.to_be_deleted(now)), deleted=False)
        return await _remove(unit, now, pool, adapters)

    deletion = await write(store, act, caller=caller, now=now)
    if deletion.deleted:
        return deletion
    return PoolDeletion(pool=await store.with_present_tally(deletion.pool), deleted=False)


async def create_adapter(
    store: TenantStore,
    caller: Caller,
    now: datetime,
    *,
    given: Mapping[str, Any],
    pool_rt_id: str | None = None,
) -> Adapter:
    """A new adapter that is not deployed, in a pool or in none. Raises `Refused`."""
    rt_id = str(ObjectId())

    async def act(unit: Unit) -> Adapter:
        pool = await _target(unit, pool_rt_id)
        return unit.save(Adapter.new(rt_id=rt_id, now=now, given=dict(given), pool=pool))

    return await _named_uniquely(given["name"], write(store, act, caller=caller, now=now), store.adapter_named)


async def edit_adapter(
    store: TenantStore,
    caller: Caller,
    now: datetime,
    *,
    rt_id: str,
    expected_version: int | None = None,
    given: Mapping[str, Any],
) -> Adapter:
    """Edit an adapter. If it is deployed, a change of what runs is a new wish. Raises `Refused`."""

    async def act(unit: Unit) -> Adapter:
        adapter = existing(await unit.adapter(rt_id), "adapter", rt_id).expecting(expected_version)
        return unit.save(adapter.edit(now, dict(given), await pool_of(unit, adapter)))

    return await _named_uniquely(given.get("name"), write(store, act, caller=caller, now=now), store.adapter_named)


async def move_adapter(
    store: TenantStore,
    caller: Caller,
    now: datetime,
    *,
    rt_id: str,
    pool_rt_id: str | None,
    expected_version: int | None = None,
) -> Adapter:
    """Put an adapter into another pool, or (None) into none. Raises `Refused` while it is deployed."""

    async def act(unit: Unit) -> Adapter:
        adapter = existing(await unit.adapter(rt_id), "adapter", rt_id).expecting(expected_version)
        return unit.save(adapter.move(now, await _target(unit, pool_rt_id)))

    return await write(store, act, caller=caller, now=now)


async def delete_adapter(
    store: TenantStore, caller: Caller, now: datetime, *, rt_id: str, expected_version: int | None = None
) -> Adapter:
    """Delete an adapter and return it as it was. Raises `Refused` while it is deployed."""

    async def act(unit: Unit) -> Adapter:
        adapter = existing(await unit.adapter(rt_id), "adapter", rt_id).expecting(expected_version)
        unit.delete(adapter.resting("deleted"))
        return adapter

    return await write(store, act, caller=caller, now=now)


def existing(entity: E | None, kind: str, rt_id: str, path: str = "rtId") -> E:
    """It, if it exists. Raises `Refused` with `NotFound` otherwise."""
    if entity is None:
        raise Refused(NotFound(message=f"There is no {kind} with the rtId '{rt_id}' in this tenant.", path=(path,)))
    return entity


async def pool_of(unit: Unit, adapter: Adapter) -> Pool | None:
    """The pool the adapter is in."""
    return await unit.pool(adapter.pool_rt_id) if adapter.pool_rt_id else None


async def _target(unit: Unit, pool_rt_id: str | None) -> Pool | None:
    """The pool an adapter is to be put into, held so that it can't vanish meanwhile."""
    if pool_rt_id is None:
        return None
    _refuse_bad_ids([pool_rt_id], "poolRtId")
    pool = existing(await unit.pool(pool_rt_id), "pool", pool_rt_id, "poolRtId")
    return unit.hold(pool.room_for(1, ("poolRtId",)))


async def _adding(unit: Unit, now: datetime, pool: Pool, rt_ids: Sequence[str]) -> list[Problem]:
    """Save these adapters as members of the pool; returns why some can't be."""
    adapters = await unit.adapters(rt_ids)
    others = {adapter.pool_rt_id for adapter in adapters.values()} - {None, pool.rt_id}
    pools = {rt_id: await unit.pool(rt_id) for rt_id in others if rt_id}

    def join(adapter: Adapter) -> Adapter:
        return adapter.join(now, pool, pools.get(adapter.pool_rt_id or ""))

    return _each(unit, rt_ids, adapters, join, "addAdapters")


async def _removing(unit: Unit, now: datetime, pool: Pool, rt_ids: Sequence[str]) -> list[Problem]:
    """Save these adapters as members of no pool; returns why some can't be."""
    return _each(unit, rt_ids, await unit.adapters(rt_ids), lambda adapter: adapter.leave(now, pool), "removeAdapters")


def _each(
    unit: Unit,
    rt_ids: Sequence[str],
    adapters: Mapping[str, Adapter],
    change: Callable[[Adapter], Adapter],
    path: str,
) -> list[Problem]:
    """Change and save each adapter; returns the problems of those that refuse or do not exist."""
    problems: list[Problem] = []
    for rt_id in rt_ids:
        try:
            unit.save(change(existing(adapters.get(rt_id), "adapter", rt_id, path)))
        except Refused as refused:
            problems += refused.problems
    return problems


async def finish_deletion(unit: Unit, now: datetime, pool: Pool) -> None:
    """Delete a pool that waited for its adapters, if none of them is deployed any more."""
    saved = {adapter.rt_id: adapter for adapter in unit.saved_adapters}
    adapters = [saved.get(adapter.rt_id, adapter) for adapter in await unit.adapters_of(pool)]
    if all(adapter.at_rest for adapter in adapters):
        await _remove(unit, now, pool, adapters)


async def _remove(unit: Unit, now: datetime, pool: Pool, adapters: Sequence[Adapter]) -> PoolDeletion:
    """Delete the pool and cut its adapters loose."""
    reason = f"The {pool} was deleted; whatever of this adapter ran in its cluster was left there."
    left_behind = [adapter for adapter in adapters if not adapter.at_rest and adapter.may_run(pool)]
    for adapter in adapters:
        unit.save(adapter.orphaned(now, reason))
    unit.delete(pool)
    return PoolDeletion(pool=pool, deleted=True, left_behind=left_behind)


def _in_the_way(pool: Pool, deployed: Sequence[Adapter]) -> StillDeployed:
    names = ", ".join(f"'{adapter.name}'" for adapter in deployed[:5])
    more = f" and {len(deployed) - 5} more" if len(deployed) > 5 else ""
    return StillDeployed(
        message=f"The {pool} has adapters that are deployed or on their way: {names}{more}. Undeploy them first, or "
        "delete with mode UNDEPLOY_FIRST.",
        path=("mode",),
        adapters=deployed,
    )


def _refuse_crowd(add: Sequence[str], remove: Sequence[str]) -> None:
    """Refuse lists that are too long, name an adapter twice, or hold what is no id."""
    _refuse_bad_ids(add, "addAdapters")
    _refuse_bad_ids(remove, "removeAdapters")
    if len(add) + len(remove) > MEMBERS_AT_ONCE:
        raise Refused(
            InvalidValue(
                message=f"One edit can add and remove {MEMBERS_AT_ONCE} adapters, not {len(add) + len(remove)}.",
                path=("addAdapters",),
            )
        )
    twice = {rt_id for rt_id in add if rt_id in set(remove)}
    Refused.if_any(
        InvalidValue(message=f"The adapter {rt_id} can't be both added and removed.", path=("removeAdapters",))
        for rt_id in sorted(twice)
    )


def _refuse_bad_ids(rt_ids: Sequence[str], field: str) -> None:
    Refused.if_any(problem for rt_id in rt_ids for problem in rt_id_problems(rt_id, field))


async def _named_uniquely(
    name: str | None, writing: Awaitable[E], named: Callable[[str], Awaitable[Pool | Adapter | None]]
) -> E:
    """What `writing` gives; a name that is taken becomes `Refused`, naming who has it."""
    try:
        return await writing
    except Duplicate as error:
        other = await named(name or "")
        owner = f"The {other} (rtId {other.rt_id})" if other else "Another one"
        raise Refused(
            NameTaken(
                message=f"{owner} has this name already; upper and lower case make no difference.", path=("name",)
            )
        ) from error
