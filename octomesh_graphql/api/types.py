"""The graph: what can be read, in one file because a graph is cyclic.

Types are declarations. Their objects at run time are those of the domain and the store, whose attributes of the same
name are the fields; only what must be fetched has a resolver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from strawberry import Info, Parent, argument

from octomesh_graphql.api.context import Context, HistoryWish
from octomesh_graphql.api.identity import global_id
from octomesh_graphql.api.inputs import AdapterFilterInput, AdapterOrderInput
from octomesh_graphql.api.install import install_manifest
from octomesh_graphql.api.scalars import DateTime, Json, OctoObjectId
from octomesh_graphql.domain.adapter import Adapter as DomainAdapter
from octomesh_graphql.domain.entity import CommunicationEntity as DomainEntity
from octomesh_graphql.domain.pool import Pool as DomainPool
from octomesh_graphql.domain.pool import ServingOperator
from octomesh_graphql.domain.states import (
    AdapterType,
    CommunicationState,
    ConfigurationState,
    DeploymentState,
    HealthLevel,
)
from octomesh_graphql.domain.tally import Tally
from octomesh_graphql.domain.transition import Aspect
from octomesh_graphql.domain.transition import Transition as DomainTransition
from octomesh_graphql.store.paging import Page, PageRequest

T = TypeVar("T")
C = TypeVar("C", bound=type)


def described(text: str, **more: Any) -> Any:
    """A field that is read from the attribute of its name."""
    return strawberry.field(description=text, **more)


def shows(of: type) -> Callable[[C], C]:
    """Marks a GraphQL type whose objects are those of the class `of`."""

    def mark(declared: C) -> C:
        declared.is_type_of = classmethod(lambda cls, obj, info: isinstance(obj, of))  # type: ignore[attr-defined]
        return declared

    return mark


First = Annotated[int | None, argument(description="How many from the start: 0 to 500; 50 unless given.")]
After = Annotated[str | None, argument(description="Only what comes behind this cursor.")]
Last = Annotated[int | None, argument(description="How many from the end: 0 to 500. Not together with `first`.")]
Before = Annotated[str | None, argument(description="Only what comes in front of this cursor.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = described("Whether there is more behind this page.")
    has_previous_page: bool = described("Whether there is something in front of this page.")
    start_cursor: str | None = described("The cursor of the first row; null on an empty page.")
    end_cursor: str | None = described("The cursor of the last row; null on an empty page.")


@strawberry.type(description="A row of a list with its cursor.")
class Edge(Generic[T]):
    cursor: str = described("Where this row is; opaque, and good only for the same list.")
    node: T = described("The row itself.")


@strawberry.type(description="A page of a list, as in Relay Cursor Connections.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = described("The rows with their cursors.")
    nodes: list[T] = described("The rows.")
    items: list[T] = described("The rows, under the name OctoMesh gives them.")
    page_info: PageInfo = described("Where this page stands.")
    total_count: int = described("How many rows the whole list has.")


@strawberry.type(description="How much attention something needs, and why.")
class Health:
    level: HealthLevel = described("How much attention it needs.")
    headline: str = described("The one sentence that matters most.")
    reasons: list[str] = described("All that speaks for the level and beside it, worst first.")


@strawberry.type(description="One state of one entity that became another.")
class Transition:
    id: strawberry.ID = described("Identifies it among all transitions of the tenant.")
    entity_rt_id: OctoObjectId = described("The pool or adapter it is about.")
    entity_name: str = described("What that was called at the time.")
    pool_rt_id: OctoObjectId | None = described("The pool it concerns: itself, or the one the adapter was in.")
    what: Aspect = described("What of the entity changed.")
    from_: str | None = described("What it was before; null if it was nothing.", name="from")
    to: str | None = described("What it became; null if it became nothing.")
    who: str = described("Who did it: a user, an agent, or the server itself.")
    reason: str | None = described("Why, in a sentence.")
    at: DateTime = described("When.")


@strawberry.interface(description="Anything that can be fetched again by its `id` alone.")
class Node:
    @strawberry.field(description="Identifies it among everything in this tenant; opaque.")
    @staticmethod
    def id(root: Parent[DomainEntity]) -> strawberry.ID:
        return strawberry.ID(global_id(root))


@strawberry.interface(description="An entity of a tenant, with the fields OctoMesh gives to all of them.")
class RuntimeEntity(Node):
    rt_id: OctoObjectId = described("Identifies it inside its tenant. The same may exist in another tenant.")
    ck_type_id: str = described("The construction kit type, for instance `System.Communication/Pool`.")
    rt_well_known_name: str | None = described("A fixed name by which programs know it; most entities have none.")
    rt_version: int = described("Counts the accepted edits of users, creation included. Status does not count.")
    rt_creation_date_time: DateTime = described("When it was created.")
    rt_changed_date_time: DateTime = described("When anything about it changed last, status included.")


@strawberry.interface(description="What a Pool and an Adapter share.")
class CommunicationEntity(RuntimeEntity):
    name: str = described("The name people gave it; unique among its kind in the tenant, without regard to case.")
    description: str | None = described("What people noted about it.")
    communication_state: CommunicationState = described("Whether its agent is there.")
    communication_state_timestamp: DateTime | None = described(
        "When the communication state last changed; null while it never has."
    )
    configuration_state: ConfigurationState = described(
        "Whether the configuration is in force; a pool's is that of its adapters together."
    )
    deployment_state: DeploymentState = described(
        "Whether what is wished to run does run; a pool's is that of its adapters together."
    )
    status_message: str | None = described("What is going on right now, in a sentence.")
    health: Health = described("How much attention it needs, judged from its states.")

    @strawberry.field(
        description="Its history, newest first, kept for 90 days; a pool's includes that of its adapters.",
        graphql_type=Connection[Transition],
    )
    @staticmethod
    async def transitions(
        root: Parent[DomainEntity], info: Info[Context], first: First = None, after: After = None
    ) -> Page[DomainTransition]:
        wish = HistoryWish(PageRequest(first=first, after=after), of_pools=isinstance(root, DomainPool))
        return await info.context.histories.load((root.rt_id, wish))


@strawberry.type(description="A Communication Operator, as it introduced itself when it claimed a pool.")
class Operator:
    id: str = described("Identifies the operator; it chooses that itself and keeps it.")
    cluster: str = described("The cluster it runs in, or what it simulates.")
    namespace: str = described("The namespace in which it deploys the pool's adapters.")
    version: str = described("The version of its program.")
    since: DateTime = described("Since when it serves the pool.")

    @strawberry.field(description="When it last renewed its lease.")
    @staticmethod
    async def last_seen(root: Parent[ServingOperator], info: Info[Context]) -> DateTime:
        operator = await info.context.operators.load(root.id)
        return DateTime(operator.last_seen if operator else root.since)


def _counting(text: str, **states: Any) -> Any:
    """How many adapters of a pool have these states."""

    def count(root: Parent[Tally]) -> int:
        return root.count(**states)

    return strawberry.field(resolver=count, description=text)


@strawberry.type(description="The adapters of a pool, counted: how many in each state.")
class PoolSummary:
    adapters: int = described("How many there are.")
    wanted: int = _counting("Wished to be deployed.", wanted=True)
    undeployed: int = _counting("Not deployed.", deployment=DeploymentState.UNDEPLOYED)
    deployment_pending: int = _counting("Being deployed or undeployed.", deployment=DeploymentState.PENDING)
    deployed: int = _counting("Deployed.", deployment=DeploymentState.DEPLOYED)
    deployment_error: int = _counting("Failed to deploy.", deployment=DeploymentState.ERROR)
    unconfigured: int = _counting("Without a configuration.", configuration=ConfigurationState.UNCONFIGURED)
    configuration_pending: int = _counting(
        "Given a configuration, not yet acknowledged.", configuration=ConfigurationState.PENDING
    )
    configured: int = _counting("Working with their configuration.", configuration=ConfigurationState.CONFIGURED)
    configuration_error: int = _counting("Rejected their configuration.", configuration=ConfigurationState.ERROR)
    unregistered: int = _counting("Never connected, or signed off.", communication=CommunicationState.UNREGISTERED)
    online: int = _counting("Connected.", communication=CommunicationState.ONLINE)
    offline: int = _counting("No longer connected.", communication=CommunicationState.OFFLINE)


@strawberry.type(description="A process that moves data, deployed with the one pool it is in.")
@shows(DomainAdapter)
class Adapter(CommunicationEntity):
    type: AdapterType = described("Where it is at home.")
    image_name: str = described("The container image, without its version.")
    image_version: str = described("The version of the image: a tag or a digest.")
    configuration: Json | None = described("What it is told to do, as JSON; null when there is none.")
    port: int | None = described("Where it listens, if it does: a Service makes it reachable in its namespace.")
    health_path: str | None = described("The HTTP path on that port that tells whether it is well.")
    wanted: bool = described("Whether users wish it deployed.")
    generation: int = described("Counts the wishes of users.")
    observed_generation: int = described("The wish that the last report of an operator was about.")
    last_error: str | None = described("The last failure; it stays until the next success.")
    last_error_timestamp: DateTime | None = described("When that failure was first reported.")

    @strawberry.field(description="The pool it is in; null when it is in none.", graphql_type="Pool | None")
    @staticmethod
    async def pool(root: Parent[DomainAdapter], info: Info[Context]) -> DomainPool | None:
        return await info.context.pools.load(root.pool_rt_id) if root.pool_rt_id else None


@strawberry.type(description="A place with a group of adapters that are deployed and managed together.")
@shows(DomainPool)
class Pool(CommunicationEntity):
    summary: PoolSummary = strawberry.field(
        resolver=lambda root: root.tally, description="Its adapters, counted by state.", graphql_type=PoolSummary
    )
    status_message: str | None = strawberry.field(
        resolver=lambda root: root.message,
        description="What is going on right now, in a sentence: what its adapters wait for, for instance.",
        graphql_type=str | None,
    )
    operator: Operator | None = described("Who serves it; null while nobody does.")
    deleting: bool = described("Whether it waits for its adapters to be undeployed, to be deleted then.")

    @strawberry.field(description="Its adapters, by name unless ordered otherwise.", graphql_type=Connection[Adapter])
    @staticmethod
    async def adapters(
        root: Parent[DomainPool],
        info: Info[Context],
        first: First = 50,
        after: After = None,
        filter: Annotated[AdapterFilterInput | None, argument(description="Only those that meet this.")] = None,
        order_by: Annotated[list[AdapterOrderInput] | None, argument(description="In this order.")] = None,
    ) -> Page[DomainAdapter]:
        request = PageRequest(first=first, after=after)
        wish = info.context.members_wish(request, chosen=filter, order=order_by)
        return await info.context.members.load((root.rt_id, wish))

    @strawberry.field(
        description="The CommunicationPool resource to apply in the cluster that shall serve it, as YAML."
    )
    @staticmethod
    def install_manifest(root: Parent[DomainPool], info: Info[Context]) -> str:
        return install_manifest(info.context.store.tenant.id, root)


@strawberry.type(description="Who asks, and what they may do.")
class Viewer:
    name: str = described("Who asks; `anonymous` where the server asks nobody who they are.")
    authenticated: bool = described("Whether the server knows that for sure.")
    tenant_id: str = described("The tenant this endpoint belongs to.")
    tenant_name: str = described("What people call that tenant.")
    may_read: bool = described("Whether they may query and subscribe.")
    may_edit: bool = described("Whether they may create, edit, move, delete, deploy and undeploy.")
