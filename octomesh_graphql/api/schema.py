"""The schemas of tenants and of agents, put together."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any, Final

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
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext, StreamResult
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from octomesh_graphql.api import agents
from octomesh_graphql.api.admitting import Forbidden
from octomesh_graphql.api.errors import CodedErrors, FailureCode, failure
from octomesh_graphql.api.limits import BoundedDocuments, parsed
from octomesh_graphql.api.mutations import Mutation
from octomesh_graphql.api.problems import CONCRETE
from octomesh_graphql.api.queries import Query
from octomesh_graphql.api.scalars import CONFIG
from octomesh_graphql.api.subscriptions import Subscription
from octomesh_graphql.api.tokens import Unauthenticated
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.store.mongo import MongoUnavailable

SUBFIELDS_KEPT: Final = 512
"""Selections that an operation remembers; documents have at most a few dozen."""


class BoundedExecutor(StrawberryGraphQLCoreExecutionContext):
    """An executor that does not grow with the events of its subscription.

    graphql-core 3.3.2 remembers subfields by the identity of a list that is a new one for each event, for as long as
    the subscription lives: about a kilobyte an event. Forgetting them now and then costs nothing one can measure.
    """

    def collect_subfields(self, return_type: GraphQLObjectType, field_details_list: FieldDetailsList) -> Any:
        """As the library does, with a bounded memory."""
        if len(self._relevant_sub_fields) > SUBFIELDS_KEPT:
            self._relevant_sub_fields.clear()
        return super().collect_subfields(return_type, field_details_list)


class ServedSchema(strawberry.Schema):
    """A schema as this server serves it. `CodedErrors` codes and logs errors; the library would log whole queries."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        for optional in _optional_values(self._schema):
            if optional.default_value is None:
                optional.default_value = Undefined  # absent is absent: nobody needs to read `= null` everywhere

    async def execute(self, *args: Any, **options: Any) -> ExecutionResult:
        """Run a query or mutation. What is watched comes by `stream`, over a WebSocket, and is refused here."""
        allowed = set(options.get("allowed_operation_types") or OperationType) - {OperationType.SUBSCRIPTION}
        return await super().execute(*args, **{**options, "allowed_operation_types": allowed})

    async def stream(self, *args: Any, **options: Any) -> StreamResult:
        """Run an operation of a WebSocket, in the tenant as it is now: it may have gone since the socket was opened."""
        try:
            parsed(args[0])
            context = await options["context_value"].context()
        except GraphQLError as error:
            return _refused(error)
        except Unauthenticated as error:
            return _refused(failure(FailureCode.UNAUTHENTICATED, str(error)))
        except Refused as refused:
            return _refused(failure(FailureCode.TENANT_NOT_FOUND, str(refused)))
        except MongoUnavailable:
            return _refused(failure(FailureCode.UNAVAILABLE, "The database does not answer. Try again in a moment."))
        return await super().stream(*args, **{**options, "context_value": context})

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: see the class."""


async def _refused(error: GraphQLError) -> AsyncGenerator[PreExecutionError, None]:
    """An operation that was not even begun."""
    yield PreExecutionError(data=None, errors=[error])


def _optional_values(schema: GraphQLSchema) -> Iterator[GraphQLArgument | GraphQLInputField]:
    """Every argument and every field of an input."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            yield from kind.fields.values()
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not kind.name.startswith("__"):
            for field in kind.fields.values():
                yield from field.args.values()


def build_agents_schema() -> ServedSchema:
    """The schema of `/agents/graphql`."""
    return ServedSchema(
        query=agents.Query,
        mutation=agents.Mutation,
        subscription=agents.Subscription,
        config=CONFIG,
        execution_context_class=BoundedExecutor,
        extensions=[CodedErrors, BoundedDocuments],
    )


class Permitted(SchemaExtension):
    """Who may only read changes nothing, by whatever mutation."""

    def on_validate(self) -> Iterator[None]:
        run = self.execution_context
        if not run.pre_execution_errors and run.operation_type is OperationType.MUTATION:
            try:
                run.context.gate.edit(run.context.caller)
            except Forbidden as error:
                run.pre_execution_errors = [failure(FailureCode.FORBIDDEN, str(error))]
        yield


def build_schema() -> ServedSchema:
    """The schema of `/tenants/{tenantId}/graphql`."""
    return ServedSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=CONCRETE,
        config=CONFIG,
        execution_context_class=BoundedExecutor,
        extensions=[CodedErrors, BoundedDocuments, Permitted],
    )
