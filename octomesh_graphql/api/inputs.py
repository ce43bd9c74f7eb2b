"""What clients may say: filters, orders and the inputs of mutations.

An absent field is left alone; null clears what may be cleared, and is refused elsewhere. No input carries a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from typing import Any, Final

import strawberry
from strawberry import UNSET, Maybe
from strawberry.utils.str_converters import to_camel_case

from octomesh_graphql.actions.arranging import DeletionMode
from octomesh_graphql.api.scalars import Json, OctoObjectId
from octomesh_graphql.domain.problem import InvalidValue, Refused
from octomesh_graphql.domain.states import (
    AdapterType,
    CommunicationState,
    ConfigurationState,
    DeploymentState,
    HealthLevel,
)
from octomesh_graphql.store.paging import Sort
from octomesh_graphql.store.selecting import AdapterFilter, AdapterOrderField, EntityFilter, PoolFilter, PoolOrderField

NEVER_NULL: Final = "never_null"
"""What `kept` marks a field with, in its metadata."""


def field(text: str, default: Any = UNSET, **more: Any) -> Any:
    """A field of an input, optional unless `default` is left out of its type."""
    return strawberry.field(description=text, **({} if default is UNSET else {"default": default}), **more)


def kept(text: str) -> Any:
    """A field of an edit for what every entity has: absent it is kept, and null is refused by `given`, in words for
    people. Its type allows null all the same, because GraphQL can't say "absent, but not null"."""
    return field(text, metadata={NEVER_NULL: True})


@strawberry.enum(description="Which way an order goes.")
class OrderDirection(Enum):
    ASC = strawberry.enum_value("ASC", description="Smallest, earliest and first in the alphabet first.")
    DESC = strawberry.enum_value("DESC", description="Largest, latest and last in the alphabet first.")


@strawberry.input(name="PoolOrder", description="By what pools are ordered; equal ones by their rtId.")
class PoolOrderInput:
    field: PoolOrderField = strawberry.field(description="What to order by.")
    direction: OrderDirection = strawberry.field(description="Which way.", default=OrderDirection.ASC)


@strawberry.input(name="AdapterOrder", description="By what adapters are ordered; equal ones by their rtId.")
class AdapterOrderInput:
    field: AdapterOrderField = strawberry.field(description="What to order by.")
    direction: OrderDirection = strawberry.field(description="Which way.", default=OrderDirection.ASC)


@strawberry.input(description="What pools and adapters are both filtered by.")
class EntityFilterInput:
    rt_ids: list[OctoObjectId] | None = field("One of these.", None)
    communication_state: list[CommunicationState] | None = field("In one of these communication states.", None)
    configuration_state: list[ConfigurationState] | None = field("In one of these configuration states.", None)
    deployment_state: list[DeploymentState] | None = field("In one of these deployment states.", None)
    name_contains: str | None = field("With this text in the name, without regard to case.", None)


@strawberry.input(name="PoolFilter", description="Pools that meet all of the conditions given.")
class PoolFilterInput(EntityFilterInput):
    health: list[HealthLevel] | None = field("That need this much attention: one of these levels.", None)


@strawberry.input(name="AdapterFilter", description="Adapters that meet all of the conditions given.")
class AdapterFilterInput(EntityFilterInput):
    type: list[AdapterType] | None = field("Of one of these types.", None)
    pool_rt_id: OctoObjectId | None = field("In this pool.", None)
    unassigned: bool | None = field("In no pool (true), or in any (false).", None)


@strawberry.input(description="What every mutation takes.")
class RepeatableInput:
    request_id: str | None = field(
        "Makes it safe to ask again when an answer was lost: within a day, the same id has one effect and gets the "
        "same answer. Up to 128 letters, digits and `._:-`; a UUID for instance.",
        None,
    )


@strawberry.input(description="A new pool.")
class CreatePoolInput(RepeatableInput):
    name: str = field("Its name, 1 to 100 characters, unique among the tenant's pools without regard to case.")
    description: str | None = field("What people should know about it, up to 2,000 characters.", None)


@strawberry.input(description="An edit of a pool and of what is in it: all of it happens, or nothing.")
class EditPoolInput(RepeatableInput):
    rt_id: OctoObjectId = field("The pool.")
    expected_version: int | None = field(
        "The `rtVersion` the edit is based on; if the pool has another by now, the edit is refused.", None
    )
    name: Maybe[str | None] = kept("A new name.")
    description: Maybe[str | None] = field("A new description; null clears it.")
    add_adapters: list[OctoObjectId] | None = field("Adapters to add; each must be in no other pool.", None)
    remove_adapters: list[OctoObjectId] | None = field("Adapters to remove; none may be deployed.", None)


@strawberry.input(description="The deletion of a pool. Its adapters stay, in no pool.")
class DeletePoolInput(RepeatableInput):
    rt_id: OctoObjectId = field("The pool.")
    expected_version: int | None = field("Delete it only if it still has this `rtVersion`.", None)
    mode: DeletionMode = field("What to do when something in it is deployed.", DeletionMode.ONLY_IF_UNDEPLOYED)


