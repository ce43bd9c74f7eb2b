"""What clients see of failures: a code from a closed list, a message for people, and for our own faults a reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import structlog
from graphql import ExecutionResult as CoreResult
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult

from octomesh_graphql.actions.watching import InvalidCursor
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.domain.session import AgentRefused
from octomesh_graphql.domain.states import DescribedEnum
from octomesh_graphql.store.mongo import MongoUnavailable
from octomesh_graphql.store.paging import InvalidPage

log = structlog.get_logger()


class FailureCode(DescribedEnum):
    """The `extensions.code` of a GraphQL error: everything that is not an expected refusal."""

    BAD_REQUEST = "BAD_REQUEST", "What was sent is no GraphQL request, or not one that is clear."
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED", "The HTTP method does not fit the operation."
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE", "The client understands no answer that can be given."
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE", "The body is not JSON in UTF-8, or is compressed."
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE", "The body is too large."
    URI_TOO_LONG = "URI_TOO_LONG", "The query string is too long."
    TIMEOUT = "TIMEOUT", "The request, or what it asked for, took too long and was given up."
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED", "The document is not GraphQL."
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED", "The document does not fit the schema."
    BAD_USER_INPUT = "BAD_USER_INPUT", "An argument or variable has a value that can't be used."
    UNAUTHENTICATED = "UNAUTHENTICATED", "The server does not know who asks."
    FORBIDDEN = "FORBIDDEN", "Who asks may not do that."
    TENANT_NOT_FOUND = "TENANT_NOT_FOUND", "There is no such tenant, or not for who asks."
    RATE_LIMITED = "RATE_LIMITED", "Too much at once; try again later."
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX", "The document asks for too much; ask in smaller parts."
    STALE_SESSION = "STALE_SESSION", "The agent's session has ended, or is none; it has to register anew."
    POOL_SERVED_BY_ANOTHER = "POOL_SERVED_BY_ANOTHER", "Another live operator serves the pool."
    POOL_NOT_CLAIMED = "POOL_NOT_CLAIMED", "The operator has not claimed the pool in this session."
    NOT_FOUND = "NOT_FOUND", "What an agent speaks of is not there, or is gone."
    UNAVAILABLE = (
        "UNAVAILABLE",
        "The database does not answer, memory is short, or too much is asked; try again in a moment.",
    )
    INTERNAL = "INTERNAL", "A fault of the server; the `requestId` leads to it in the log."


ERRORS_TOLD: Final = 20
"""Errors in one answer: whoever made more mistakes sees the rest after mending these."""

MESSAGE_CHARACTERS: Final = 300
"""Longest message that quotes a client's own document."""

NO_DATABASE: Final = "The database does not answer. Try again in a moment."
BUSY: Final = "Too much is asked of the server. Try again in a moment."
NO_MEMORY: Final = "The server has no memory left for that. Ask for less, or try again in a moment."


def failure(code: FailureCode, message: str, **extensions: Any) -> GraphQLError:
    """An error with a code."""
    return GraphQLError(message, extensions={"code": code.value, **extensions})


class CodedErrors(SchemaExtension):
    """Gives every error a code and masks what is our own fault, in plain results and in those of subscriptions."""

    def on_operation(self) -> Iterator[None]:
        self._streamed = False
        yield
        result = self.execution_context.result
        if not self._streamed and isinstance(result, CoreResult | ExecutionResult):
            self._code(result)

    def on_stream_result(self, result: Any) -> Iterator[None]:
        self._streamed = True
        self._code(result)
        yield

    def _code(self, result: Any) -> None:
        if result.errors:
            request_id = self.execution_context.context.request_id
            result.errors = [coded(error, request_id) for error in result.errors[:ERRORS_TOLD]]


def coded(error: GraphQLError, request_id: str) -> GraphQLError:
    """The error as clients see it."""
    if error.extensions and error.extensions.get("code") in FailureCode.__members__:
        return error
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error:
        cause = cause.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return _like(error, error.message[:MESSAGE_CHARACTERS], FailureCode.BAD_USER_INPUT)  # a variable, most likely
    return _resolved(error, cause, request_id)


def invalid(error: GraphQLError) -> GraphQLError:
    """An error of validation, with its code."""
    return _like(error, error.message[:MESSAGE_CHARACTERS], FailureCode.GRAPHQL_VALIDATION_FAILED)


def _resolved(error: GraphQLError, cause: Exception, request_id: str) -> GraphQLError:
    """An error that a resolver raised."""
    match cause:
        case CannotGetOperationTypeError():
            return _like(error, error.message[:MESSAGE_CHARACTERS], FailureCode.BAD_REQUEST)
        case InvalidPage():
            return _like(error, str(cause), FailureCode.BAD_USER_INPUT, argument=cause.argument)
        case InvalidCursor():
            return _like(error, str(cause), FailureCode.BAD_USER_INPUT, argument="after")
        case ValueError() if "integer string conversion" in str(cause):
            return _like(error, "A number has too many digits.", FailureCode.BAD_USER_INPUT)
        case AgentRefused():
            return _like(error, str(cause), FailureCode[cause.code.name])
        case Refused():
            return _like(error, str(cause), FailureCode.BAD_USER_INPUT)
        case MongoUnavailable():
            log.warning("database unavailable", reason=str(cause))
            return _like(error, NO_DATABASE, FailureCode.UNAVAILABLE)
        case MemoryError():
            log.warning("no memory left", path=error.path)
            return _like(error, NO_MEMORY, FailureCode.UNAVAILABLE)
        case _:
            log.error("operation failed", path=error.path, exc_info=cause)
            return _like(error, "Something went wrong on the server.", FailureCode.INTERNAL, requestId=request_id)


def _like(error: GraphQLError, message: str, code: FailureCode, **extensions: Any) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": code.value, **extensions},
    )
