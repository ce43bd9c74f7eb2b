"""Entering: who is turned away is told so in our words, and in the same over HTTP and over a WebSocket."""

from __future__ import annotations

from typing import Any

import pytest

from octomesh_graphql.api.admitting import Forbidden
from octomesh_graphql.api.entering import entered
from octomesh_graphql.api.issuer import IssuerSilent
from octomesh_graphql.api.over_http import Rejected
from octomesh_graphql.api.tokens import Unauthenticated
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.domain.tenant import no_tenant
from octomesh_graphql.store.mongo import MongoUnavailable


class Unlucky:
    """A visit that ends at the door."""

    def __init__(self, why: Exception) -> None:
        self._why = why

    async def enter(self, _: str | None) -> None:
        """They may not."""
        raise self._why


@pytest.mark.parametrize(
    ("why", "status", "code", "message"),
    [
        (Unauthenticated("It has expired."), 401, "UNAUTHENTICATED", "It has expired."),
        (Forbidden("It needs a scope."), 403, "FORBIDDEN", "It needs a scope."),
        (Refused(no_tenant("nobody")), 404, "TENANT_NOT_FOUND", "nobody"),
        (IssuerSilent("[Errno 111] 10.0.0.7:443"), 503, "UNAVAILABLE", "The issuer of access tokens does not answer."),
        (MongoUnavailable("10.0.0.8:27017 timed out"), 503, "UNAVAILABLE", "The database does not answer."),
    ],
)
async def test_who_is_turned_away_is_told_why_in_our_words(
    why: Exception, status: int, code: str, message: str
) -> None:
    unlucky: Any = Unlucky(why)
    with pytest.raises(Rejected) as no:
        await entered(unlucky, None)
    assert (no.value.status, no.value.code.value) == (status, code)
    assert message in str(no.value)
    assert "10.0.0." not in str(no.value)
