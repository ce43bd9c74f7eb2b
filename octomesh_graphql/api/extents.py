"""How much one document asks for, reckoned before it is validated and long before it runs.

The walk below visits each field and each fragment once, however often fragments are spread, so that it can't be
attacked itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    OperationType,
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
    type_from_ast,
    visit,
)

from octomesh_graphql.api.errors import FailureCode, failure
from octomesh_graphql.limits import Limits
from octomesh_graphql.store.paging import DEFAULT_ROWS, MAX_ROWS

ERRORS: Final = 10
"""Problems of a refused mutation that are reckoned with; there is one for each wrong field or adapter."""

SCHEMA_ROWS: Final = 5
"""Rows that lists are reckoned with where the schema is asked about itself. With it GraphiQL's question counts as long
work, and fits; what nests deeper is bounded by graphql-core, and what is asked several times by aliases."""

WEIGHTS: Final = {"configuration": 50}
"""Fields that weigh more than others: a configuration may have 64 KiB."""

SELECTIONS_PER_FIELD: Final = 4
"""Selections inside selections for each level of fields; a fragment written inside a fragment adds one."""

COUNTED_BY_THEIR_CONNECTION: Final = frozenset({"edges", "nodes", "items"})

_INTROSPECTION: Final = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}
_TOO_MUCH: Final = 10**10  # where counting stops, so that numbers stay small however deep lists nest


@dataclass(frozen=True)
class Extent:
    """How much a part of a document asks for."""

    depth: int = 0
    cost: int = 0
    watched: bool = False
    """Whether it is asked for again with each event."""

    def beside(self, other: Extent) -> Extent:
        """Both, next to each other."""
        return Extent(max(self.depth, other.depth), min(self.cost + other.cost, _TOO_MUCH))


def extent_of(
    schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any], named: str | None = None
) -> Extent:
    """What the operation `named`, or the only one, asks for."""
    operation = get_operation_ast(document, named)
    if operation is None:
        return Extent()
    extent = _Walk(schema, document, variables).operation(operation)
    return replace(extent, watched=operation.operation is OperationType.SUBSCRIPTION)


def refusal(written: Mapping[str, int], extent: Extent, limits: Limits) -> GraphQLError | None:
    """Why a document that holds this, and of which an operation of that extent is to be run, asks for too much, if it
    does."""
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
        ("nests selections", written["nesting"], limits.depth * SELECTIONS_PER_FIELD, "levels deep"),
        ("could answer with", extent.cost, limits.event_cost if extent.watched else limits.cost, "values"),
    )
    for verb, amount, limit, unit in bounds:
        if amount > limit:
            return failure(
                FailureCode.QUERY_TOO_COMPLEX,
                f"The document {verb} {amount:,} {unit}; at most {limit:,} are allowed. Ask for less at once, with a "
                "smaller 'first' for instance.",
            )
    return None


def written_in(document: DocumentNode) -> Mapping[str, int]:
    """What is written down in a document how often."""
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
        self._nesting = 0
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

    def enter_selection_set(self, *_: Any) -> None:
        self._nesting += 1
        self.amounts["nesting"] = max(self.amounts["nesting"], self._nesting)

    def leave_selection_set(self, *_: Any) -> None:
        self._nesting -= 1

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
        given = [argument.value for argument in node.arguments or () if argument.name.value in ("first", "last")]
        asked = [rows for rows in map(self._number, given) if rows is not None]
        return min(max(asked, default=DEFAULT_ROWS), MAX_ROWS)

    def _number(self, value: ValueNode) -> int | None:
        """How many rows a value asks for, at least one; None if it leaves that open."""
        if isinstance(value, IntValueNode):
            return max(_small(value), 1)
        if isinstance(value, NullValueNode):
            return None
        rows = self._variables.get(value.name.value) if isinstance(value, VariableNode) else MAX_ROWS
        if rows is None:
            return None
        return max(rows, 1) if isinstance(rows, int) else MAX_ROWS


def _small(value: IntValueNode) -> int:
    """The number, or one that is too large as well: nobody computes with thousands of digits here."""
    return int(value.value[:6])
