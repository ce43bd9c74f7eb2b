"""GraphQL over HTTP: the audits that come with the npm package graphql-http."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import told_by_node


@pytest.mark.parametrize("path", ["/tenants/acme/graphql", "/agents/graphql"])
async def test_every_audit_of_a_server_passes(base: str, path: str) -> None:
    outcomes = await told_by_node("audits.mjs", f"http://{base}{path}")
    levels = {level: sum(each["name"].startswith(level) for each in outcomes) for level in ("MUST", "SHOULD", "MAY")}
    assert levels == {"MUST": 13, "SHOULD": 23, "MAY": 25}
    assert [each for each in outcomes if each["status"] != "ok"] == []
