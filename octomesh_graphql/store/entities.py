"""A tenant's pools, adapters and transitions: reading them, and committing what an action decided."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.health import adapter_reason, operator_reason
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.domain.states import CommunicationState, ConfigurationState, DeploymentState, HealthLevel
from octomesh_graphql.domain.tally import CONFIGURATION_RANKS, DEPLOYMENT_RANKS, Group, Tally, tally_of
from octomesh_graphql.domain.tenant import Tenant, no_tenant
from octomesh_graphql.domain.text import name_key, storable
from octomesh_graphql.domain.transition import Transition
from octomesh_graphql.store.codec import Codec
from octomesh_graphql.store.mongo import Document, Mongo, ObjectId, Raced, Timestamp
from octomesh_graphql.store.paging import Keyset, Page, PageRequest, Sort
from octomesh_graphql.store.sealing import Seal
from octomesh_graphql.store.selecting import (
    DERIVED,
    NOTHING,
    AdapterFilter,
    EntityFilter,
    PoolFilter,
    conditions,
    split_derived,
)

T = TypeVar("T")

Write = tuple[CommunicationEntity | None, CommunicationEntity | None]
"""An entity before and after; None where it does not exist."""

Step = Callable[[Any], Awaitable[None]]
"""A write within a transaction, whose session it is given."""

ANSWERS: Final = "answers"

POOLS: Final = Codec(Pool, {"ckTypeId": Pool.ck_type_id})
ADAPTERS: Final = Codec(Adapter, {"ckTypeId": Adapter.ck_type_id})
_TRANSITIONS: Final = Codec(Transition)

_SNAPSHOT_ROWS = 25  # of at most 64 KiB configuration each; who does not read keeps them in memory for a while


class TenantStore:
    """The data of one tenant. There is no way from here to another tenant's."""

    def __init__(self, mongo: Mongo, tenant: Tenant, seal: Seal) -> None:
        self.tenant = tenant
        self.seal = seal
        self.gone = False
        """Whether the tenant is known to be deleted."""
        self._mongo = mongo
        self.losers = asyncio.Lock()
        """The line of those who lost a race for one of the documents; see `unit.write`."""

    @property
    def _database(self) -> str:
        """Raises `Refused` when the tenant is gone: a write would make its database anew, for a namesake to find."""
        if self.gone:
            raise Refused(no_tenant(self.tenant.id))
        return self.tenant.database

    # One entity

    async def pool(self, rt_id: str) -> Pool | None:
        """The pool with this id."""
        return (await self.pools([rt_id])).get(rt_id)

    async def adapter(self, rt_id: str) -> Adapter | None:
        """The adapter with this id."""
        return (await self.adapters([rt_id])).get(rt_id)

    async def pool_named(self, name: str) -> Pool | None:
        """The pool with this name, compared without case."""
        return next(iter(await self._pools([_with_name(name)])), None)

    async def adapter_named(self, name: str) -> Adapter | None:
        """The adapter with this name, compared without case."""
        return next(iter(await self._adapters([_with_name(name)])), None)

    async def with_present_tally(self, pool: Pool) -> Pool:
        """The pool with its adapters counted anew."""
        present = await self.pool(pool.rt_id)
        return replace(pool, tally=present.tally if present else Tally())

    # Answers that were given; see `answers`

    async def answer(self, key: str) -> Document | None:
        """What was stored under this key."""
        return await self._mongo.find_one(self._database, ANSWERS, {"_id": key})

    def answering(self, document: Document) -> Step:
        """A step of a transaction that stores an answer. It raises `Duplicate` when there is one under its key."""
        database = self._database
        return lambda session: self._mongo.insert(database, ANSWERS, [dict(document)], session=session)

    # Several, by what they are

    async def pools(self, rt_ids: Iterable[str]) -> Mapping[str, Pool]:
        """Those that exist, by id."""
        found = await self._pools([{"$match": {"_id": {"$in": [ObjectId(rt_id) for rt_id in rt_ids]}}}])
        return {pool.rt_id: pool for pool in found}

    async def adapters(self, rt_ids: Iterable[str]) -> Mapping[str, Adapter]:
        """Those that exist, by id."""
        found = await self._adapters([{"$match": {"_id": {"$in": [ObjectId(rt_id) for rt_id in rt_ids]}}}])
        return {adapter.rt_id: adapter for adapter in found}

    async def adapters_of(self, pool_rt_id: str) -> Sequence[Adapter]:
        """All adapters of a pool, by name."""
        return await self._adapters([{"$match": {"poolRtId": ObjectId(pool_rt_id)}}, {"$sort": {"nameKey": 1}}])

    async def wished_adapters(self, pool_rt_id: str, *, after: str | None, limit: int) -> Sequence[Adapter]:
        """Adapters of a pool that are wanted or not yet gone, in order of ids, those behind `after`."""
        behind: Document = {"_id": {"$gt": ObjectId(after)}} if after else {}
        going = [{"wanted": True}, {"deploymentState": {"$ne": DeploymentState.UNDEPLOYED.value}}]
        matching = {"poolRtId": ObjectId(pool_rt_id), "$or": going, **behind}
        return await self._adapters([{"$match": matching}, {"$sort": {"_id": 1}}, {"$limit": limit}])

    # Pages

    async def pool_page(
        self,
        request: PageRequest,
        *,
        chosen: PoolFilter | None = None,
        search: str | None = None,
        order: Sequence[Sort] = (),
        counted: bool = False,
    ) -> Page[Pool]:
        """A page of pools, by name unless ordered otherwise. Raises `InvalidPage` for a foreign cursor."""
        keyset = self._keyset("pools", chosen, search, order)
        stored, derived = split_derived(conditions(chosen, search))
        deriving = bool(derived) or any(sort.key in DERIVED for sort in order)
        rows = [{"$match": stored}, *([*_DERIVING, {"$match": derived}] if deriving else [])]
        window = keyset.window(request) + ([] if deriving else _TALLYING)
        documents, total = await self._page("pools", rows, window, counted)
        return keyset.page(request, documents, [_pool(document) for document in documents], total)

    async def adapter_page(
        self,
        request: PageRequest,
        *,
        chosen: AdapterFilter | None = None,
        search: str | None = None,
        order: Sequence[Sort] = (),
        counted: bool = False,
    ) -> Page[Adapter]:
        """A page of adapters, by name unless ordered otherwise. Raises `InvalidPage` for a foreign cursor."""
        keyset = self._keyset("adapters", chosen, search, order)
        rows = [{"$match": conditions(chosen, search)}]
        documents, total = await self._page("adapters", rows, keyset.window(request), counted)
        return keyset.page(request, documents, [ADAPTERS.decode(d) for d in documents], total)

    async def adapter_pages(
        self,
        pool_rt_ids: Sequence[str],
        request: PageRequest,
        *,
        chosen: AdapterFilter | None = None,
        order: Sequence[Sort] = (),
    ) -> Mapping[str, Page[Adapter]]:
        """For each of these pools a page of its adapters, counted, all in one round trip."""
        keyset = self._keyset("pool.adapters", chosen, None, order)
        matching = conditions(chosen, None)
        return await self._pages("adapters", "poolRtId", pool_rt_ids, keyset, request, ADAPTERS.decode, matching)

    async def transition_page(self, entity: CommunicationEntity, request: PageRequest) -> Page[Transition]:
        """A page of an entity's history, newest first, counted; a pool's holds that of its adapters too."""
        pages = await self.transition_pages([entity.rt_id], request, of_pools=isinstance(entity, Pool))
        return pages[entity.rt_id]

    async def transition_pages(
        self, rt_ids: Sequence[str], request: PageRequest, *, of_pools: bool
    ) -> Mapping[str, Page[Transition]]:
        """For each of these pools, or of these adapters, a page of its history, all in one round trip."""
        by = "poolRtId" if of_pools else "entityRtId"
        keyset = Keyset.of([Sort("at", descending=True)], self.seal.of("transitions", by))
        return await self._pages("transitions", by, rt_ids, keyset, request, _transition, {})

    async def snapshot(
        self, collection: str, matching: Document, after: ObjectId | None, at: Timestamp | None
    ) -> tuple[deque[CommunicationEntity], ObjectId | None, Timestamp]:
        """Some entities as they were `at` a time (None: now), in order of ids: them, where to go on, and the time.

        Raises `ChangeHistoryLost` when that time is no longer kept (five minutes, unless MongoDB is told otherwise).
        """
        behind: list[Document] = [{"$match": {"_id": {"$gt": after}}}] if after else []
        pipeline = [
            {"$match": matching},
            *behind,
            {"$sort": {"_id": 1}},
            {"$limit": _SNAPSHOT_ROWS},
            *(_TALLYING if collection == "pools" else []),
        ]
        documents, time = await self._mongo.snapshot(self._database, collection, pipeline, at)
        decode = _pool if collection == "pools" else ADAPTERS.decode
        more = documents[-1]["_id"] if len(documents) == _SNAPSHOT_ROWS else None
        return deque(map(decode, documents)), more, time

    # Writing

    async def commit(
        self,
        writes: Iterable[Write],
        history: Iterable[Transition],
        *,
        first: Sequence[Step] = (),
        also: Sequence[Step] = (),
    ) -> None:
        """Make each `before` into its `after`, keep the history, and do what else is asked: all of it or nothing.

        Raises `Raced` when one is no longer as it was before, `Duplicate` when a name is taken.
        """
        steps = [*first, *(self._write_of(before, after) for before, after in writes), *also]
        lines = [_TRANSITIONS.encode(transition) for transition in history]
        database = self._database

        async def commit(session: Any) -> None:
            for step in steps:
                await step(session)
            if lines:
                await self._mongo.insert(database, "transitions", lines, session=session)

        if len(steps) + bool(lines) > 1:
            await self._mongo.transact(commit)
        else:
            await commit(None)

    def _write_of(self, before: CommunicationEntity | None, after: CommunicationEntity | None) -> Step:
        """What makes `before` into `after` in the database; it raises `Raced` when `before` is no longer there."""
        known = after or before
        assert known is not None
        collection, codec = _place(known)
        database = self._database
        if before is None:
            created = codec.encode(after)
            return lambda session: self._mongo.insert(database, collection, [dict(created)], session=session)
        same = {"_id": ObjectId(before.rt_id), "revision": before.revision}

        async def write(session: Any) -> None:
            if after is None:
                done = await self._mongo.delete(database, collection, same, session=session)
            else:
                update = codec.update(before, after)
                done = await self._mongo.update(database, collection, same, update, session=session)
            if not done:
                raise Raced(f"{known} was written by somebody else")

        return write

    # Reading, underneath

    def _keyset(self, of: str, chosen: EntityFilter | None, search: str | None, order: Sequence[Sort]) -> Keyset:
        return Keyset.of(order or [Sort("nameKey")], self.seal.of(of, chosen, search, tuple(order)))

    async def _page(
        self, collection: str, rows: list[Document], window: list[Document], counted: bool
    ) -> tuple[list[Document], int | None]:
        """The documents of a page and, if `counted`, how many rows the list has: one round trip."""
        counting = {"$unionWith": {"coll": collection, "pipeline": [*rows, {"$count": "total"}]}}
        documents = await self._aggregate(collection, [*rows, *window, *([counting] if counted else [])])
        total = documents.pop()["total"] if documents and "total" in documents[-1] else 0
        return documents, total if counted else None

    async def _pages(
        self,
        collection: str,
        by: str,
        rt_ids: Sequence[str],
        keyset: Keyset,
        request: PageRequest,
        decode: Callable[[Document], T],
        matching: Document,
    ) -> Mapping[str, Page[T]]:
        """For each of these owners, whom the documents name in the field `by`, a page of what is theirs."""
        within: Document = {by: {"$in": [ObjectId(rt_id) for rt_id in rt_ids]}}
        rows: list[Document] = [{"$match": {"$and": [within, matching]}}]
        window = keyset.window(request)
        shares = window if len(rt_ids) == 1 else _shared(by, window)  # a single owner's page comes from an index
        documents = await self._aggregate(collection, [*rows, *shares, _totals(collection, by, rows)])
        totals = {str(d["of"]): int(d["total"]) for d in documents if "total" in d}
        by_owner: dict[str, list[Document]] = {rt_id: [] for rt_id in rt_ids}
        for document in documents:
            if "total" not in document:
                by_owner[str(document[by])].append(document)
        return {
            rt_id: keyset.page(request, found, [decode(document) for document in found], totals.get(rt_id, 0))
            for rt_id, found in by_owner.items()
        }

    async def _pools(self, stages: list[Document]) -> list[Pool]:
        return [_pool(document) for document in await self._aggregate("pools", [*stages, *_TALLYING])]

    async def _adapters(self, stages: list[Document]) -> list[Adapter]:
        return [ADAPTERS.decode(document) for document in await self._aggregate("adapters", stages)]

    async def _aggregate(self, collection: str, pipeline: list[Document]) -> list[Document]:
        return await self._mongo.aggregate(self._database, collection, pipeline)


