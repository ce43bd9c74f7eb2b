"""What can be watched."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

import strawberry
from strawberry import Info, Parent, argument

from octomesh_graphql.actions import watching
from octomesh_graphql.api.context import Context
from octomesh_graphql.api.scalars import DateTime, OctoObjectId
from octomesh_graphql.api.types import Adapter, CommunicationEntity, Pool, described
from octomesh_graphql.domain.change import Change, ChangeKind
from octomesh_graphql.domain.states import CommunicationState

RtIds = Annotated[list[OctoObjectId] | None, argument(description="Only these; all unless given.")]
PoolRtIds = Annotated[list[OctoObjectId] | None, argument(description="Only adapters that are or were in these pools.")]
Cursor = Annotated[
    str | None, argument(description="Continue behind this cursor of an earlier subscription, without a snapshot.")
]


CURSOR = "Where this is in the stream: pass it as `after` to continue behind it, on any server."
KIND = "Why this is told."


def _entity(text: str) -> Any:
    """The entity of a change, under the name of its type."""

    def entity(root: Parent[Change]) -> Any:
        return root.entity

    return strawberry.field(resolver=entity, description=text)


@strawberry.type(description="A pool that is there, is new, changed or is gone. Members that change it count.")
class PoolChange:
    cursor: str = described(CURSOR)
    kind: ChangeKind = described(KIND)
    rt_id: OctoObjectId | None = described("The pool; null for LIVE and RESYNC.")
    pool: Pool | None = _entity("The pool as it is now, or as it last was; null for LIVE and RESYNC.")


@strawberry.type(description="An adapter that is there, is new, changed or is gone.")
class AdapterChange:
    cursor: str = described(CURSOR)
    kind: ChangeKind = described(KIND)
    rt_id: OctoObjectId | None = described("The adapter; null for LIVE and RESYNC.")
    adapter: Adapter | None = _entity("The adapter as it is now, or as it last was; null for LIVE and RESYNC.")


@strawberry.type(description="A communication state that became another. Two transitions are never told as one.")
class CommunicationStateChange:
    cursor: str = described(CURSOR)
    kind: ChangeKind = described(KIND)
    rt_id: OctoObjectId | None = described("The pool or adapter; null for LIVE and RESYNC.")
    previous: CommunicationState | None = described("The state before; null in a snapshot.")
    current: CommunicationState | None = described("The state from then on; null for LIVE and RESYNC.")
    timestamp: DateTime | None = described("When it changed; null while it never has.")
    reason: str | None = described("Why it changed, in a sentence.")
    entity: CommunicationEntity | None = described("The pool or adapter as it was then; null for LIVE and RESYNC.")


@strawberry.type(description="What can be watched in this tenant: the present first, then every change.")
class Subscription:
    @strawberry.subscription(
        description="Pools and what changes about them.", graphql_type=AsyncGenerator[PoolChange, None]
    )
    def pool_changes(self, info: Info[Context], rt_ids: RtIds = None, after: Cursor = None) -> AsyncIterator[Change]:
        context = info.context
        return watching.pool_changes(context.store, context.feed, rt_ids=rt_ids, after=after, line=context.line)

    @strawberry.subscription(
        description="Adapters and what changes about them.", graphql_type=AsyncGenerator[AdapterChange, None]
    )
    def adapter_changes(
        self, info: Info[Context], pool_rt_ids: PoolRtIds = None, rt_ids: RtIds = None, after: Cursor = None
    ) -> AsyncIterator[Change]:
        return watching.adapter_changes(
            info.context.store,
            info.context.feed,
            pool_rt_ids=pool_rt_ids,
            rt_ids=rt_ids,
            after=after,
            line=info.context.line,
        )

    @strawberry.subscription(
        description="Every transition of the communication states of pools and adapters.",
        graphql_type=AsyncGenerator[CommunicationStateChange, None],
    )
    def communication_state_changes(
        self,
        info: Info[Context],
        pool_rt_ids: Annotated[
            list[OctoObjectId] | None,
            argument(description="These pools; with neither these nor adapters given: all pools and adapters."),
        ] = None,
        adapter_rt_ids: Annotated[
            list[OctoObjectId] | None,
            argument(description="These adapters; with neither these nor pools given: all pools and adapters."),
        ] = None,
        states: Annotated[
            list[CommunicationState] | None, argument(description="Only transitions to one of these states.")
        ] = None,
        after: Cursor = None,
    ) -> AsyncIterator[Change]:
        return watching.communication_state_changes(
            info.context.store,
            info.context.feed,
            pool_rt_ids=pool_rt_ids,
            adapter_rt_ids=adapter_rt_ids,
            states=states,
            after=after,
            line=info.context.line,
        )
