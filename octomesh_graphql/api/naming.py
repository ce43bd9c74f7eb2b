"""What a browser tells of the page that asks: by which name it asks, and from which origin it is.

A page of any site may ask a server on its reader's own machine, if the site's name is made to resolve to that machine
(DNS rebinding). To the browser it is then the page's own server; only the name tells. And it may open a WebSocket to
any server, because browsers keep no page from doing so; only the origin tells.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.http.websocket_origin import is_same_origin, normalize_origin

from octomesh_graphql.api.errors import FailureCode
from octomesh_graphql.api.over_http import Rejected, rejection
from octomesh_graphql.domain.text import shown

log = structlog.get_logger()

_NAME_CHARACTERS: Final = 100
_ORIGIN_CHARACTERS: Final = 200
_ORIGINS_TOLD: Final = 100  # in the log, each once; the log of requests has every refusal


class OwnNames:
    """ASGI middleware: what is asked by a name that is neither this machine's nor among `names`, with or without their
    ports, is refused: pages, probes and the opening of WebSockets alike."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = {_name(name) for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse it, or let it pass."""
        name = _name(Headers(scope=scope).get("host", "")) if scope["type"] != "lifespan" else ""
        if not name or name in self._names or _is_own(name):
            await self._app(scope, receive, send)
            return
        message = (
            "This server refuses nobody for who they are, and so answers only to localhost, not to "
            f"'{shown(name, _NAME_CHARACTERS)}'. If that name is its own, set OCTOMESH_PUBLIC_URL."
        )
        response = rejection(Rejected(421, FailureCode.FORBIDDEN, message))
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(response)
        else:
            await response(scope, receive, send)


class OwnOrigins:
    """ASGI middleware: WebSockets are for programs, for pages of the host that is asked, and for those of the origins
    of `urls`: a proxy may ask by another host than it is asked by."""

    def __init__(self, app: ASGIApp, urls: Collection[str]) -> None:
        self._app = app
        self._origins = {_origin(url) for url in urls} - {None}
        self._told = set[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse it, or let it pass."""
        headers = Headers(scope=scope)
        origin = headers.get("origin") if scope["type"] == "websocket" else None
        if origin is None or self._is_own(origin, headers):
            await self._app(scope, receive, send)
            return
        origin, host = shown(origin, _ORIGIN_CHARACTERS), shown(headers.get("host", ""), _ORIGIN_CHARACTERS)
        hint = "If that is this server's own, set OCTOMESH_PUBLIC_URL."
        if origin not in self._told and len(self._told) < _ORIGINS_TOLD:
            self._told.add(origin)
            log.warning("WebSocket refused to a page of another origin", origin=origin, host=host, hint=hint)
        message = f"Pages of '{origin}' can open no WebSocket here. {hint}"
        response = rejection(Rejected(403, FailureCode.FORBIDDEN, message))
        await WebSocket(scope, receive, send).send_denial_response(response)

    def _is_own(self, origin: str, headers: Headers) -> bool:
        of_host = headers.get("sec-fetch-site") == "same-origin" or is_same_origin(origin, headers.get("host"))
        return of_host or normalize_origin(origin) in self._origins


def _name(host: str) -> str:
    """The name in a Host, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".").encode("idna").decode()
    except ValueError:
        return host


def _origin(url: str) -> str | None:
    """That of a URL, as browsers write it; None if there can be no page at it."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    name = _name(parts.netloc)
    return normalize_origin(f"{parts.scheme}://{f'[{name}]' if ':' in name else name}{port}")


def _is_own(name: str) -> bool:
    """Whether it leads to this machine, or says by its number where it leads."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
