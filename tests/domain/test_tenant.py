"""The ids that tenants can have."""

import pytest

from octomesh_graphql.domain.entity import rt_id_problems
from octomesh_graphql.domain.tenant import tenant_id_problems


@pytest.mark.parametrize("tenant_id", ["a", "1", "acme", "acme-works", "a--b", "a" * 38])
def test_short_lower_case_words_are_ids(tenant_id: str) -> None:
    assert list(tenant_id_problems(tenant_id)) == []


@pytest.mark.parametrize(
    "tenant_id", ["", "A", "-a", "a-", "a_b", "a.b", "a/b", "ä", "a b", "a" * 39, "a\n", "$", "\x00", "../admin"]
)
def test_anything_else_is_refused(tenant_id: str) -> None:
    [problem] = tenant_id_problems(tenant_id)
    assert "can't be the id of a tenant" in problem.message


@pytest.mark.parametrize("tenant_id", ["system", "admin", "local", "config"])
def test_names_of_databases_that_are_not_tenants_are_reserved(tenant_id: str) -> None:
    [problem] = tenant_id_problems(tenant_id)
    assert problem.message == f"The tenant id '{tenant_id}' is reserved; choose another."


@pytest.mark.parametrize("rt_id", ["", "0" * 23, "0" * 25, "A" * 24, "g" * 24, "0" * 24 + "\n"])
def test_an_rt_id_has_24_lower_case_hex_digits(rt_id: str) -> None:
    assert list(rt_id_problems("0123456789abcdef01234567", "rtId")) == []
    [problem] = rt_id_problems(rt_id, "rtId")
    assert problem.path == ("rtId",)
