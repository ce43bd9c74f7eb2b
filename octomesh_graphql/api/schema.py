"""The schemas of tenants and of agents, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Self, cast

import strawberry
from graphql import (
    DocumentNode,
    GraphQLArgument,
    GraphQLError,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    get_operation_ast,
)
from graphql import OperationType as CoreOperationType
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext, StreamResult
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from octomesh_graphql.api import agents
from octomesh_graphql.api.admitting import Forbidden
from octomesh_graphql.api.documents import LONG_EVENT, BoundedDocuments, Documents, Queue
from octomesh_graphql.api.errors import NO_DATABASE, CodedErrors, FailureCode, failure
from octomesh_graphql.api.extents import extent_of
from octomesh_graphql.api.mutations import Mutation
from octomesh_graphql.api.problems import CONCRETE
from octomesh_graphql.api.queries import Query
from octomesh_graphql.api.scalars import CONFIG
from octomesh_graphql.api.subscriptions import Subscription
from octomesh_graphql.api.tokens import Unauthenticated
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.limits import DEFAULT, Limits
from octomesh_graphql.store.mongo import MongoUnavailable

SUBFIELDS_KEPT: Final = 512
"""Selections that an operation remembers; documents have at most a few dozen."""


class TookTooLong(Exception):
    """An operation ran for longer than any may, and was given up."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The operation took more than {seconds:g} s and was given up. If it was to change something, look "
            "whether it did before you repeat it; a requestId makes that safe."
        )


class BoundedExecutor(StrawberryGraphQLCoreExecutionContext):
    """An executor that does not grow with the events of its subscription, and takes turns with others to tell them.

    graphql-core 3.3.2 remembers subfields by the identity of a list that is a new one for each event, for as long as
    the subscription lives: about a kilobyte an event. Forgetting them now and then costs nothing one can measure.
    """

    _events_are_long: bool | None = None

    def build_per_event_executor(self, payload: Any) -> Self:
        """As the library does, once it is known how much an event takes."""
        if self._events_are_long is None:
            document = DocumentNode(definitions=(self.operation, *self.fragment_definitions.values()))
            extent = extent_of(self.schema, document, self.variable_values.coerced, None)
            self._events_are_long = extent.cost >= LONG_EVENT
        return cast(Self, super().build_per_event_executor(payload))

    def execute_operation(self, serially: bool | None = None) -> Any:
        """As the library does; a long event, in its turn."""
        return self._in_turn() if self._events_are_long else super().execute_operation(serially)

    async def _in_turn(self) -> Any:
        async with cast(Any, self.schema)._strawberry_schema.telling.turn():
            told = super().execute_operation()
            return await told if self.is_awaitable(told) else told

    def collect_subfields(self, return_type: GraphQLObjectType, field_details_list: FieldDetailsList) -> Any:
        """As the library does, with a bounded memory."""
        if len(self._relevant_sub_fields) > SUBFIELDS_KEPT:
            self._relevant_sub_fields.clear()
        return super().collect_subfields(return_type, field_details_list)


class ServedSchema(strawberry.Schema):
    """A schema as this server serves it. `CodedErrors` codes and logs errors; the library would log whole queries."""

    def __init__(self, limits: Limits, **parts: Any) -> None:
        super().__init__(**parts)
        self.limits = limits
        self.documents = Documents(self._schema, limits)
        self.work = Queue(at_once=8, of_each=4)
        self.long_work = Queue()
        self.telling = Queue()
        for optional in _optional_values(self._schema):
            if optional.default_value is None:
                optional.default_value = Undefined  # absent is absent: nobody needs to read `= null` everywhere

    async def execute(self, *args: Any, **options: Any) -> ExecutionResult:
        """Run a query or mutation. What is watched comes by `stream`, over a WebSocket, and is refused here.

        Raises `TookTooLong`.
        """
        allowed = set(options.get("allowed_operation_types") or OperationType) - {OperationType.SUBSCRIPTION}
        async with _within(self.limits.operation_seconds):
            return await super().execute(*args, **{**options, "allowed_operation_types": allowed})

    async def stream(self, *args: Any, **options: Any) -> StreamResult:
        """Run an operation of a WebSocket, in the tenant as it is now: it may have gone since the socket was opened."""
        try:
            async with _within(self.limits.operation_seconds):
                context = await options["context_value"].context()
                document = await self.documents.read(args[0], context.caller.id)
            watching = _watches(document.node, options.get("operation_name"))
            results = super().stream(*args, **{**options, "context_value": context})
            return await results if watching else await self._only_one(results)
        except GraphQLError as error:
            return _told(_refused(error))
        except Unauthenticated as error:
            return _told(_refused(failure(FailureCode.UNAUTHENTICATED, str(error))))
        except Refused as refused:
            return _told(_refused(failure(FailureCode.TENANT_NOT_FOUND, str(refused))))
        except TookTooLong as error:
            return _told(_refused(failure(FailureCode.TIMEOUT, str(error))))
        except MongoUnavailable:
            return _told(_refused(failure(FailureCode.UNAVAILABLE, NO_DATABASE)))

    async def _only_one(self, results: Awaitable[StreamResult]) -> StreamResult:
        """The one result of a query or mutation. Raises `TookTooLong`."""
        async with _within(self.limits.operation_seconds), aclosing(await results) as one:
            result: Any = await anext(one)
        begun = result.data is not None or any(error.path for error in result.errors or ())
        return _told(result if begun else PreExecutionError(data=None, errors=result.errors))

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: see the class."""


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Raises `TookTooLong`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise TookTooLong(seconds) from error


def _watches(document: DocumentNode, name: str | None) -> bool:
    """Whether the operation that is to be run is a subscription, which may last."""
    operation = get_operation_ast(document, name)
    return operation is not None and operation.operation is CoreOperationType.SUBSCRIPTION


def _refused(error: GraphQLError) -> PreExecutionError:
    """An operation that was not even begun, or given up."""
    return PreExecutionError(data=None, errors=[error])


async def _told(result: Any) -> AsyncGenerator[Any, None]:
    """A stream of one result."""
    yield result


def _optional_values(schema: GraphQLSchema) -> Iterator[GraphQLArgument | GraphQLInputField]:
    """Every argument and every field of an input."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            yield from kind.fields.values()
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not kind.name.startswith("__"):
            for field in kind.fields.values():
                yield from field.args.values()


def build_agents_schema(limits: Limits = DEFAULT) -> ServedSchema:
    """The schema of `/agents/graphql`."""
    return ServedSchema(
        limits,
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


def build_schema(limits: Limits = DEFAULT) -> ServedSchema:
    """The schema of `/tenants/{tenantId}/graphql`."""
    return ServedSchema(
        limits,
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=CONCRETE,
        config=CONFIG,
        execution_context_class=BoundedExecutor,
        extensions=[CodedErrors, BoundedDocuments, Permitted],
    )
