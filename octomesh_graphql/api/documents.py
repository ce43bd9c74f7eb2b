"""How much one document may ask for, decided before it is validated and long before it runs.

The walk below visits each field and each fragment once, however often fragments are spread, so that it can't be
attacked itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    IntValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    ValueNode,
    VariableNode,
    Visitor,
    get_named_type,
    get_nullable_type,
    get_operation_ast,
    is_list_type,
    parse,
    type_from_ast,
    visit,
)
from graphql.error import GraphQLSyntaxError
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType

from octomesh_graphql.api.errors import MESSAGE_CHARACTERS, FailureCode, failure, invalid
from octomesh_graphql.limits import Limits
from octomesh_graphql.store.mongo import patience
from octomesh_graphql.store.paging import DEFAULT_ROWS, MAX_ROWS

ERRORS: Final = 10
"""Problems of a refused mutation that are reckoned with; there is one for each wrong field or adapter."""

SCHEMA_ROWS: Final = 5
"""Rows that lists are reckoned with where the schema is asked about itself. With it GraphiQL's question counts as long
work, and fits; what nests deeper is bounded by graphql-core, and what is asked several times by aliases."""

WEIGHTS: Final = {"configuration": 50}
"""Fields that weigh more than others: a configuration may have 64 KiB."""

COUNTED_BY_THEIR_CONNECTION: Final = frozenset({"edges", "nodes", "items"})

LONG: Final = 5_000
"""Cost from which on an operation is long work: a tenth of a second without a pause, when ten at once would be one."""

DOCUMENTS_KEPT: Final = 256
"""Parsed and validated documents kept in memory: more than the distinct ones that real clients send."""

CHARACTERS_KEPT: Final = 4_000
"""Longest document that is kept: twice the introspection query. Parsed, it takes some fifty times its length."""

_INTROSPECTION: Final = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}
_TOO_MUCH: Final = 10**10  # where counting stops, so that numbers stay small however deep lists nest


class BoundedDocuments(SchemaExtension):
    """Parses within bounds, refuses what asks for too much, and validates; the work of known documents is kept."""

    _extent: Extent

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query:
            context.graphql_document = parsed(context.query, limits_of(context))
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        document = context.graphql_document
        if document is not None:
            schema: GraphQLSchema = context.schema._schema
            named = context._provided_operation_name
            rules = context.validation_rules
            validated = _kept(_validated, context.query)
            self._extent = extent_of(schema, document, context.variables or {}, named)
            refused = refusal(document, self._extent, limits_of(context)) or _ambiguity(document, named)
            try:
                context.pre_execution_errors = [refused] if refused else validated(schema, document, rules)
            except ValueError:  # Python reads no number of more than 4,300 digits
                digits = failure(FailureCode.BAD_USER_INPUT, "A number in the document has too many digits.")
                context.pre_execution_errors = [digits]
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        """Long work is done one after the other, so that in between there is time for all the short. No work waits for
        the database without end; subscriptions, which last, begin at once."""
        run = self.execution_context
        if run.operation_type is OperationType.SUBSCRIPTION:
            yield
            return
        async with nullcontext() if self._extent.cost < LONG else cast(Any, run.schema).long_work:
            with patience():
                yield


def limits_of(run: ExecutionContext) -> Limits:
    """What the schema was built with."""
    return cast(Limits, cast(Any, run.schema).limits)


def parsed(source: str, limits: Limits) -> DocumentNode:
    """The document, parsed within bounds. Raises GraphQLError with a code when it is none."""
    try:
        document: DocumentNode = _kept(_parsed, source)(
            source,
            max_lexical_tokens=limits.tokens,
            max_comments=limits.comments,
            max_source_length=limits.source_characters,
        )
    except GraphQLSyntaxError as error:
        raise failure(FailureCode.GRAPHQL_PARSE_FAILED, error.message[:MESSAGE_CHARACTERS]) from error
    except (TypeError, ValueError) as error:
        raise failure(FailureCode.GRAPHQL_PARSE_FAILED, "The document is no text that can be read.") from error
    return document


def _ambiguity(document: DocumentNode, named: str | None) -> GraphQLError | None:
    """Why it is not clear which operation is meant, if it is not."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if named or len(operations) < 2:
        return None
    return failure(
        FailureCode.BAD_REQUEST, f"The document has {len(operations)} operations; say by 'operationName' which to run."
    )


