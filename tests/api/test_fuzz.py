"""Random operations over the whole schema: whatever is asked, no fault is ours."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from octomesh_graphql.api.printing import printed_schema
from octomesh_graphql.store.entities import TenantStore
from tests.api.conftest import Api
from tests.builders import created_adapter, created_pool

SDL = printed_schema()
SCALARS: dict[str, Any] = {
    "OctoObjectId": st.one_of(st.from_regex(r"[0-9a-f]{24}", fullmatch=True), st.text(max_size=5)).map(nodes.String),
    "DateTime": st.datetimes().map(lambda time: nodes.String(time.isoformat())),
    "JSON": st.one_of(st.integers().map(nodes.Int), st.text().map(nodes.String)),
}
QUIET = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)


async def test_no_random_query_meets_a_fault_of_ours(api: Api, store: TenantStore) -> None:
    pool = await created_pool(store, "North")
    await created_adapter(store, "pump", pool=pool)
    await _every_example_is_answered(api, queries(SDL, custom_scalars=SCALARS))


async def test_no_random_mutation_meets_a_fault_of_ours(api: Api, store: TenantStore) -> None:
    await created_pool(store, "North")
    await _every_example_is_answered(api, mutations(SDL, custom_scalars=SCALARS))


async def _every_example_is_answered(api: Api, documents: st.SearchStrategy[str]) -> None:
    """Draw the documents first: hypothesis runs in no event loop."""
    drawn: list[str] = []

    @QUIET
    @given(documents)
    def draw(document: str) -> None:
        drawn.append(document)

    draw()
    assert len(drawn) > 20
    for document in drawn:
        answer = await api.post(document)
        codes = [error["extensions"]["code"] for error in answer.json().get("errors", [])]
        assert answer.status_code in (200, 400), document
        assert "INTERNAL" not in codes, (document, answer.text)
