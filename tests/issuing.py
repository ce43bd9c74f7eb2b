"""A small issuer of access tokens, real enough for every check: discovery, keys, rotation, an outage, and tokens for
programs that it knows."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import unquote_plus

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE: Final = "octomesh"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_MADE: Final[dict[str, PrivateKey]] = {}


def made(id: str) -> PrivateKey:
    """A private key, one for each id, made once in a process because that takes a while; `ec…` are elliptic curves."""
    if id not in _MADE:
        elliptic = id.startswith("ec")
        _MADE[id] = (
            ec.generate_private_key(ec.SECP256R1())
            if elliptic
            else rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        )
    return _MADE[id]


def published(id: str) -> dict[str, Any]:
    """The public half of a key, as issuers publish it."""
    key = made(id)
    jwk = ECAlgorithm.to_jwk(key.public_key()) if id.startswith("ec") else RSAAlgorithm.to_jwk(key.public_key())  # type: ignore[arg-type]
    return {**json.loads(jwk), "kid": id, "use": "sig"}


class TestIssuer:
    """Issues tokens, and answers who asks for its keys; `down` it answers nobody."""

    __test__ = False

    def __init__(self) -> None:
        self.url = ""
        self.keys = ["rsa-1", "ec-1"]
        self.down = False
        self.asked: list[str] = []
        self.discovery: dict[str, Any] = {}
        """What differs in its discovery document."""
        self.clients = {"robot": "s3cret"}
        self.granted: list[str] = []
        """The tokens that programs got."""
        self.expires_in: Any = 600
        """For how long, as it tells them."""
        self.token_type = "Bearer"
        self.claims: dict[str, Any] = {}
        """What differs in their tokens."""

    def token(self, *, key: str = "rsa-1", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that is good for everything in the tenant `acme`, but for what is given; None leaves a claim out."""
        now = int(time.time())
        usual = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "5e0c",
            "preferred_username": "alice",
            "tenant_id": "acme",
            "scope": "openid octo_api",
            "iat": now,
            "exp": now + 600,
        }
        told = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        algorithm = "ES256" if key.startswith("ec") else "RS256"
        headers = {name: value for name, value in {"kid": key, **(header or {})}.items() if value is not None}
        return jwt.encode(told, made(key), algorithm=algorithm, headers=headers)

    def answer(self, path: str) -> Any:
        """The document at a path."""
        self.asked.append(path)
        if self.down:
            raise OSError("connection refused")
        if path == "/.well-known/openid-configuration":
            places = {"jwks_uri": f"{self.url}/keys", "token_endpoint": f"{self.url}/token"}
            return {"issuer": self.url, **places, **self.discovery}
        return {"keys": [published(id) for id in self.keys]}

    def grant(self, basic: str | None, form: dict[str, str]) -> tuple[int, Any]:
        """Status and document for a program that asks for a token (RFC 6749, 4.4)."""
        self.asked.append("/token")
        id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if basic:
            pair = base64.b64decode(basic.removeprefix("Basic ")).decode()
            id, secret = map(unquote_plus, pair.split(":"))
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        if not secret or self.clients.get(id) != secret:
            return 401, {"error": "invalid_client", "error_description": "Client authentication failed."}
        if not form.get("scope", "").startswith("octo_"):
            return 400, {"error": "invalid_scope"}
        self.granted.append(self.token(scope=form["scope"], preferred_username=id, **self.claims))
        told = {"access_token": self.granted[-1], "token_type": self.token_type, "expires_in": self.expires_in}
        return 200, {name: value for name, value in told.items() if value is not None}

    async def fetch(self, url: str) -> Any:
        """As a server that is asked over no network."""
        return self.answer(url.removeprefix(self.url))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[TestIssuer]:
        """Listening until the block ends."""

        async def handle(request: web.Request) -> web.Response:
            try:
                return web.json_response(self.answer(request.path))
            except OSError:
                return web.Response(status=503)

        async def give(request: web.Request) -> web.Response:
            if self.down:
                return web.Response(status=503)
            form = {name: str(value) for name, value in (await request.post()).items()}
            status, document = self.grant(request.headers.get("authorization"), form)
            return web.json_response(document, status=status)

        app = web.Application()
        app.router.add_post("/token", give)
        app.router.add_get("/{path:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()


class Recorded:
    """Credentials that count how often a token was refused, and have another one then."""

    refusals = 0

    async def token(self) -> str:
        """The present one."""
        return f"token-{self.refusals}"

    def refused(self) -> None:
        """It was not taken."""
        self.refusals += 1
