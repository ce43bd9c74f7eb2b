"""What every resolver of a request finds: the tenant's data, who asks, and loads that are done together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from strawberry.dataloader import DataLoader

from octomesh_graphql.api.inputs import AdapterFilterInput, AdapterOrderInput, adapter_filter, sorts
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.caller import Caller
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.transition import Transition
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.paging import Page, PageRequest, Sort
from octomesh_graphql.store.selecting import AdapterFilter


@dataclass(frozen=True)
class MembersWish:
    """Which of a pool's adapters, and in which order; equal wishes of several pools are loaded together."""

    request: PageRequest
    chosen: AdapterFilter | None
    order: tuple[Sort, ...]


@dataclass
class Context:
    """One request, or one WebSocket with all its operations: nothing here is remembered longer than a batch."""

    store: TenantStore
    feed: Feed
    caller: Caller
    request_id: str
    connection_params: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def pools(self) -> DataLoader[str, Pool | None]:
        """Pools by rtId."""

        async def load(rt_ids: list[str]) -> Sequence[Pool | None]:
            found = await self.store.pools(set(rt_ids))
            return [found.get(rt_id) for rt_id in rt_ids]

        return DataLoader(load, cache=False)

    @cached_property
    def members(self) -> DataLoader[tuple[str, MembersWish], Page[Adapter]]:
        """Pages of the adapters of pools: all pools with the same wish in one round trip."""

        async def load(keys: list[tuple[str, MembersWish]]) -> Sequence[Page[Adapter]]:
            pools_by_wish: dict[MembersWish, dict[str, None]] = defaultdict(dict)
            for rt_id, wish in keys:
                pools_by_wish[wish][rt_id] = None
            pages = {
                wish: await self.store.adapter_pages(list(rt_ids), wish.request, chosen=wish.chosen, order=wish.order)
                for wish, rt_ids in pools_by_wish.items()
            }
            return [pages[wish][rt_id] for rt_id, wish in keys]

        return DataLoader(load, cache=False)

    @cached_property
    def histories(self) -> DataLoader[tuple[str, bool, PageRequest], Page[Transition]]:
        """Pages of the histories of entities, each named by its rtId and whether it is a pool."""

        async def load(keys: list[tuple[str, bool, PageRequest]]) -> Sequence[Page[Transition]]:
            ids_by_wish: dict[tuple[bool, PageRequest], dict[str, None]] = defaultdict(dict)
            for rt_id, of_pools, request in keys:
                ids_by_wish[of_pools, request][rt_id] = None
            pages = {
                (of_pools, request): await self.store.transition_pages(list(rt_ids), request, of_pools=of_pools)
                for (of_pools, request), rt_ids in ids_by_wish.items()
            }
            return [pages[of_pools, request][rt_id] for rt_id, of_pools, request in keys]

        return DataLoader(load, cache=False)

    def members_wish(
        self,
        request: PageRequest,
        *,
        chosen: AdapterFilterInput | None,
        order: Sequence[AdapterOrderInput] | None,
    ) -> MembersWish:
        """The wish behind the arguments of `Pool.adapters`."""
        return MembersWish(request, adapter_filter(chosen), sorts(order))
