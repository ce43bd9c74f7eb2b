"""Admitting: from the token that comes with a request, or opens a WebSocket, to a caller who may be there.

Everything that may be refused for who asks is refused here: at the door, and, for what a caller who is inside may not
do, by `Admission.forbid`. A server that only reports says in its log what it would have refused, and lets it pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
from starlette.requests import HTTPConnection

from octomesh_graphql.api.issuer import Issuer, IssuerSilent
from octomesh_graphql.api.tokens import AGENT, EDIT, READ, Tokens, Unauthenticated
from octomesh_graphql.domain.caller import ANONYMOUS, Caller
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.domain.tenant import no_tenant

log = structlog.get_logger()


class Forbidden(Exception):
    """The caller is known, and may not do that; the message tells what would be needed."""


NO_TOKEN: Final = "This server wants to know who asks: send an access token, as 'Authorization: Bearer …'."

Refusal = Unauthenticated | IssuerSilent | Forbidden | Refused


@dataclass(frozen=True)
class Gate:
    """Who is let in. Without `tokens` everybody is, as anonymous."""

    tokens: Tokens | None = None
    reports_only: bool = False

    @property
    def asks(self) -> bool:
        """Whether tokens are looked at."""
        return self.tokens is not None

    async def prepare(self) -> None:
        """Ask the issuer, if there is one, before anybody comes."""
        if self.tokens:
            await self.tokens.prepare()

    async def user(self, token: str | None, tenant_id: str) -> Caller:
        """Who asks in a tenant, as one who may at least read.

        Raises `Unauthenticated`, `IssuerSilent`, `Forbidden`; and `Refused` where the tenant is somebody else's, in the
        words for one that does not exist.
        """
        caller = await self._caller(token)
        if not caller.may_enter(tenant_id):
            self._refuse(Refused(no_tenant(tenant_id)), caller)
        elif not caller.may_read:
            self._refuse(Forbidden(f"The token needs a tenant_id and the scope {EDIT} or {READ}."), caller)
        return self._let_in(caller)

    async def agent(self, token: str | None) -> Caller:
        """Which operator or adapter speaks. Raises `Unauthenticated`, `IssuerSilent`, `Forbidden`."""
        caller = await self._caller(token)
        if not caller.may_be_agent:
            self._refuse(Forbidden(f"The token needs the scope {AGENT}."), caller)
        return self._let_in(caller)

    def may_edit(self, caller: Caller) -> bool:
        """Whether it would be let change something."""
        return caller.may_edit or self.reports_only

    def edit(self, caller: Caller) -> None:
        """It is about to change something. Raises `Forbidden`."""
        if not caller.may_edit:
            self._refuse(Forbidden(f"'{caller.name}' may read only: changing anything needs the scope {EDIT}."), caller)

    async def _caller(self, token: str | None) -> Caller:
        if self.tokens is None:
            return ANONYMOUS
        try:
            if not token:
                raise Unauthenticated(NO_TOKEN)
            return await self.tokens.caller(token)
        except (Unauthenticated, IssuerSilent) as error:
            self._refuse(error, ANONYMOUS)
            return ANONYMOUS

    def _refuse(self, refusal: Refusal, caller: Caller) -> None:
        if not self.reports_only:
            raise refusal
        log.warning("would be refused", caller=caller.name, kind=type(refusal).__name__, reason=str(refusal))

    def _let_in(self, caller: Caller) -> Caller:
        return replace(caller, tenant_id=None, until=None) if self.reports_only else caller


OPEN: Final = Gate()
"""Lets everybody in."""


def gate_of(issuer: str | None, audience: str | None, *, reports_only: bool) -> Gate:
    """The gate for tokens of this issuer for this audience; without them an open one."""
    return Gate(Tokens(Issuer(issuer), audience), reports_only=reports_only) if issuer and audience else OPEN


def token_of(connection: HTTPConnection) -> str | None:
    """The bearer token in the head of a request, if there is one."""
    return _bearer(connection.headers.get("authorization"))


def token_in(params: Mapping[str, Any]) -> str | None:
    """The bearer token in the payload of `connection_init`, if there is one; browsers can set no header there."""
    return next((_bearer(value) for name, value in params.items() if name.lower() == "authorization"), None)


def _bearer(value: Any) -> str | None:
    scheme, _, token = value.strip().partition(" ") if isinstance(value, str) else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else None
