"""The schema as a contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    find_breaking_changes,
)  # fmt: skip
from graphql import (
    build_schema as parsed_schema,
)

from octomesh_graphql.api.printing import printed_agents_schema, printed_schema

ROOT = Path(__file__).parents[2]
OURS = "OctoObjectId DateTime JSON"
STATES = ("communicationState", "configurationState", "deploymentState", "statusMessage", "lastError")


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    """The schema as clients parse it."""
    return parsed_schema(printed_schema())


@pytest.mark.parametrize(("file", "print"), [("schema", printed_schema), ("agents", printed_agents_schema)])
def test_the_committed_schema_is_the_printed_one(file: str, print: Callable[[], str]) -> None:
    committed = (ROOT / f"{file}.graphql").read_text(encoding="utf-8")
    assert committed == print(), f"{file}.graphql is out of step: run `make schema` and read the difference"


def test_nothing_that_was_released_is_broken(schema: GraphQLSchema) -> None:
    released = parsed_schema((ROOT / "schema.released.graphql").read_text(encoding="utf-8"))
    assert [change.description for change in find_breaking_changes(released, schema)] == []


@pytest.mark.parametrize("print", [printed_schema, printed_agents_schema])
def test_everything_is_described(print: Callable[[], str]) -> None:
    assert [name for name, description in _described(parsed_schema(print())) if not description] == []


def _described(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    for kind in schema.type_map.values():
        if kind.name.startswith("__") or kind.name in ("String", "Int", "Boolean", "ID", "Float"):
            continue
        yield kind.name, kind.description
        if isinstance(kind, GraphQLEnumType):
            for name, value in kind.values.items():
                yield f"{kind.name}.{name}", value.description
        elif isinstance(kind, GraphQLInputObjectType):
            for name, input_field in kind.fields.items():
                yield f"{kind.name}.{name}", input_field.description
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in kind.fields.items():
                yield f"{kind.name}.{name}", field.description
                for argument, value in field.args.items():
                    yield f"{kind.name}.{name}({argument})", value.description


def test_no_input_of_a_mutation_carries_a_state(schema: GraphQLSchema) -> None:
    inputs = [kind for kind in schema.type_map.values() if isinstance(kind, GraphQLInputObjectType)]
    carried = {f"{kind.name}.{name}" for kind in inputs if kind.name.endswith("Input") for name in kind.fields}
    assert len(inputs) > 10
    assert not {name for name in carried if name.split(".")[1] in STATES}


def test_every_mutation_takes_one_input_and_tells_its_errors(schema: GraphQLSchema) -> None:
    assert schema.mutation_type
    for name, field in schema.mutation_type.fields.items():
        capital = name[0].upper() + name[1:]
        assert [str(argument.type) for argument in field.args.values()] == [f"{capital}Input!"]
        assert str(field.type) == f"{capital}Payload!"
        payload = schema.type_map[f"{capital}Payload"]
        assert isinstance(payload, GraphQLObjectType)
        assert str(payload.fields["errors"].type) == "[UserError!]!"


def test_every_kind_of_problem_is_a_user_error_with_a_code(schema: GraphQLSchema) -> None:
    codes = schema.type_map["ErrorCode"]
    interface = schema.type_map["UserError"]
    assert isinstance(codes, GraphQLEnumType)
    assert isinstance(interface, GraphQLInterfaceType)
    concrete = {kind.name for kind in schema.get_implementations(interface).objects}
    assert {name.title().replace("_", "") for name in codes.values} == concrete
