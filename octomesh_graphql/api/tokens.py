"""Access tokens: what one says about who asks, once it has been checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    MissingRequiredClaimError,
    PyJWTError,
)

from octomesh_graphql.api.issuer import Issuer, UnknownKey
from octomesh_graphql.domain.caller import Caller
from octomesh_graphql.domain.text import shown

ALGORITHMS: Final = ("RS256", "ES256")
"""Signatures that are accepted: what issuers use. Never `none`, and none with a shared secret."""

LEEWAY_SECONDS: Final = 10
"""By how much the clock of the issuer may differ from ours."""

TOKEN_CHARACTERS: Final = 16_000
"""Longest token that is looked at; usual are one or two thousand."""

NAME_CHARACTERS: Final = 100
"""Longest name of a caller that is kept."""

EDIT: Final = "octo_api"
READ: Final = "octo_api.read_only"
AGENT: Final = "octo_agent"
"""The scopes, as the original's issuer names them."""


_MALFORMED: Final = (PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
"""What reading a token can end in; the library lets some numbers and nestings through to Python's own errors."""

_SUBJECTS: Final = ("sub", "client_id", "azp")
"""The claims that say whose a token is, the best first."""

_LATEST: Final = 4_102_444_800
"""The year 2100: later than any socket lasts, and still a time that Python can tell."""


class Unauthenticated(Exception):
    """The token proves nothing; the message tells why, to who sent it."""


class Tokens:
    """Tells who sent a token."""

    def __init__(self, issuer: Issuer, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience

    async def prepare(self) -> None:
        """Ask the issuer before anybody comes."""
        await self._issuer.prepare()

    async def caller(self, token: str) -> Caller:
        """Who sent it, and what they may do. Raises `Unauthenticated`, `IssuerSilent`."""
        if len(token) > TOKEN_CHARACTERS:
            raise Unauthenticated(f"The token has more than {TOKEN_CHARACTERS:,} characters.")
        try:
            header = jwt.get_unverified_header(token)
        except _MALFORMED as error:
            raise Unauthenticated("The token is no JSON Web Token.") from error
        if header.get("alg") not in ALGORITHMS:
            raise Unauthenticated(f"The token is not signed by {' or '.join(ALGORITHMS)}.")
        try:
            key = await self._issuer.key(header.get("kid"))
        except UnknownKey as error:
            raise Unauthenticated("The token is signed with a key that its issuer does not have.") from error
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self._issuer.url,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
            _check_forms(claims)
        except _MALFORMED as error:
            raise Unauthenticated(self._why(error)) from error
        return _caller(claims)

    def _why(self, error: Exception) -> str:
        match error:
            case ExpiredSignatureError():
                return "The token has expired."
            case ImmatureSignatureError():
                return "The token is not valid yet."
            case InvalidAudienceError():
                return f"The token is for somebody else: its audience is not '{self._audience}'."
            case InvalidIssuerError():
                return f"The token is from somebody else: its issuer is not '{self._issuer.url}'."
            case MissingRequiredClaimError():
                return f"The token has no claim '{error.claim}'."
        return "The token's signature or form is wrong."


def _check_forms(claims: Mapping[str, Any]) -> None:
    """Raises ValueError for what RFC 7519 has as a number and is none, and for halves of characters."""
    times = [claims[name] for name in ("exp", "nbf", "iat") if name in claims]
    if not all(isinstance(time, int | float) and not isinstance(time, bool) for time in times):
        raise ValueError("a time that is no number")
    json.dumps(claims, ensure_ascii=False).encode()


def _caller(claims: Mapping[str, Any]) -> Caller:
    """Raises `Unauthenticated` when it is not clear whose the token is, or for which tenant."""
    tenant_id, id = claims.get("tenant_id"), _subject(claims)
    if not isinstance(tenant_id, str | None):
        raise Unauthenticated("The token's claim 'tenant_id' is no text. A token is for one tenant.")
    if not id:
        raise Unauthenticated("The token does not tell whose it is: it has no claim 'sub'.")
    scopes = _scopes(claims)
    of_tenant = tenant_id is not None  # else there is nothing a user may see
    return Caller(
        name=_name(claims),
        authenticated=True,
        id=id,
        tenant_id=tenant_id,
        may_read=of_tenant and bool({EDIT, READ} & scopes),
        may_edit=of_tenant and EDIT in scopes,
        may_be_agent=AGENT in scopes,
        until=datetime.fromtimestamp(min(int(claims["exp"]) + LEEWAY_SECONDS, _LATEST), UTC),
    )


def _subject(claims: Mapping[str, Any]) -> str:
    """Whose the token is, as the issuer has it to the letter. Some issuers name only the client, and by a claim of
    another name, which is then part of it: a client is not the user of that name."""
    given = ((name, claims.get(name)) for name in _SUBJECTS)
    name, id = next(((name, id) for name, id in given if isinstance(id, str) and id.strip()), ("sub", ""))
    return id if name == "sub" and id.partition(":")[0] not in _SUBJECTS else f"{name}:{id}"


def _scopes(claims: Mapping[str, Any]) -> set[str]:
    """Issuers write them as one text or as a list."""
    given = claims.get("scope", claims.get("scp", ""))
    words = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
    return {word for word in words if isinstance(word, str)}


def _name(claims: Mapping[str, Any]) -> str:
    """What people call who asks, else what the issuer calls them, which it always does."""
    return shown(_text(claims, "preferred_username", "email", "client_id", "azp", "sub"), NAME_CHARACTERS)


def _text(claims: Mapping[str, Any], *names: str) -> str:
    """The first of these claims that says anything."""
    texts = (claims.get(name) for name in names)
    return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")
