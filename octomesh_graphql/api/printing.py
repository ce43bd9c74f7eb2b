"""Prints the schema: `python -m octomesh_graphql.api.printing` writes `schema.graphql` anew."""

from __future__ import annotations

from pathlib import Path

from octomesh_graphql.api.schema import build_schema


def printed_schema() -> str:
    """The schema of tenants as SDL."""
    return build_schema().as_str() + "\n"


if __name__ == "__main__":
    Path("schema.graphql").write_text(printed_schema(), encoding="utf-8")
