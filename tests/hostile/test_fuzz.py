"""Random operations over the whole schema: whatever is asked, no fault is ours."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from octomesh_graphql.api.printing import printed_schema
from tests.hostile.conftest import Target

SDL = printed_schema()
SCALARS: dict[str, Any] = {
    "OctoObjectId": st.one_of(st.from_regex(r"[0-9a-f]{24}", fullmatch=True), st.text(max_size=5)).map(nodes.String),
    "DateTime": st.datetimes().map(lambda time: nodes.String(time.isoformat())),
    "JSON": st.one_of(st.integers().map(nodes.Int), st.text().map(nodes.String)),
}
QUIET = settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)


async def test_no_random_query_meets_a_fault_of_ours(target: Target) -> None:
    await _every_example_is_answered(target, queries(SDL, custom_scalars=SCALARS))


async def test_no_random_mutation_meets_a_fault_of_ours(target: Target) -> None:
    await _every_example_is_answered(target, mutations(SDL, custom_scalars=SCALARS))


async def _every_example_is_answered(target: Target, documents: st.SearchStrategy[str]) -> None:
    """Draw the documents first, beside the event loop: hypothesis runs in none, and the witness must go on."""
    drawn: list[str] = []

    @QUIET
    @given(documents)
    def draw(document: str) -> None:
        drawn.append(document)

    await asyncio.to_thread(draw)
    assert len(drawn) > 20
    for document in drawn:
        await target.post(document)
