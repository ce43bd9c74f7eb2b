"""Credentials: what a program shows to the API server, so that it is known there.

For the operator and the client alike; neither knows more than `Credentials`. What does not belong here: checking the
tokens of others, which is the server's, and where settings come from.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote_plus

import aiohttp

from octomesh_graphql.domain.text import shown

FETCH_SECONDS: Final = 5.0
"""How long an issuer may take to answer. Usual are some ten milliseconds."""

SPARE_SECONDS: Final = 30.0
"""A token that ends sooner than that is not shown any more: what begins with it should not be cut at once."""

DOCUMENT_BYTES: Final = 1024 * 1024
"""Largest answer of an issuer that is read; usual are a few thousand."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
"""What can stand in a header behind `Bearer`; anything else is no token but, for instance, a page with an error."""


class NoToken(Exception):
    """No token can be had now; the message tells why, and holds no secret."""


class Credentials(Protocol):
    """How a program says who it is."""

    async def token(self) -> str | None:
        """The access token to show now; None: none is shown. Raises `NoToken`."""
        ...

    def refused(self) -> None:
        """The server did not take the last one: the next is another, if another can be had."""
        ...


async def authorization(credentials: Credentials) -> dict[str, str]:
    """The header that shows the token; `connection_init` of a WebSocket carries the same. Raises `NoToken`."""
    token = await credentials.token()
    return {} if token is None else {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Unknown:
    """Who says nothing: for servers that ask nobody who they are."""

    async def token(self) -> str | None:
        """None."""
        return None

    def refused(self) -> None:
        """There is no other."""


NOBODY: Final = Unknown()


class FixedToken:
    """A token that somebody handed over. It does not show itself."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        """Always this one."""
        return self._token

    def refused(self) -> None:
        """There is no other."""


@dataclass(frozen=True)
class TokenFile:
    """A file with a token, read each time: tokens are short-lived, and somebody renews the file."""

    path: Path

    async def token(self) -> str:
        """What the file holds now."""
        token = _read(self.path, f"The token file {self.path}")
        if not _TOKEN.fullmatch(token):
            held = "more than one token, or none" if token else "nothing"
            raise NoToken(f"The token file {self.path} holds {held}.")
        return token

    def refused(self) -> None:
        """It is read anew anyway."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """As whom an issuer knows this program (OAuth 2.0 client credentials). Exactly one of `secret` and `secret_file`,
    and of `token_url` and `issuer`, is given."""

    id: str
    scope: str
    secret: Callable[[], str]
    """Asked for each time, because secrets are exchanged."""
    token_url: str | None = None
    issuer: str | None = None
    """Tells where tokens are to be had by OpenID Connect Discovery, if `token_url` does not."""


def secret_in(path: Path) -> Callable[[], str]:
    """A secret that is in a file. Asking for it raises `NoToken`."""

    def secret() -> str:
        what = f"The file with the client's secret, {path},"
        text = _read(path, what)
        if not text:
            raise NoToken(f"{what} holds nothing.")
        return text

    return secret


class ClientCredentials:
    """Tokens that an issuer gives to a program; each is used until shortly before it ends."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._token: str | None = None
        self._until = float("-inf")
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """The present token, or a new one. Raises `NoToken`."""
        async with self._fetching:
            if self._token is None or self._clock() >= self._until:
                asked = self._clock()
                self._token, seconds = await self._fetched()
                self._until = asked + seconds - min(SPARE_SECONDS, seconds / 2)
            return self._token

    def refused(self) -> None:
        """Ask the issuer for another one next time: it may have other keys by now, or the client other rights."""
        self._token = None

    async def _fetched(self) -> tuple[str, float]:
        """A new token, and for how many seconds it is good. Raises `NoToken`."""
        secret = self._client.secret()
        limit = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with aiohttp.ClientSession(timeout=limit, trust_env=True) as http:
            url, in_header = await self._endpoint(http)
            form = {"grant_type": "client_credentials", "scope": self._client.scope}
            headers = {"accept": "application/json"}
            if in_header:
                headers["authorization"] = _basic(self._client.id, secret)
            else:
                form |= {"client_id": self._client.id, "client_secret": secret}
            status, answer = await _asked(http, "POST", url, data=form, headers=headers)
        if status != 200:
            raise NoToken(_refusal(self._client, url, status, answer))
        return _token_in(url, answer)

    async def _endpoint(self, http: aiohttp.ClientSession) -> tuple[str, bool]:
        """Where tokens are to be had, and whether the secret is told in the header, as is usual, or in the body."""
        if self._client.token_url:
            return self._client.token_url, True
        issuer = str(self._client.issuer)
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        status, found = await _asked(http, "GET", url, headers={"accept": "application/json"})
        if status != 200:
            raise NoToken(f"{url}, which should tell where tokens are to be had, answers {status}.")
        endpoint = found.get("token_endpoint")
        if found.get("issuer") != issuer:
            raise NoToken(f"What is at {url} calls itself '{shown(str(found.get('issuer')))}': another issuer.")
        if not isinstance(endpoint, str) or not endpoint.startswith(("https:", f"{issuer.partition(':')[0]}:")):
            raise NoToken(f"{url} tells no 'token_endpoint' that can be used.")
        methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return endpoint, "client_secret_basic" in methods


async def _asked(http: aiohttp.ClientSession, method: str, url: str, **how: Any) -> tuple[int, Mapping[str, Any]]:
    """Status and JSON object; an empty one if it was none. Raises `NoToken`."""
    try:
        async with http.request(method, url, allow_redirects=False, **how) as answer:
            body = bytearray()
            async for part in answer.content.iter_any():
                body += part
                if len(body) > DOCUMENT_BYTES:
                    raise NoToken(f"{url} answers with more than {DOCUMENT_BYTES:,} bytes.")
    except TimeoutError as error:
        raise NoToken(f"{url}, where tokens are to be had, did not answer within {FETCH_SECONDS:.0f} s.") from error
    except (aiohttp.ClientError, OSError) as error:
        reason = (str(error) or type(error).__name__).rstrip(".")
        raise NoToken(f"{url}, where tokens are to be had, can't be reached: {reason}.") from error
    return answer.status, _object(bytes(body))


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _token_in(url: str, answer: Mapping[str, Any]) -> tuple[str, float]:
    token, kind, seconds = answer.get("access_token"), answer.get("token_type"), answer.get("expires_in", 0)
    usable = isinstance(token, str) and _TOKEN.fullmatch(token) and str(kind).lower() == "bearer"
    if not usable:
        raise NoToken(f"{url} answers, but with no bearer token.")
    try:
        return str(token), max(float(seconds), 0.0)  # some write the number as text
    except (TypeError, ValueError):
        return str(token), 0.0


def _refusal(client: Client, url: str, status: int, answer: Mapping[str, Any]) -> str:
    """Why there is no token, in the issuer's words (RFC 6749, 5.2) if it has any."""
    code, description = (str(answer.get(name) or "") for name in ("error", "error_description"))
    why = shown(": ".join(each for each in (code, description) if each) or f"status {status}", 300).rstrip(".")
    match code:
        case "invalid_client" | "unauthorized_client":
            help = " Does it know OCTOMESH_CLIENT_ID, and is that its secret?"
        case "invalid_scope":
            help = f" OCTOMESH_SCOPE asks for '{shown(client.scope)}'."
        case _:
            help = ""
    return f"{url} gives the client '{shown(client.id)}' no token: {why}.{help}"


def _basic(id: str, secret: str) -> str:
    """As RFC 6749 has it in 2.3.1: both are encoded as in a form before they are put together."""
    pair = f"{quote_plus(id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise NoToken(f"{what} can't be read: {reason}.") from error
