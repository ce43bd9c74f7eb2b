"""The issuer of access tokens: where its keys are, by OpenID Connect Discovery, and those keys.

The keys at hand are used while newer ones are fetched, and while the issuer can't be reached: an outage of it locks
nobody out. What does not belong here: what a token says, and what follows from it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import structlog
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

from octomesh_graphql.logs import Trouble

log = structlog.get_logger()

FRESH_SECONDS: Final = 300.0
"""After that keys are fetched anew, by the way: a key that was withdrawn is believed hardly longer."""

KEPT_SECONDS: Final = 24 * 3600.0
"""How long keys are believed while the issuer can't be reached: an outage of a day is survived."""

PAUSE_SECONDS: Final = 10.0
"""Between two fetches: strangers with invented keys must not make us a burden to the issuer."""

FETCH_SECONDS: Final = 5.0
"""How long the issuer may take to answer."""

DOCUMENT_BYTES: Final = 1024 * 1024
"""Largest document of an issuer that is read; usual are a few thousand."""

Fetch = Callable[[str], Awaitable[Any]]


class IssuerSilent(Exception):
    """The key that is needed is not at hand, and none can be had at the moment."""


class UnknownKey(Exception):
    """The issuer has no such key."""


class Unusable(Exception):
    """What the issuer answered can't be used."""


class Issuer:
    """The keys of one issuer. `url` is exactly what its tokens call it."""

    def __init__(self, url: str, *, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self._fetch = fetch or fetched
        self._clock = clock
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._trouble = Trouble(
            log, broken="no keys from the issuer of tokens", well="the issuer of tokens answers again", issuer=url
        )

    async def key(self, id: str | None) -> PyJWK:
        """The key with this id; without an id the only one there is.

        Raises `UnknownKey`, and `IssuerSilent` when the issuer may have it and can't be asked.
        """
        age = self._clock() - self._fetched
        if age >= KEPT_SECONDS:
            self._keys = {}
        if not self._keys:
            await self._renewed()
        elif age >= FRESH_SECONDS:
            self._renewing()
        found = self._found(id)
        if found is None and self._keys:
            await self._renewed()  # it may be a new one
            found = self._found(id)
        if found is None and self._keys and not self._trouble.reason:
            raise UnknownKey
        if found is None:
            raise IssuerSilent(self._trouble.reason or "It has no keys.")
        return found

    async def prepare(self) -> None:
        """Ask for the keys before anybody needs them, so that the log tells at once if there are none."""
        await self._renewed()

    def _found(self, id: str | None) -> PyJWK | None:
        if id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(id)

    async def _renewed(self) -> None:
        if fetching := self._renewing():
            await asyncio.shield(fetching)

    def _renewing(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, begun if it is time for one."""
        if self._fetching is None and self._clock() - self._tried >= PAUSE_SECONDS:
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._renew())
        return self._fetching

    async def _renew(self) -> None:
        try:
            self._keys = await self._from_issuer()
            self._fetched = self._clock()
            self._trouble.end()
        except (Unusable, aiohttp.ClientError, OSError, ValueError, RecursionError) as error:  # time-outs are OSErrors
            self._trouble.note(str(error) or type(error).__name__, known=len(self._keys))
        finally:
            self._fetching = None

    async def _from_issuer(self) -> Mapping[str, PyJWK]:
        discovered = await self._fetch(f"{self.url.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(discovered, dict) or not isinstance(discovered.get("jwks_uri"), str):
            raise Unusable("It tells no 'jwks_uri' in its discovery document.")
        if discovered.get("issuer") != self.url:
            raise Unusable(
                f"It calls itself '{discovered.get('issuer')}'; it has to be configured by exactly that name."
            )
        if self.url.startswith("https:") and not discovered["jwks_uri"].startswith("https:"):
            raise Unusable("Its keys are not to be had by https.")
        return _keys(await self._fetch(discovered["jwks_uri"]))


async def fetched(url: str) -> Any:
    """A JSON document. Raises aiohttp.ClientError, OSError, ValueError or `Unusable`."""
    limit = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=limit, trust_env=True, raise_for_status=True) as http,
        http.get(url, allow_redirects=False, headers={"accept": "application/json"}) as answer,
    ):
        if answer.status != 200:
            raise Unusable(f"{url} answers with the status {answer.status}.")
        body = bytearray()
        async for part in answer.content.iter_any():
            body += part
            if len(body) > DOCUMENT_BYTES:
                raise Unusable(f"{url} answers with more than {DOCUMENT_BYTES:,} bytes.")
        return json.loads(body)


def _keys(document: Any) -> Mapping[str, PyJWK]:
    """The keys for signatures, by id."""
    try:
        keys = PyJWKSet.from_dict(document).keys
    except (PyJWTError, AttributeError, TypeError) as error:
        raise Unusable("It has no keys that can be used.") from error
    signing = [key for key in keys if key.public_key_use in (None, "sig") and key.key_type in ("RSA", "EC")]
    return {key.key_id or "": key for key in signing}
