"""What a connection may take of us. uvicorn waits for half a head, and for a peer that does not read, without end."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_SECONDS: Final = 10.0
"""From opening a connection, or beginning a request on one, to the end of the request's head."""

HEAD_BYTES: Final = 64 * 1024
"""Largest head: the longest token and query string fit twice."""

STALLED_SECONDS: Final = 10.0
"""How long a peer may leave what was written to it unread, before the connection is dropped with all it holds."""

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Impatient(asyncio.Protocol):
    """Drops a peer that does not read. To be put before a protocol of uvicorn."""

    loop: asyncio.AbstractEventLoop
    transport: Any
    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self._stalled or self.loop.call_later(STALLED_SECONDS, self.transport.abort)

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
        if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
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
        self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _not_late(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None


class WebSocketConnection(_Impatient, WebSocketsSansIOProtocol):
    """A WebSocket of somebody who may not read what they asked for."""
