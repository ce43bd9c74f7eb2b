"""Every argument of every field, found in the schema itself, with everything it should not be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
)

from octomesh_graphql.api.printing import printed_agents_schema, printed_schema
from tests.hostile.conftest import Target
from tests.hostile.values import ALL

SCHEMAS = {"tenants": build_schema(printed_schema()), "agents": build_schema(printed_agents_schema())}
PLAIN = {"OctoObjectId": "0" * 24, "String": "x", "ID": "x", "Int": 1, "Float": 1.0, "Boolean": True, "JSON": {}}
Place = tuple[str | int, ...]


def usual(kind: GraphQLInputType) -> Any:
    """A value as it should be: what must be given, and nothing more."""
    if is_list_type(get_nullable_type(kind)):
        return []
    named = get_named_type(kind)
    if isinstance(named, GraphQLInputObjectType):
        return {name: usual(field.type) for name, field in named.fields.items() if _must(field)}
    if isinstance(named, GraphQLEnumType):
        return next(iter(named.values))
    return PLAIN.get(named.name, "2026-01-01T00:00:00Z")


def _must(given: GraphQLArgument | GraphQLInputField) -> bool:
    return is_non_null_type(given.type) and not given.ast_node.default_value if given.ast_node else True


def places(kind: GraphQLInputType, place: Place = (), depth: int = 3) -> Iterator[Place]:
    """Everywhere in a value where something can be put."""
    yield place
    named = get_named_type(kind)
    if isinstance(named, GraphQLInputObjectType) and depth:
        inside = (*place, 0) if is_list_type(get_nullable_type(kind)) else place
        for name, field in named.fields.items():
            yield from places(field.type, (*inside, name), depth - 1)


def put(value: Any, place: Place, hostile: Any) -> Any:
    """The value with something else in that place."""
    if not place:
        return hostile
    first, *rest = place
    if isinstance(first, int):
        return [put({}, tuple(rest), hostile)]
    before = value if isinstance(value, dict) else {}
    return {**before, first: put(before.get(first), tuple(rest), hostile)}


def attacks(schema: GraphQLSchema, root: GraphQLObjectType, operation: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Documents with variables: each place of each argument of each field, with each value."""
    for name, field in root.fields.items():
        declared = ", ".join(f"${each}: {given.type}" for each, given in field.args.items())
        passed = ", ".join(f"{each}: ${each}" for each in field.args)
        selected = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
        document = f"{operation} A({declared}) {{ {name}({passed}){selected} }}" if field.args else ""
        good = {each: usual(given.type) for each, given in field.args.items() if _must(given)}
        for each, given in field.args.items():
            for place in places(given.type):
                for hostile in ALL:
                    yield document, {**good, each: put(good.get(each), place, hostile)}


@pytest.mark.parametrize("which", SCHEMAS)
@pytest.mark.parametrize("operation", ["query", "mutation"])
async def test_no_value_in_no_argument_meets_a_fault_of_ours(target: Target, which: str, operation: str) -> None:
    schema = SCHEMAS[which]
    root = schema.query_type if operation == "query" else schema.mutation_type
    assert root
    path = target.path if which == "tenants" else "/agents/graphql"
    asked = 0
    for document, variables in attacks(schema, root, operation):
        body = json.dumps({"query": document, "variables": variables})
        headers = {"content-type": "application/json"}
        answer = await target.http.post(path, content=body, headers=headers)
        assert answer.status_code in (200, 400, 413), (document, str(variables)[:300], answer.text)
        errors = answer.json().get("errors", [])
        codes = {error["extensions"]["code"] for error in errors}
        assert not codes & {"INTERNAL", "UNAVAILABLE", "TIMEOUT"}, (document, str(variables)[:300], answer.text)
        assert len(errors) <= 20
        assert all(len(error["message"]) <= 1_000 for error in errors), answer.text[:2_000]
        assert len(answer.content) < 100_000
        asked += 1
    assert asked > 300