_TALLYING: Final[list[Document]] = [
    {
        "$lookup": {
            "from": "adapters",
            "localField": "_id",
            "foreignField": "poolRtId",
            "pipeline": [
                {
                    "$group": {
                        "_id": {
                            "deployment": "$deploymentState",
                            "configuration": "$configurationState",
                            "communication": "$communicationState",
                            "wanted": "$wanted",
                        },
                        "adapters": {"$sum": 1},
                    }
                }
            ],
            "as": "tally",
        }
    }
]
"""Counts a pool's adapters by their states, from an index alone."""


def _ranking(states: str, ranked: Sequence[DeploymentState] | Sequence[ConfigurationState]) -> Document:
    """The first of `ranked` that any adapter of a pool has, as `Tally` says it in Python."""
    branches = [{"case": {"$in": [state.value, states]}, "then": state.value} for state in ranked]
    return {"$switch": {"branches": branches, "default": 0}}


def _attention() -> Document:
    """The level of `pool_health`, asked of that function itself for every state a pool and its adapters can be in."""
    groups = [
        Group(deployment=deployment, configuration=configuration, communication=communication, wanted=wanted)
        for deployment, configuration, communication, wanted in itertools.product(
            DeploymentState, ConfigurationState, CommunicationState, (True, False)
        )
    ]
    group = ["$$group.deployment", "$$group.configuration", "$$group.communication", "$$group.wanted"]
    of_groups = _level(group, [(_states(each), adapter_reason(each).level) for each in groups])
    operators = itertools.product(CommunicationState, (True, False))
    of_operator = _level(
        ["$communicationState", {"$in": [True, "$tally._id.wanted"]}],
        [([state.value, wanted], operator_reason(state, int(wanted)).level) for state, wanted in operators],
    )
    levels = {"$map": {"input": "$tally._id", "as": "group", "in": of_groups}}
    return {"$max": {"$concatArrays": [[of_operator], levels]}}


