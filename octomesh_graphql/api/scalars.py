"""The scalars of the API and the enums of the domain, as GraphQL has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NewType, TypeVar

import strawberry
from graphql import (
    EnumValueNode,
    GraphQLError,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    value_from_ast_untyped,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

from octomesh_graphql.actions.arranging import DeletionMode
from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.change import ChangeKind
from octomesh_graphql.domain.entity import RT_ID
from octomesh_graphql.domain.problem import ErrorCode
from octomesh_graphql.domain.states import (
    AdapterType,
    CommunicationState,
    ConfigurationState,
    DeploymentState,
    DescribedEnum,
    HealthLevel,
)
from octomesh_graphql.domain.transition import Aspect
from octomesh_graphql.store.selecting import AdapterOrderField, PoolOrderField

E = TypeVar("E", bound=DescribedEnum)

OctoObjectId = NewType("OctoObjectId", str)
DateTime = NewType("DateTime", datetime)
Json = NewType("Json", object)


def _rt_id(value: Any) -> str:
    if isinstance(value, str) and RT_ID.fullmatch(value):
        return value
    raise GraphQLError(
        f"'{str(value)[:40]}' is not an OctoObjectId: it has 24 digits from 0-9 and a-f.",
        extensions={"code": "BAD_USER_INPUT"},
    )


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parsed_time(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise GraphQLError(
            f"'{str(value)[:40]}' is not a time: it looks like 2026-11-23T08:15:00.000Z.",
            extensions={"code": "BAD_USER_INPUT"},
        ) from error


def _same(value: Any) -> Any:
    return value


def _json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    """The JSON that is written in a document. A variable without a value is absent from an object and null in a list,
    as everywhere in GraphQL; graphql-core 3.3.2 leaves its own `Undefined` there.
    """
    match node:
        case EnumValueNode():
            raise GraphQLError(f"JSON has no enum values. If {node.value[:40]} is meant as text, quote it.", node)
        case ListValueNode():
            items = [_json_literal(item, variables) for item in node.values]
            return [None if item is Undefined else item for item in items]
        case ObjectValueNode():
            members = {member.name.value: _json_literal(member.value, variables) for member in node.fields}
            return {name: value for name, value in members.items() if value is not Undefined}
        case VariableNode():
            return (variables or {}).get(node.name.value, Undefined)
        case _:
            return value_from_ast_untyped(node)


SCALARS: dict[object, ScalarDefinition] = {
    OctoObjectId: strawberry.scalar(
        name="OctoObjectId",
        description="The identifier of a runtime entity inside its tenant: 24 lower-case hexadecimal digits.",
        serialize=str,
        parse_value=_rt_id,
    ),
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment in UTC with milliseconds, as in ISO 8601: `2026-11-23T08:15:00.000Z`.",
        serialize=_time,
        parse_value=_parsed_time,
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON value; kept as it is and never interpreted.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=_same,
        parse_value=_same,
        parse_literal=_json_literal,
    ),
}


def _enum(of: type[E], name: str | None = None) -> type[E]:
    """The enum as GraphQL has it: each member with the sentence it carries."""
    strawberry.enum(of, name=name, description=(of.__doc__ or "").strip())
    definition: Any = of.__strawberry_definition__  # type: ignore[attr-defined]
    for value, member in zip(definition.values, of, strict=True):
        value.description = member.description
    return of


_enum(CommunicationState)
_enum(ConfigurationState)
_enum(DeploymentState)
_enum(AdapterType)
_enum(HealthLevel)
_enum(ErrorCode)
_enum(ChangeKind)
_enum(DeletionMode)
_enum(Phase)
_enum(Aspect, name="TransitionAspect")
_enum(PoolOrderField)
_enum(AdapterOrderField)

CONFIG = StrawberryConfig(scalar_map=SCALARS)