@strawberry.input(description="The wish that all adapters of a pool are deployed.")
class DeployPoolAdaptersInput(RepeatableInput):
    rt_id: OctoObjectId = field("The pool.")
    expected_version: int | None = field("Only if the pool still has this `rtVersion`.", None)


@strawberry.input(description="The wish that no adapter of a pool is deployed.")
class UndeployPoolAdaptersInput(RepeatableInput):
    rt_id: OctoObjectId = field("The pool.")
    expected_version: int | None = field("Only if the pool still has this `rtVersion`.", None)


@strawberry.input(description="A new adapter.")
class CreateAdapterInput(RepeatableInput):
    name: str = field("Its name, 1 to 100 characters, unique among the tenant's adapters without regard to case.")
    description: str | None = field("What people should know about it, up to 2,000 characters.", None)
    type: AdapterType = field("Where it is at home.")
    image_name: str = field("Its container image without a version: `registry.example.com/plant/opcua`.")
    image_version: str = field("The version of the image: a tag or a digest.")
    configuration: Json | None = field("What it is told to do: any JSON up to 64 KiB.", None)
    port: int | None = field("Where it listens, if it does: a Service makes it reachable in its namespace.", None)
    health_path: str | None = field("The HTTP path on that port that tells whether it is well: `/healthz`.", None)
    pool_rt_id: OctoObjectId | None = field("The pool to put it into.", None)


@strawberry.input(description="An edit of an adapter. If it is deployed, a change of what runs is rolled out.")
class EditAdapterInput(RepeatableInput):
    rt_id: OctoObjectId = field("The adapter.")
    expected_version: int | None = field(
        "The `rtVersion` the edit is based on; if the adapter has another by now, the edit is refused.", None
    )
    name: Maybe[str | None] = kept("A new name.")
    description: Maybe[str | None] = field("A new description; null clears it.")
    type: Maybe[AdapterType | None] = kept("Another type.")
    image_name: Maybe[str | None] = kept("Another container image.")
    image_version: Maybe[str | None] = kept("Another version of the image.")
    configuration: Maybe[Json | None] = field("Another configuration, as a whole; null clears it.")
    port: Maybe[int | None] = field("Another port; null: it listens nowhere.")
    health_path: Maybe[str | None] = field("Another path that tells whether it is well; null: none does.")


@strawberry.input(description="The deletion of an adapter that is not deployed.")
class DeleteAdapterInput(RepeatableInput):
    rt_id: OctoObjectId = field("The adapter.")
    expected_version: int | None = field("Delete it only if it still has this `rtVersion`.", None)


@strawberry.input(description="The wish that an adapter is deployed.")
class DeployAdapterInput(RepeatableInput):
    rt_id: OctoObjectId = field("The adapter.")
    expected_version: int | None = field("Only if the adapter still has this `rtVersion`.", None)


@strawberry.input(description="The wish that an adapter is not deployed.")
class UndeployAdapterInput(RepeatableInput):
    rt_id: OctoObjectId = field("The adapter.")
    expected_version: int | None = field("Only if the adapter still has this `rtVersion`.", None)


@strawberry.input(description="The move of an adapter that is not deployed.")
class MoveAdapterInput(RepeatableInput):
    rt_id: OctoObjectId = field("The adapter.")
    pool_rt_id: OctoObjectId | None = field("Where to put it; null or absent: into no pool.", None)
    expected_version: int | None = field("Move it only if it still has this `rtVersion`.", None)


def given(input: Any, *names: str) -> dict[str, Any]:
    """What the client said about these fields; what it did not mention is not in there.

    Raises `Refused` with each null for what can't be cleared.
    """
    mentioned = {name: getattr(input, name) for name in names}
    said = {name: some.value for name, some in mentioned.items() if some is not None}
    marked = [each.name for each in fields(input) if each.metadata.get(NEVER_NULL)]
    nulls = [to_camel_case(name) for name in marked if name in said and said[name] is None]
    Refused.if_any(
        InvalidValue(message=f"'{name}' can't be null. Leave it out to keep it as it is.", path=(name,))
        for name in nulls
    )
    return said


def pool_filter(chosen: PoolFilterInput | None) -> PoolFilter | None:
    """The filter as the store knows it."""
    return PoolFilter(**_values(chosen, PoolFilter)) if chosen else None


def adapter_filter(chosen: AdapterFilterInput | None) -> AdapterFilter | None:
    """The filter as the store knows it."""
    return AdapterFilter(**_values(chosen, AdapterFilter)) if chosen else None


def sorts(order: Sequence[PoolOrderInput] | Sequence[AdapterOrderInput] | None) -> tuple[Sort, ...]:
    """The order as the store knows it."""
    return tuple(Sort(by.field.value, descending=by.direction is OrderDirection.DESC) for by in order or ())


def _values(chosen: EntityFilterInput, of: type[EntityFilter]) -> dict[str, Any]:
    values = {field.name: getattr(chosen, field.name) for field in fields(of)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
