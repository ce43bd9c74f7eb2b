"""What a connection may take of us. uvicorn waits for half a head, and for a peer that does not read, without end."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from octomesh_graphql.limits import Limits

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedConfig(uvicorn.Config):
    """How uvicorn serves, with the limits that it does not know."""

    def __init__(self, app: Any, limits: Limits, **options: Any) -> None:
        super().__init__(
            app,
            http=HttpConnection,
            ws=WebSocketConnection,
            limit_concurrency=limits.connections,
            timeout_keep_alive=limits.idle_seconds,
            ws_max_size=limits.message_bytes,
            ws_ping_interval=limits.ping_seconds,
            ws_ping_timeout=limits.ping_seconds / 2,
            ws_per_message_deflate=False,  # it costs 40 KiB a connection, and our messages are small
            **options,
        )
        self.limits = limits


class _Impatient(asyncio.Protocol):
    """Drops a peer that does not read. To be put before a protocol of uvicorn."""

    config: Any  # a BoundedConfig
    loop: asyncio.AbstractEventLoop
    transport: Any
    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self._stalled or self.loop.call_later(self.config.limits.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._not_stalled()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._not_stalled()

    def _not_stalled(self) -> None:
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None


class HttpConnection(_Impatient, HttpToolsProtocol):
    """An HTTP connection of somebody who may be slow on purpose."""

    _late: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Somebody is there, and should soon say what they want."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request, or of several."""
        head = self._late
        super().data_received(data)
        if head is None or head is not self._late:
            return  # the head began in these bytes, behind others, or ended in them
        self._head_bytes += len(data)
        if self._head_bytes > self.config.limits.head_bytes and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._late is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._not_late()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._not_late()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._late = self.loop.call_later(self.config.limits.head_seconds, self.transport.close)

    def _not_late(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None


class WebSocketConnection(_Impatient, WebSocketsSansIOProtocol):
    """A WebSocket of somebody who may not read what they asked for."""
