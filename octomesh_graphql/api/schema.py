"""The tenant's schema, put together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import strawberry
from graphql import (
    GraphQLArgument,
    GraphQLError,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
)
from strawberry.types import ExecutionContext

from octomesh_graphql.api.errors import CodedErrors
from octomesh_graphql.api.limits import BoundedDocuments
from octomesh_graphql.api.mutations import Mutation
from octomesh_graphql.api.problems import CONCRETE
from octomesh_graphql.api.queries import Query
from octomesh_graphql.api.scalars import CONFIG
from octomesh_graphql.api.subscriptions import Subscription


class TenantSchema(strawberry.Schema):
    """Errors are coded and logged by `CodedErrors`; the library would log whole queries."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        for optional in _optional_values(self._schema):
            if optional.default_value is None:
                optional.default_value = Undefined  # absent is absent: nobody needs to read `= null` everywhere

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: see the class."""


def _optional_values(schema: GraphQLSchema) -> Iterator[GraphQLArgument | GraphQLInputField]:
    """Every argument and every field of an input."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            yield from kind.fields.values()
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not kind.name.startswith("__"):
            for field in kind.fields.values():
                yield from field.args.values()


def build_schema() -> TenantSchema:
    """The schema of `/tenants/{tenantId}/graphql`."""
    return TenantSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=CONCRETE,
        config=CONFIG,
        extensions=[CodedErrors, BoundedDocuments],
    )
