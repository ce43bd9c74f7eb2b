"""Documents as clients send them: parsed within bounds, refused when they ask for too much, validated, and run in turn.

What one client asks for may keep a processor busy, but never keeps it from the others: whatever takes long without a
pause is done one after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast
from weakref import WeakValueDictionary

from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, parse
from graphql.error import GraphQLSyntaxError
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document
from strawberry.types import ExecutionContext

from octomesh_graphql.api.errors import BUSY, MESSAGE_CHARACTERS, FailureCode, failure, invalid
from octomesh_graphql.api.extents import Extent, extent_of, refusal, written_in
from octomesh_graphql.limits import Limits
from octomesh_graphql.store.mongo import patience

LONG: Final = 5_000
"""Cost from which on an operation is long work: a tenth of a second without a pause, when ten at once would be one."""

WORK: Final = 500
"""Cost from which on an operation is work: ten milliseconds without a pause, when a hundred at once would be one."""

LONG_EVENT: Final = 500
"""The same for an event, which many subscriptions may be told at once."""

TURN_SECONDS: Final = 8.0
"""How long work waits for its turn. What is left of the time of an operation is for the database, so that no answer
takes longer when many wait."""

DOCUMENTS_KEPT: Final = 256
"""Parsed and validated documents kept in memory: more than the distinct ones that real clients send."""

CHARACTERS_KEPT: Final = 4_000
"""Longest document that is kept: twice the introspection query. Parsed, it takes some fifty times its length."""


@dataclass
class Document:
    """A document that was sent."""

    node: DocumentNode
    written: Mapping[str, int]
    """What it holds how often."""
    errors: list[GraphQLError] | None = None
    """Of validation, once that was done."""


class Queue:
    """Turns at work that keeps the processor: so many at once, and so many of each sender, in a line of their own. Who
    sends hundreds waits for them alone."""

    def __init__(self, at_once: int = 1, of_each: int = 1) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._of_each = of_each
        self._lines = WeakValueDictionary[str, asyncio.Semaphore]()

    @asynccontextmanager
    async def turn(self, sender: str = "") -> AsyncIterator[None]:
        """Wait for a turn, which is the block's."""
        own = self._lines.setdefault(sender, asyncio.Semaphore(self._of_each))
        async with own, self._free:
            await asyncio.sleep(0)  # or all would have their turns before anybody else
            yield


class Documents:
    """The documents that a schema is sent. Those of late are known; others are read one after the other."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._queue = Queue()

    async def read(self, source: str, sender: str = "") -> Document:
        """The document that this sender sent, parsed. Raises GraphQLError with a code when it is none."""
        if source not in self._known:
            async with self._queue.turn(sender):
                return self._known.get(source) or self._newly_read(source)
        self._known.move_to_end(source)
        return self._known[source]

    def _newly_read(self, source: str) -> Document:
        node = parsed(source, self._limits)
        document = Document(node, written_in(node))
        if len(source) <= CHARACTERS_KEPT:
            self._known[source] = document
            if len(self._known) > DOCUMENTS_KEPT:
                self._known.popitem(last=False)
        return document

    async def validated(self, document: Document, rules: Any, sender: str = "") -> list[GraphQLError]:
        """What of it does not fit the schema."""
        if document.errors is None:
            async with self._queue.turn(sender):
                if document.errors is None:
                    document.errors = self._errors(document.node, rules)
        return document.errors

    def _errors(self, node: DocumentNode, rules: Any) -> list[GraphQLError]:
        try:
            return [invalid(error) for error in validate_document(self._schema, node, rules)]
        except ValueError:  # Python reads no number of more than 4,300 digits
            return [failure(FailureCode.BAD_USER_INPUT, "A number in the document has too many digits.")]


def parsed(source: str, limits: Limits) -> DocumentNode:
    """A document, parsed within bounds. Raises GraphQLError with a code when it is none."""
    try:
        return parse(
            source,
            max_lexical_tokens=limits.tokens,
            max_comments=limits.comments,
            max_source_length=limits.source_characters,
        )
    except GraphQLSyntaxError as error:
        raise failure(FailureCode.GRAPHQL_PARSE_FAILED, error.message[:MESSAGE_CHARACTERS]) from error
    except (TypeError, ValueError) as error:
        raise failure(FailureCode.GRAPHQL_PARSE_FAILED, "The document is no text that can be read.") from error


class BoundedDocuments(SchemaExtension):
    """Reads documents, refuses those that ask for too much, and has long work wait for its turn."""

    _document: Document
    _extent: Extent

    async def on_parse(self) -> AsyncIterator[None]:
        run = self.execution_context
        if run.query:
            self._document = await _served(run).documents.read(run.query, run.context.caller.id)
            if unclear := _unclear(self._document.node, run._provided_operation_name):
                raise unclear
            run.graphql_document = self._document.node
        yield

    async def on_validate(self) -> AsyncIterator[None]:
        run = self.execution_context
        if run.graphql_document is not None:
            run.pre_execution_errors = await self._errors()
        yield

    async def _errors(self) -> list[GraphQLError]:
        """Why it is not run, if it is not."""
        run, schema, node = self.execution_context, _served(self.execution_context), self._document.node
        self._extent = extent_of(schema._schema, node, run.variables or {}, run._provided_operation_name)
        if refused := refusal(self._document.written, self._extent, schema.limits):
            return [refused]
        documents: Documents = schema.documents
        return await documents.validated(self._document, run.validation_rules, run.context.caller.id)

    async def on_execute(self) -> AsyncIterator[None]:
        """No work waits for others, or for the database, without end; subscriptions, which last, wait only for each of
        their events."""
        async with AsyncExitStack() as stack:
            if not self._extent.watched:
                began = time.monotonic()
                await self._wait_for_a_turn(stack)
                stack.enter_context(patience(time.monotonic() - began))
            yield

    async def _wait_for_a_turn(self, stack: AsyncExitStack) -> None:
        """The stack ends it. Raises GraphQLError when others take too long."""
        run, cost = self.execution_context, self._extent.cost
        if cost < WORK:
            return
        queue: Queue = _served(run).long_work if cost >= LONG else _served(run).work
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await stack.enter_async_context(queue.turn(run.context.caller.id))
        except TimeoutError as error:
            raise failure(FailureCode.UNAVAILABLE, BUSY) from error


def _served(run: ExecutionContext) -> Any:
    """The `ServedSchema` that is asked."""
    return cast(Any, run.schema)


def _unclear(document: DocumentNode, named: str | None) -> GraphQLError | None:
    """Why it is not clear which operation is meant, if it is not."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if not operations:
        why = "The document has no operation."
    elif named and not any(node.name and node.name.value == named for node in operations):
        why = f"The document has no operation named '{named}'."
    elif not named and len(operations) > 1:
        why = f"The document has {len(operations)} operations; say by 'operationName' which to run."
    else:
        return None
    return failure(FailureCode.BAD_REQUEST, why[:MESSAGE_CHARACTERS])
