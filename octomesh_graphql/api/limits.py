"""How much one document may ask for, decided before it is validated and long before it runs.

Every number is the default for everybody. The walk below visits each field and each fragment once, however often
fragments are spread, so that it can't be attacked itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

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
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    parse,
    type_from_ast,
)
from graphql.error import GraphQLSyntaxError
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

from octomesh_graphql.api.errors import FailureCode, failure, invalid
from octomesh_graphql.store.paging import DEFAULT_ROWS, MAX_ROWS

TOKENS: Final = 2_000
"""Words and brackets of a document; the introspection query of GraphiQL has about 400."""

COMMENTS: Final = 200
"""Comments of a document, which tokens do not count."""

SOURCE_CHARACTERS: Final = 100_000
"""Length of a document."""

DEPTH: Final = 16
"""Fields inside fields; the introspection query needs 14, a pool's adapters' pool 6."""

FIELDS: Final = 1_000
"""Fields written down in a document, fragments counted once."""

ALIASES: Final = 50
"""Fields under another name."""

COST: Final = 50_000
"""Values an answer may have in the worst case, rows multiplied: 500 pools with everything flat are about 20,000, 50
pools with 20 adapters each about 35,000. The largest takes a few tenths of a second of one processor."""

ERRORS: Final = 10
"""Problems of a refused mutation that are reckoned with; there is one for each wrong field or adapter."""

WEIGHTS: Final = {"configuration": 50}
"""Fields that weigh more than others: a configuration may have 64 KiB."""

COUNTED_BY_THEIR_CONNECTION: Final = frozenset({"edges", "nodes", "items"})

DOCUMENTS_KEPT: Final = 256
"""Parsed and validated documents kept in memory: more than the distinct ones that real clients send."""

CHARACTERS_KEPT: Final = 4_000
"""Longest document that is kept: twice the introspection query. Parsed, it takes some fifty times its length."""

_TOO_MUCH: Final = COST * 1_000  # where counting stops, so that numbers stay small however deep lists nest


class BoundedDocuments(SchemaExtension):
    """Parses within bounds, refuses what asks for too much, and validates; the work of known documents is kept."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query:
            context.graphql_document = parsed(context.query)
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        document = context.graphql_document
        if document is not None:
            schema: GraphQLSchema = context.schema._schema
            excess = refusal(schema, document, context.variables or {})
            rules = context.validation_rules
            validated = _kept(_validated, context.query)
            refused = excess or _ambiguity(document, context._provided_operation_name)
            try:
                context.pre_execution_errors = [refused] if refused else validated(schema, document, rules)
            except ValueError:  # Python reads no number of more than 4,300 digits
                digits = failure(FailureCode.BAD_USER_INPUT, "A number in the document has too many digits.")
                context.pre_execution_errors = [digits]
        yield


def parsed(source: str) -> DocumentNode:
    """The document, parsed within bounds. Raises GraphQLError with a code when it is none."""
    try:
        document: DocumentNode = _kept(_parsed, source)(source)
    except GraphQLSyntaxError as error:
        raise failure(FailureCode.GRAPHQL_PARSE_FAILED, error.message[:300]) from error
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
def _parsed(source: str) -> DocumentNode:
    return parse(source, max_lexical_tokens=TOKENS, max_comments=COMMENTS, max_source_length=SOURCE_CHARACTERS)


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


def refusal(schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> GraphQLError | None:
    """Why this document asks for too much, if it does."""
    walk = _Walk(schema, document, variables)
    extents = [walk.operation(node) for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    limits = (
        ("nests fields", max((extent.depth for extent in extents), default=0), DEPTH, "levels deep"),
        ("holds", walk.fields, FIELDS, "fields"),
        ("holds", walk.aliases, ALIASES, "aliases"),
        ("could answer with", max((extent.cost for extent in extents), default=0), COST, "values"),
    )
    for verb, amount, limit, unit in limits:
        if amount > limit:
            return failure(
                FailureCode.QUERY_TOO_COMPLEX,
                f"The document {verb} {amount:,} {unit}; at most {limit:,} are allowed. Ask for less at once, with a "
                "smaller 'first' for instance.",
            )
    return None


class _Walk:
    """One walk over a document. A fragment is measured when it is first met; one that contains itself counts once."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self.fields = 0
        self.aliases = 0
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
        self._measured.clear()
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
        self.fields += 1
        self.aliases += node.alias is not None
        known = isinstance(parent, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType)
        declared = getattr(parent, "fields", {}).get(node.name.value) if known else None
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
            return 1  # the schema asked about itself: graphql-core bounds how deep its lists may nest
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
