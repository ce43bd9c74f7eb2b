"""Entering: how somebody is let in, or told why not, in the same words over HTTP and over a WebSocket."""

from __future__ import annotations

from typing import Final

import structlog

from octomesh_graphql.api.admitting import Forbidden
from octomesh_graphql.api.errors import NO_DATABASE, FailureCode
from octomesh_graphql.api.issuer import IssuerSilent
from octomesh_graphql.api.over_http import Rejected, unavailable
from octomesh_graphql.api.tokens import Unauthenticated
from octomesh_graphql.api.visiting import C, Visit
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.store.mongo import MongoUnavailable

log = structlog.get_logger()

_TURNED_AWAY: Final = (Unauthenticated, Forbidden, Refused, IssuerSilent, MongoUnavailable)


async def entered(visit: Visit[C], token: str | None) -> C:
    """Let somebody in; what their first operation finds. Raises `Rejected` when they may not, or can't, be served."""
    try:
        return await visit.enter(token)
    except _TURNED_AWAY as error:
        raise _turned_away(error) from error


def _turned_away(why: Exception) -> Rejected:
    match why:
        case Unauthenticated():
            return Rejected(401, FailureCode.UNAUTHENTICATED, str(why), {"www-authenticate": "Bearer"})
        case Forbidden():
            return Rejected(403, FailureCode.FORBIDDEN, str(why))
        case Refused():
            return Rejected(404, FailureCode.TENANT_NOT_FOUND, str(why))
        case IssuerSilent():
            log.warning("tokens can't be checked", reason=str(why))
            return unavailable("The issuer of access tokens does not answer. Try again in a moment.")
        case _:
            return unavailable(NO_DATABASE)