def _level(of: list[Any], known: Sequence[tuple[list[Any], HealthLevel]]) -> Document:
    """The level known for these states."""
    branches = [
        {"case": {"$in": [of, [states for states, level in known if level is each]]}, "then": each.value}
        for each in HealthLevel
    ]
    return {"$switch": {"branches": branches, "default": HealthLevel.UNKNOWN.value}}


def _states(group: Group) -> list[Any]:
    return [group.deployment.value, group.configuration.value, group.communication.value, group.wanted]


_DERIVING: Final[list[Document]] = [
    *_TALLYING,
    {
        "$addFields": {
            "deploymentState": _ranking("$tally._id.deployment", DEPLOYMENT_RANKS),
            "configurationState": _ranking("$tally._id.configuration", CONFIGURATION_RANKS),
            "health": _attention(),
        }
    },
]


def _shared(by: str, window: list[Document]) -> list[Document]:
    """The window for each owner by itself."""
    *bounds, sort, limit = window
    rank = {
        "$setWindowFields": {
            "partitionBy": f"${by}",
            "sortBy": sort["$sort"],
            "output": {"rank": {"$sum": 1, "window": {"documents": ["unbounded", "current"]}}},
        }
    }
    return [*bounds, rank, {"$match": {"rank": {"$lte": limit["$limit"]}}}, sort]


