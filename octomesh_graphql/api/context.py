"""What every resolver of a request finds: the tenant's data, who asks, and loads that are done together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from strawberry.dataloader import DataLoader

from octomesh_graphql.api.admitting import Gate
from octomesh_graphql.api.inputs import AdapterFilterInput, AdapterOrderInput, adapter_filter, sorts
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.caller import Caller
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.session import RegisteredOperator
from octomesh_graphql.domain.transition import Transition
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.mongo import MongoCommandFailed, MongoUnavailable
from octomesh_graphql.store.paging import InvalidPage, Page, PageRequest, Sort
from octomesh_graphql.store.selecting import AdapterFilter
from octomesh_graphql.store.sessions import Sessions

W = TypeVar("W")
R = TypeVar("R")


@dataclass(frozen=True)
class MembersWish:
    """Which of a pool's adapters, and in which order; equal wishes of several pools are loaded together."""

    request: PageRequest
    chosen: AdapterFilter | None
    order: tuple[Sort, ...]


@dataclass(frozen=True)
class HistoryWish:
    """Which transitions of an entity."""

    request: PageRequest
    of_pools: bool


@dataclass
class Context:
    """What one operation of a user finds."""

    gate: Gate
    caller: Caller
    sessions: Sessions
    store: TenantStore
    feed: Feed
    request_id: str
    line: asyncio.Lock
    """Held by the one snapshot that is being told on the connection."""

    @cached_property
    def pools(self) -> DataLoader[str, Pool | None]:
        """Pools by rtId."""

        async def load(rt_ids: list[str]) -> Sequence[Pool | None]:
            found = await self.store.pools(set(rt_ids))
            return [found.get(rt_id) for rt_id in rt_ids]

        return DataLoader(load, cache=False)

    @cached_property
    def operators(self) -> DataLoader[str, RegisteredOperator | None]:
        """Operators by id."""

        async def load(ids: list[str]) -> Sequence[RegisteredOperator | None]:
            found = await self.sessions.operators(list(set(ids)))
            return [found.get(id) for id in ids]

        return DataLoader(load, cache=False)

    @cached_property
    def members(self) -> DataLoader[tuple[str, MembersWish], Page[Adapter]]:
        """Pages of the adapters of pools."""
        return _paged(
            lambda rt_ids, wish: self.store.adapter_pages(rt_ids, wish.request, chosen=wish.chosen, order=wish.order)
        )

    @cached_property
    def histories(self) -> DataLoader[tuple[str, HistoryWish], Page[Transition]]:
        """Pages of the histories of pools and of adapters."""
        return _paged(lambda rt_ids, wish: self.store.transition_pages(rt_ids, wish.request, of_pools=wish.of_pools))

    def members_wish(
        self,
        request: PageRequest,
        *,
        chosen: AdapterFilterInput | None,
        order: Sequence[AdapterOrderInput] | None,
    ) -> MembersWish:
        """The wish behind the arguments of `Pool.adapters`."""
        return MembersWish(request, adapter_filter(chosen), sorts(order))


def _paged(
    fetch: Callable[[Sequence[str], W], Awaitable[Mapping[str, Page[R]]]],
) -> DataLoader[tuple[str, W], Page[R]]:
    """Loads a page for each owner: all owners with equal wishes in one round trip. A wish that fails fails alone."""

    async def load(keys: list[tuple[str, W]]) -> Sequence[Page[R] | Exception]:
        owners: dict[W, dict[str, None]] = defaultdict(dict)
        for owner, wish in keys:
            owners[wish][owner] = None
        pages = {wish: await _outcome(fetch(list(those), wish)) for wish, those in owners.items()}
        found = [(pages[wish], owner) for owner, wish in keys]
        return [outcome if isinstance(outcome, Exception) else outcome[owner] for outcome, owner in found]

    return DataLoader(load, cache=False)


async def _outcome(fetching: Awaitable[R]) -> R | Exception:
    """What comes of it, as the loader wants to be told: the result or the error."""
    try:
        return await fetching
    except (InvalidPage, MongoUnavailable, MongoCommandFailed) as error:
        return error
