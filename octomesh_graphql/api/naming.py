"""By which name a server is asked that knows nobody: only by one that no stranger can make lead to it.

A page of any site may ask a server on its reader's own machine, if the site's name is made to resolve to that machine
(DNS rebinding). To the browser it is then the page's own server; only the name tells.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from octomesh_graphql.api.errors import FailureCode
from octomesh_graphql.api.over_http import Rejected, rejection
from octomesh_graphql.domain.text import shown

_NAME_CHARACTERS: Final = 100


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


def _name(host: str) -> str:
    """The name in a Host, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".").encode("idna").decode()
    except ValueError:
        return host


def _is_own(name: str) -> bool:
    """Whether it leads to this machine, or says by its number where it leads."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
