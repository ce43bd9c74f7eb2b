"""graphql-transport-ws: what users of its reference client, the npm package graphql-ws, do."""

from __future__ import annotations

from tests.conformance.conftest import told_by_node


async def test_the_reference_client_gets_what_it_expects(base: str) -> None:
    outcomes = await told_by_node("subscribing.mjs", f"ws://{base}/tenants/acme/graphql")
    assert len(outcomes) == 8
    assert [each for each in outcomes if each["status"] != "ok"] == []
