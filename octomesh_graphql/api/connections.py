"""What a connection may take of us. uvicorn waits without end: for the rest of a head, for a head behind a stray byte,
and for a peer that does not read.

So there is a watch before each of its protocols: `_Impatient` looks after what the peer has to read, `HttpConnection`
also after the head that it has to send, `WebSocketConnection` after its handshake and its crowds of frames. How long a
body, an operation and a silent WebSocket may take is not decided here.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11

from octomesh_graphql.api.errors import FailureCode
from octomesh_graphql.api.over_http import Rejected, rejection
from octomesh_graphql.limits import Limits

_PACE_BYTES: Final = 64 * 1024
"""What a peer has to read within `stalled_seconds`, or else all there is: the worst of lines can."""

_LOOKS: Final = 4
"""How often in that time we look whether it did."""

_SLICE_BYTES: Final = 8 * 1024
"""What is taken of a WebSocket before others have their turn: as small frames they are more than a thousand."""

_ALWAYS_SERVED: Final = "/healthz"
"""Also when there are too many connections: the process is well, and restarting it would help nobody."""

_NO_BODY: Final = b"content-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _NO_BODY
_UNREADABLE: Final = b"HTTP/1.1 400 Bad Request\r\n" + _NO_BODY


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
        # Of a handshake, which `HttpConnection` has bounded as a whole; a token has more than the 8 KiB of the library.
        http11.MAX_LINE_LENGTH = limits.head_bytes
        full = f"{limits.connections} connections are open, as many as may be. Try again later."
        headers = {"retry-after": "5", "connection": "close"}
        self.no_room = rejection(Rejected(503, FailureCode.RATE_LIMITED, full, headers))


class _Impatient(asyncio.Protocol):
    """Drops a peer that does not read what was written to it, the last words before closing included.

    The transport says when something begins to wait (`pause_writing`), and when all of it is gone (`resume_writing`).
    In between we look at it from time to time, and drop the peer when it did not keep pace.
    """

    config: Any  # a BoundedConfig
    loop: asyncio.AbstractEventLoop
    transport: Any
    _look: asyncio.TimerHandle | None = None
    _unread = 0
    _paced_until = 0.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # what waits is told from the first byte to the last

    def pause_writing(self) -> None:
        super().pause_writing()
        self._kept_pace(self.transport.get_write_buffer_size())
        self._look_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_looking()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_looking()

    def _kept_pace(self, unread: int) -> None:
        self._unread = unread
        self._paced_until = self.loop.time() + self.config.limits.stalled_seconds

    def _look_now(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if self._unread - unread >= _PACE_BYTES:
            self._kept_pace(unread)
        elif self.loop.time() >= self._paced_until:
            self.transport.abort()
            return
        self._unread = max(self._unread, unread)  # by now more was written
        self._look_later()

    def _look_later(self) -> None:
        self._stop_looking()
        self._look = self.loop.call_later(self.config.limits.stalled_seconds / _LOOKS, self._look_now)

    def _stop_looking(self) -> None:
        if self._look:
            self._look.cancel()
            self._look = None


class HttpConnection(_Impatient, HttpToolsProtocol):
    """An HTTP connection of somebody who may be slow on purpose.

    Whenever nothing is under way and bytes come that are no whole head, `_late` closes the connection: from its opening
    on, from the first byte of a head, and when something else comes after an answer, like the rest of a body that
    nobody wants. uvicorn itself only waits for the very first byte after an answer.
    """

    _late: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_body = False
    _answering: Any = None  # uvicorn's request and answer in one

    def connection_made(self, transport: Any) -> None:
        """Somebody is there, and should soon say what they want."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request, or of several."""
        awaited = self._late
        super().data_received(data)
        if self._late is None and self._is_idle():
            self._await_head()
        elif awaited and awaited is self._late and not self._in_body:  # else the head began or ended within these bytes
            self._measure_head(data)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._late is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._not_late()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is there, wanted or not."""
        self._not_late()
        self._in_body = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """From here on this is a WebSocket."""
        self._stop_looking()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more: neither for the answer under way, nor for those in line."""
        self._not_late()
        super().connection_lost(exc)
        if self._answering:  # uvicorn tells only the request that was read last
            self._answering.disconnected = True
            self._answering.message_event.set()
        self.pipeline.clear()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answering = cycle
        if app is not self.app:  # uvicorn's own for "too many connections", in plain text
            app = self.app if cycle.scope["path"] == _ALWAYS_SERVED else self.config.no_room
        super()._start_asgi_task(cycle, app)

    def _is_idle(self) -> bool:
        """Whether no request is under way, and none is waited for."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and self.timeout_keep_alive_task is None and self.transport.get_protocol() is self

    def _measure_head(self, data: bytes) -> None:
        self._head_bytes += len(data)
        if self._head_bytes > self.config.limits.head_bytes and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._late = self.loop.call_later(self.config.limits.head_seconds, self.transport.close)

    def _not_late(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None


class WebSocketConnection(_Impatient, WebSocketsSansIOProtocol):
    """A WebSocket of somebody who may not read what they asked for, whose first words may be anything, and who may send
    thousands of frames at once."""

    _untaken = b""

    def connection_made(self, transport: Any) -> None:
        """Somebody wants a WebSocket."""
        transport.set_protocol(self)  # uvicorn does it only behind the handshake, which may be refused and not read
        super().connection_made(transport)
        if transport.get_write_buffer_size():
            self.pause_writing()  # for the answer to a request before it

    def data_received(self, data: bytes) -> None:
        """Some bytes: of the handshake at first."""
        behind_others = bool(self._untaken)
        self._untaken += data
        if not behind_others:
            self._take_slice()

    def _take_slice(self) -> None:
        """Take some of the bytes, and read on when all are taken: neither time nor memory is without bound."""
        if self.transport.is_closing():
            return
        taken, self._untaken = self._untaken[:_SLICE_BYTES], self._untaken[_SLICE_BYTES:]
        super().data_received(taken)
        if self.conn.handshake_exc and not self.handshake_initiated:
            self._refuse_handshake()
        elif self._untaken:
            self.read_paused = False  # or uvicorn reads on as soon as the application has taken what there is
            self.transport.pause_reading()
            self.loop.call_soon(self._take_slice)
        elif not self.read_paused:
            self.transport.resume_reading()

    def _refuse_handshake(self) -> None:
        """It can't be read, to which uvicorn says nothing at all."""
        if not self.transport.is_closing():
            self.transport.write(_UNREADABLE)
            self.transport.close()

    def send_receive_event_to_app(self) -> None:
        """A message is complete. One that is no text ends the connection, for which uvicorn would log an error."""
        if self.close_sent or self.curr_msg_data_type != "text" or _is_text(b"".join(self.frames)):
            super().send_receive_event_to_app()
        else:
            self.frames = []
            self.conn.send_close(1007)
            self.handle_parser_exception()

    async def send(self, message: Any) -> None:
        """Send. A handshake that is answered by a refusal is over, which uvicorn forgets."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