@lru_cache(maxsize=DOCUMENTS_KEPT)
def _parsed(source: str, **bounds: Any) -> DocumentNode:
    return parse(source, **bounds)


@lru_cache(maxsize=DOCUMENTS_KEPT)
def _validated(schema: GraphQLSchema, document: DocumentNode, rules: Any) -> list[GraphQLError]:
    return [invalid(error) for error in validate_document(schema, document, rules)]


def _kept(work: Any, source: str | None) -> Any:
    """The work as it remembers, or, for a long document, as it does not."""
    return work if len(source or "") <= CHARACTERS_KEPT else work.__wrapped__


@dataclass(frozen=True)
class Extent:
    """How much a part of a document asks for."""

    depth: int = 0
    cost: int = 0

    def beside(self, other: Extent) -> Extent:
        """Both, next to each other."""
        return Extent(max(self.depth, other.depth), min(self.cost + other.cost, _TOO_MUCH))


def extent_of(
    schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any], named: str | None = None
) -> Extent:
    """What the operation `named`, or the only one, asks for."""
    operation = get_operation_ast(document, named)
    return _Walk(schema, document, variables).operation(operation) if operation else Extent()


def refusal(document: DocumentNode, extent: Extent, limits: Limits) -> GraphQLError | None:
    """Why this document, of which an operation of that extent is to be run, asks for too much, if it does."""
    written = _kept(_written, document.loc.source.body if document.loc else None)(document)
    bounds = (
        ("holds", written["operations"], limits.operations, "operations"),
        ("holds", written["fragments"], limits.fragments, "fragments"),
        ("holds", written["variables"], limits.variables, "variables"),
        ("holds", written["directives"], limits.directives, "directives"),
        ("holds", written["aliases"], limits.aliases, "aliases"),
        ("holds", written["introspection"], limits.introspection_aliases, "aliases in questions about the schema"),
        ("repeats fields, which makes", written["pairs"], limits.pairs, "pairs of the same one"),
        ("holds", written["fields"], limits.fields, "fields"),
        ("nests fields", extent.depth, limits.depth, "levels deep"),
        ("could answer with", extent.cost, limits.cost, "values"),
    )
    for verb, amount, limit, unit in bounds:
        if amount > limit:
            return failure(
                FailureCode.QUERY_TOO_COMPLEX,
                f"The document {verb} {amount:,} {unit}; at most {limit:,} are allowed. Ask for less at once, with a "
                "smaller 'first' for instance.",
            )
    return None


@lru_cache(maxsize=DOCUMENTS_KEPT)
def _written(document: DocumentNode) -> Counter[str]:
    """What is written down how often."""
    count = _Count()
    visit(document, count)
    return count.amounts


