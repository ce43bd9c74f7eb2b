"""Documents as clients send them: parsed within bounds, refused when they ask for too much, validated, and run in turn.

What one client asks for may keep a processor busy, but never keeps it from the others: whatever takes long without a
pause is done one after the other.
"""

from __future__ import annotations

import asyncio
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

from octomesh_graphql.api.errors import MESSAGE_CHARACTERS, FailureCode, failure, invalid
from octomesh_graphql.api.extents import Extent, extent_of, refusal, written_in
from octomesh_graphql.limits import Limits
from octomesh_graphql.store.mongo import patience

LONG: Final = 5_000
"""Cost from which on an operation is long work: a tenth of a second without a pause, when ten at once would be one."""

LONG_EVENT: Final = 500
"""The same for an event, which many subscriptions may be told at once."""

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


class Documents:
    """The documents that a schema is sent. Those of late are known; others are read one after the other, with a line
    for each sender: who sends hundreds waits for them alone."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._line = asyncio.Lock()
        self._lines = WeakValueDictionary[str, asyncio.Lock]()

    async def read(self, source: str, sender: str = "") -> Document:
        """The document that this sender sent, parsed. Raises GraphQLError with a code when it is none."""
        if source not in self._known:
            async with self._turn_of(sender):
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
            async with self._turn_of(sender):
                if document.errors is None:
                    document.errors = self._errors(document.node, rules)
        return document.errors

    @asynccontextmanager
    async def _turn_of(self, sender: str) -> AsyncIterator[None]:
        own = self._lines.setdefault(sender, asyncio.Lock())
        async with own, self._line:
            await asyncio.sleep(0)  # or all would have their turns before anybody else
            yield

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
        named = run._provided_operation_name
        self._extent = extent_of(schema._schema, node, run.variables or {}, named)
        refused = refusal(self._document.written, self._extent, schema.limits)
        if refused := refused or _ambiguity(node, named):
            return [refused]
        documents: Documents = schema.documents
        return await documents.validated(self._document, run.validation_rules, run.context.caller.id)

    async def on_execute(self) -> AsyncIterator[None]:
        """No work waits for the database without end; subscriptions, which last, wait only for each of their events."""
        run = self.execution_context
        async with AsyncExitStack() as stack:
            if not self._extent.watched:
                if self._extent.cost >= LONG:
                    await stack.enter_async_context(_served(run).long_work)
                stack.enter_context(patience())
            yield


def _served(run: ExecutionContext) -> Any:
    """The `ServedSchema` that is asked."""
    return cast(Any, run.schema)


def _ambiguity(document: DocumentNode, named: str | None) -> GraphQLError | None:
    """Why it is not clear which operation is meant, if it is not."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if named or len(operations) < 2:
        return None
    return failure(
        FailureCode.BAD_REQUEST, f"The document has {len(operations)} operations; say by 'operationName' which to run."
    )
