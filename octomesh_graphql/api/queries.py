"""What can be asked."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from strawberry import Info, argument

from octomesh_graphql.api.context import Context
from octomesh_graphql.api.identity import parsed_global_id
from octomesh_graphql.api.inputs import (
    AdapterFilterInput,
    AdapterOrderInput,
    PoolFilterInput,
    PoolOrderInput,
    adapter_filter,
    pool_filter,
    sorts,
)
from octomesh_graphql.api.scalars import OctoObjectId
from octomesh_graphql.api.selection import selects
from octomesh_graphql.api.types import Adapter, After, Before, Connection, First, Last, Node, Pool, Viewer
from octomesh_graphql.domain.adapter import Adapter as DomainAdapter
from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.pool import Pool as DomainPool
from octomesh_graphql.domain.problem import InvalidValue, Refused
from octomesh_graphql.store.paging import Page, PageRequest

RtId = Annotated[OctoObjectId | None, argument(description="Its rtId.")]
Name = Annotated[str | None, argument(description="Its name, without regard to case.")]
Search = Annotated[
    str | None, argument(description="Only those with this text in name or description, without regard to case.")
]


@strawberry.type(description="What can be asked about this tenant.")
class Query:
    @strawberry.field(description="One pool, by rtId or by name; null when there is none.", graphql_type=Pool | None)
    async def pool(self, info: Info[Context], rt_id: RtId = None, name: Name = None) -> DomainPool | None:
        store = info.context.store
        _one_of(rt_id, name)
        return await (store.pool(rt_id) if rt_id is not None else store.pool_named(name or ""))

    @strawberry.field(description="Pools, by name unless ordered otherwise.", graphql_type=Connection[Pool])
    async def pools(
        self,
        info: Info[Context],
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[PoolFilterInput | None, argument(description="Only those that meet this.")] = None,
        search: Search = None,
        order_by: Annotated[list[PoolOrderInput] | None, argument(description="In this order.")] = None,
    ) -> Page[DomainPool]:
        return await info.context.store.pool_page(
            PageRequest(first=first, after=after, last=last, before=before),
            chosen=pool_filter(filter),
            search=search,
            order=sorts(order_by),
            counted=selects(info, "totalCount"),
        )

    @strawberry.field(
        description="One adapter, by rtId or by name; null when there is none.", graphql_type=Adapter | None
    )
    async def adapter(self, info: Info[Context], rt_id: RtId = None, name: Name = None) -> DomainAdapter | None:
        store = info.context.store
        _one_of(rt_id, name)
        return await (store.adapter(rt_id) if rt_id is not None else store.adapter_named(name or ""))

    @strawberry.field(description="Adapters, by name unless ordered otherwise.", graphql_type=Connection[Adapter])
    async def adapters(
        self,
        info: Info[Context],
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[AdapterFilterInput | None, argument(description="Only those that meet this.")] = None,
        search: Search = None,
        order_by: Annotated[list[AdapterOrderInput] | None, argument(description="In this order.")] = None,
    ) -> Page[DomainAdapter]:
        return await info.context.store.adapter_page(
            PageRequest(first=first, after=after, last=last, before=before),
            chosen=adapter_filter(filter),
            search=search,
            order=sorts(order_by),
            counted=selects(info, "totalCount"),
        )

    @strawberry.field(
        description="Anything that has an `id`, by that; null when there is none.", graphql_type=Node | None
    )
    async def node(
        self, info: Info[Context], id: Annotated[strawberry.ID, argument(description="The `id` it was read with.")]
    ) -> CommunicationEntity | None:
        match parsed_global_id(id):
            case ("Pool", rt_id):
                return await info.context.store.pool(rt_id)
            case ("Adapter", rt_id):
                return await info.context.store.adapter(rt_id)
            case _:
                return None

    @strawberry.field(description="Who asks, and what they may do.")
    def viewer(self, info: Info[Context]) -> Viewer:
        caller, tenant = info.context.caller, info.context.store.tenant
        return Viewer(
            name=caller.name,
            authenticated=caller.authenticated,
            tenant_id=tenant.id,
            tenant_name=tenant.display_name,
            may_read=caller.may_read,
            may_edit=info.context.gate.may_edit(caller),
        )


def _one_of(rt_id: Any, name: Any) -> None:
    if (rt_id is None) == (name is None):
        raise Refused(InvalidValue(message="Give either 'rtId' or 'name'.", path=("rtId",)))
