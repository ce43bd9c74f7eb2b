"""Prints the schemas: `python -m octomesh_graphql.api.printing` writes `schema.graphql` and `agents.graphql` anew."""

from __future__ import annotations

from pathlib import Path

from octomesh_graphql.api.schema import build_agents_schema, build_schema


def printed_schema() -> str:
    """The schema of tenants as SDL."""
    return build_schema().as_str() + "\n"


def printed_agents_schema() -> str:
    """The schema of agents as SDL."""
    return build_agents_schema().as_str() + "\n"


if __name__ == "__main__":
    Path("schema.graphql").write_text(printed_schema(), encoding="utf-8")
    Path("agents.graphql").write_text(printed_agents_schema(), encoding="utf-8")