def _totals(collection: str, by: str, rows: list[Document]) -> Document:
    """The stage that adds how many rows each owner has, as `{of: owner, total: count}`."""
    counting = [
        {"$group": {"_id": f"${by}", "total": {"$sum": 1}}},
        {"$project": {"_id": 0, "of": "$_id", "total": 1}},
    ]
    return {"$unionWith": {"coll": collection, "pipeline": [*rows, *counting]}}


def _with_name(name: str) -> Document:
    return {"$match": {"nameKey": name_key(name)} if storable(name) else NOTHING}


def _place(entity: CommunicationEntity) -> tuple[str, Codec[Any]]:
    return ("pools", POOLS) if isinstance(entity, Pool) else ("adapters", ADAPTERS)


def _pool(document: Document) -> Pool:
    return POOLS.decode(document, tally=_tally(document.get("tally", ())))


def _tally(groups: Iterable[Document]) -> Tally:
    return tally_of(
        Group(
            deployment=DeploymentState(group["_id"]["deployment"]),
            configuration=ConfigurationState(group["_id"]["configuration"]),
            communication=CommunicationState(group["_id"]["communication"]),
            wanted=group["_id"]["wanted"],
            adapters=group["adapters"],
        )
        for group in groups
    )


def _transition(document: Document) -> Transition:
    return _TRANSITIONS.decode(document, id=str(document["_id"]))