class _Count(Visitor):
    """Counts what is written, without following anything.

    Fields of one place and name are one in the answer. Validation compares each two of them, so pairs are counted. All
    fragments of a type are taken for one place, because they may be spread in one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.amounts = Counter[str]()
        self._places: dict[tuple[int, str], int] = {}
        self._met = Counter[int]()
        self._within: list[tuple[int, bool]] = []
        """The place that the walk is in, those around it, and whether the schema is asked about itself there."""

    def enter_operation_definition(self, *_: Any) -> None:
        self.amounts["operations"] += 1
        self._within = [(self._place(0, f"operation {self.amounts['operations']}"), False)]

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: Any) -> None:
        self.amounts["fragments"] += 1
        of = node.type_condition.name.value
        self._within = [(self._place(0, of), of.startswith("__"))]

    def enter_variable_definition(self, *_: Any) -> None:
        self.amounts["variables"] += 1

    def enter_directive(self, *_: Any) -> None:
        self.amounts["directives"] += 1

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        around, introspective = self._within[-1]
        introspective = introspective or node.name.value in _INTROSPECTION
        here = self._place(around, (node.alias or node.name).value)
        self.amounts["fields"] += 1
        self.amounts["aliases"] += node.alias is not None
        self.amounts["introspection"] += introspective and node.alias is not None
        self.amounts["pairs"] += self._met[here]
        self._met[here] += 1
        self._within.append((here, introspective))

    def leave_field(self, *_: Any) -> None:
        self._within.pop()

    def _place(self, around: int, name: str) -> int:
        return self._places.setdefault((around, name), len(self._places) + 1)


class _Walk:
    """One walk over an operation. A fragment is measured when it is first met; one that contains itself counts once."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._given = variables
        self._variables: Mapping[str, Any] = variables
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._measured: dict[str, Extent] = {}

    def operation(self, node: OperationDefinitionNode) -> Extent:
        """The extent of an operation."""
        defaults = {
            definition.variable.name.value: _small(definition.default_value)
            for definition in node.variable_definitions or ()
            if isinstance(definition.default_value, IntValueNode)
        }
        self._variables = {**defaults, **self._given}
        return self._selections(node.selection_set, self._schema.get_root_type(node.operation))

    def _selections(self, node: SelectionSetNode | None, parent: GraphQLNamedType | None) -> Extent:
        extent = Extent()
        for selection in node.selections if node else ():
            match selection:
                case FieldNode():
                    extent = extent.beside(self._field(selection, parent))
                case InlineFragmentNode():
                    narrowed = selection.type_condition
                    within = type_from_ast(self._schema, narrowed) if narrowed else parent
                    extent = extent.beside(self._selections(selection.selection_set, within))
                case FragmentSpreadNode():
                    extent = extent.beside(self._fragment(selection.name.value))
        return extent

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Extent:
        known = isinstance(parent, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType)
        declared = getattr(parent, "fields", {}).get(node.name.value) if known else None
        declared = declared or _INTROSPECTION.get(node.name.value)
        kind = get_named_type(declared.type) if declared else None
        below = self._selections(node.selection_set, kind)
        rows = self._rows(node, declared.type, kind) if declared and kind else 1
        return Extent(below.depth + 1, min(WEIGHTS.get(node.name.value, 1) + rows * below.cost, _TOO_MUCH))

    def _fragment(self, name: str) -> Extent:
        if name not in self._measured and name in self._fragments:
            self._measured[name] = Extent()
            node = self._fragments[name]
            within = type_from_ast(self._schema, node.type_condition)
            self._measured[name] = self._selections(node.selection_set, within)
        return self._measured.get(name, Extent())

    def _rows(self, node: FieldNode, declared: GraphQLOutputType, kind: GraphQLNamedType) -> int:
        """How often what is below a field may be answered."""
        if kind.name.endswith("Connection"):
            return self._page(node)
        if not is_list_type(get_nullable_type(declared)) or node.name.value in COUNTED_BY_THEIR_CONNECTION:
            return 1
        if kind.name.startswith("__"):
            return SCHEMA_ROWS
        return ERRORS if node.name.value == "errors" else MAX_ROWS

    def _page(self, node: FieldNode) -> int:
        """How many rows a page may have, by its `first` or `last`; whatever is not a plain number may be the most."""
        asked = DEFAULT_ROWS
        for argument in node.arguments or ():
            if argument.name.value in ("first", "last"):
                asked = self._number(argument.value)
        return min(max(asked, 1), MAX_ROWS)

    def _number(self, value: ValueNode) -> int:
        if isinstance(value, IntValueNode):
            return _small(value)
        if isinstance(value, NullValueNode):
            return DEFAULT_ROWS
        rows = self._variables.get(value.name.value, DEFAULT_ROWS) if isinstance(value, VariableNode) else MAX_ROWS
        if rows is None:
            return DEFAULT_ROWS
        return rows if isinstance(rows, int) else MAX_ROWS


def _small(value: IntValueNode) -> int:
    """The number, or one that is too large as well: nobody computes with thousands of digits here."""
    return int(value.value[:6])
