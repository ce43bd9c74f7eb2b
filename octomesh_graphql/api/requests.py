"""What surrounds every request: an id, one line in the log, a place in the metrics."""

from __future__ import annotations

import re
import time
import uuid

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from octomesh_graphql.api.metrics import Metrics
from octomesh_graphql.domain.text import shown

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PATH_CHARACTERS = 200  # of a path in the log; ours are shorter
_QUIET = ("/healthz", "/readyz", "/metrics")  # asked every few seconds by machines; logged only when they fail


class Requests:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, watched."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope["request_id"] = _accepted_id(HTTPConnection(scope)) or uuid.uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=scope["request_id"]):
            await self._timed(scope, receive, send)

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        status: list[int] = []
        opened = False

        async def sending(message: Message) -> None:
            nonlocal opened
            opened = opened or message["type"] == "websocket.accept"
            if message["type"] == "websocket.close" and not opened:
                status.append(403)  # which is what the handshake is answered
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status.append(message["status"])
                MutableHeaders(scope=message).setdefault("X-Request-ID", scope["request_id"])
            await send(message)

        try:
            with self._metrics.connection(scope["type"]):
                await self._app(scope, receive, sending)
        except Exception:
            status.append(500)  # the framework answers and logs it
            raise
        finally:
            seconds = time.monotonic() - started
            answered = status[0] if status else 101 if opened else 499
            self._metrics.answered(scope["type"], answered, seconds)
            if scope["path"] not in _QUIET or answered >= 500:
                _logged(scope, answered, seconds)


def request_id(connection: HTTPConnection) -> str:
    """The id under which this request is in the log."""
    return str(connection.scope.get("request_id", ""))


def _logged(scope: Scope, status: int, seconds: float) -> None:
    log.info(
        "request",
        method=scope.get("method", "WEBSOCKET"),
        path=shown(scope["path"], _PATH_CHARACTERS),
        status=status,
        milliseconds=round(seconds * 1000, 1),
    )


def _accepted_id(connection: HTTPConnection) -> str | None:
    """The caller's own id, if it is one we would write into a log."""
    given = connection.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else None
