"""What a connection may take of us. uvicorn waits without end: for the rest of a head, for a head behind a stray byte,
and for a peer that does not read.

So there is a watch before each of its protocols: `PacedProtocol` looks after what the peer has to read,
`HttpConnection` after the head that it has to send, `WebSocketConnection` after its handshake and its crowds of frames.
How long a body, an operation and a silent WebSocket may take is not decided here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11

from octomesh_graphql.api.errors import FailureCode
from octomesh_graphql.api.over_http import STOPS, Rejected, rejection
from octomesh_graphql.api.pace import PacedProtocol
from octomesh_graphql.domain.text import shown
from octomesh_graphql.limits import Limits

_SLICE_BYTES: Final = 8 * 1024
"""What is taken of a WebSocket before others have their turn: as small frames they are more than a thousand."""

_FRAMES: Final = 4_096
"""In which a message may come; more of them end the connection with 1009. Each costs memory however little is in it,
and `message_bytes` counts only that. The longest message fits in frames of 512 bytes; those of browsers are larger."""

_REASON_CHARACTERS: Final = 200
"""Of why a handshake is refused, which quotes it."""

_REST_OF_BODY_SECONDS: Final = 2.0
"""When the server stops, for a body that is on its way; none is waited for until the end."""

_ALWAYS_SERVED: Final = "/healthz"
"""Also when there are too many connections: the process is well, and restarting it would help nobody."""

_CLOSE: Final = {"connection": "close"}

_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%-]*(:\d*)?|\[[0-9A-Fa-f:.]+\](:\d*)?")
"""What RFC 9110 lets a Host be, with names that need no more than ASCII."""


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
        headers = {"retry-after": "5", **_CLOSE}
        self.no_room = rejection(Rejected(503, FailureCode.RATE_LIMITED, full, headers))


class HttpConnection(PacedProtocol, HttpToolsProtocol):
    """An HTTP connection of somebody who may be slow on purpose, or send what nobody wants.

    Whenever nothing is under way and bytes come that are no whole head, `_late` ends the connection: from its opening
    on, from the first byte of a head, and when something else comes after an answer, like the rest of a body that
    nobody wants. uvicorn itself only waits for the very first byte after an answer.

    What says nothing, neither a whole head nor any of a body, is counted and bounded: half a head, and what may stand
    behind the chunks of a body.
    """

    _late: asyncio.TimerHandle | None = None
    _told = False
    _telling_bytes = 0
    _in_body = False
    _answering: Any = None  # uvicorn's request and answer in one

    def connection_made(self, transport: Any) -> None:
        """Somebody is there, and should soon say what they want."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request, or of several."""
        if self.transport.is_closing():
            return
        self._told = False
        super().data_received(data)
        if self._late is None and self._is_idle():
            self._await_head()
        self._telling_bytes = 0 if self._told else self._telling_bytes + len(data)
        if self._telling_bytes > self.config.limits.head_bytes:
            self._hear_no_more(self._too_large())

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._late is None:
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head. What has the same form behind a body is nobody's."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._not_late()
        self._told = True
        self.scope["refused"] = self._wrong_head()  # type: ignore[typeddict-unknown-key]
        upgraded, deaf = self.parser.should_upgrade() and self._should_upgrade(), self._is_deaf()
        super().on_headers_complete()  # not for a URL that can't be read: then there is no request
        self._in_body = True
        if deaf or (self.expect_100_continue and not upgraded):  # who is refused before "continue" may send no body
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._told = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is there, wanted or not."""
        self._not_late()
        self._told, self._in_body = True, False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """From here on this is a WebSocket."""
        self._stop_looking()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._hear_no_more(Rejected(400, FailureCode.BAD_REQUEST, msg, _CLOSE))

    def shutdown(self) -> None:
        """The server stops. What was asked is answered; what is still being asked, only if that is soon."""
        super().shutdown()
        if self._in_body:
            self.loop.call_later(_REST_OF_BODY_SECONDS, self._wait_no_longer)

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
        if no := cycle.scope["refused"]:
            app = rejection(no)
        elif app is not self.app:  # uvicorn's own for "too many connections", in plain text
            app = self.app if cycle.scope["path"] == _ALWAYS_SERVED else self.config.no_room
        super()._start_asgi_task(cycle, app)

    def _should_upgrade(self) -> bool:
        """Whether it becomes a WebSocket: behind a request that is not answered yet, nothing does."""
        served = self._all_answered() and not self.scope.get("refused")
        return served and self.parser.get_http_version() == "1.1" and super()._should_upgrade()

    def _is_deaf(self) -> bool:
        """Whether an upgrade is asked for that there is none to: the parser then hears no body, nor anything behind."""
        return bool(self.parser.should_upgrade()) and not self._should_upgrade()

    def _is_idle(self) -> bool:
        """Whether no request is under way, and none is waited for."""
        return self._all_answered() and self.timeout_keep_alive_task is None and self.transport.get_protocol() is self

    def _all_answered(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _wrong_head(self) -> Rejected | None:
        """Why a head is refused whatever it asks for, if it is."""
        if sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.url) > self._most_of_head:
            return self._too_large()
        wrong = _wrong_in(self.parser.get_http_version(), self.headers)
        if not wrong and self._is_deaf() and _has_body(self.headers):
            wrong = "There is no upgrade but to a WebSocket. Send a body without one."
        return Rejected(400, FailureCode.BAD_REQUEST, wrong, _CLOSE) if wrong else None

    @property
    def _most_of_head(self) -> int:
        most: int = self.config.limits.head_bytes
        return most

    def _too_large(self) -> Rejected:
        message = f"The head has more than {self._most_of_head:,} bytes."
        return Rejected(431, FailureCode.PAYLOAD_TOO_LARGE, message, _CLOSE)

    def _hear_no_more(self, no: Rejected | None = None) -> None:
        """End the connection: at once, with these words if it is clear to what they belong, or behind the answers that
        are under way."""
        if self._in_body and self.pipeline:  # it is in line, and so is what is said of it
            self.cycle.scope["refused"] = no  # type: ignore[typeddict-unknown-key]
            self.flow.pause_reading()
        elif self._in_body and not self._all_answered() and not self.cycle.response_started:
            self._last_words(no)
        elif not self._all_answered():
            self.cycle.keep_alive = False
            self.flow.pause_reading()
        else:
            self._last_words(None if self._in_body else no)

    def _wait_no_longer(self) -> None:
        if self._in_body:
            self._hear_no_more(STOPS)

    def _last_words(self, no: Rejected | None) -> None:
        if no and not self.transport.is_closing():
            self.transport.write(_written(no))
        self.transport.close()
        if self.cycle:  # whoever still answers it has nobody to answer
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _await_head(self) -> None:
        self._late = self.loop.call_later(self.config.limits.head_seconds, self._hear_no_more)

    def _not_late(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None


def _wrong_in(version: str, head: Sequence[tuple[bytes, bytes]]) -> str | None:
    """What is wrong in a head whatever it asks for, so that those on its way may have understood something else."""
    hosts = [value for name, value in head if name == b"host"]
    codings = [value.lower() for name, value in head if name == b"transfer-encoding"]
    if version not in ("1.0", "1.1"):
        return f"HTTP/{version} is not served here; use HTTP/1.1."
    if len(hosts) > 1 or (version == "1.1" and not hosts) or not all(_HOST.fullmatch(host) for host in hosts):
        return "A request names one Host, as 'name' or 'name:port'."
    if codings not in ([], [b"chunked"]):
        return "The one 'Transfer-Encoding' that is read is 'chunked'."
    if sum(name == b"authorization" for name, _ in head) > 1:
        return "A request has one 'Authorization'."
    return None


def _has_body(head: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether something follows that belongs to the request."""
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in head)


def _written(no: Rejected) -> bytes:
    """A refusal as it goes over the line, where there is no request that it could answer."""
    response = rejection(no)
    response.headers.update(_CLOSE)
    status = f"HTTP/1.1 {no.status} {HTTPStatus(no.status).phrase}".encode()
    return b"\r\n".join((status, *(b": ".join(field) for field in response.raw_headers), b"", bytes(response.body)))


class WebSocketConnection(PacedProtocol, WebSocketsSansIOProtocol):
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

    def keepalive_timeout(self) -> None:
        """No pong in time. Before it can answer, a slow peer has to read what was written before the ping."""
        if not self.is_behind:
            super().keepalive_timeout()
        else:
            self.pong_timer = self.loop.call_later(self.config.limits.ping_seconds / 2, self.keepalive_timeout)

    def _take_slice(self) -> None:
        """Take some of the bytes, and read on when all are taken: neither time nor memory is without bound."""
        if self.transport.is_closing():
            return
        taken, self._untaken = self._untaken[:_SLICE_BYTES], self._untaken[_SLICE_BYTES:]
        super().data_received(taken)
        if (wrong := self.conn.handshake_exc) and not self.handshake_initiated:
            self._refuse_handshake(wrong)
        elif self._untaken:
            self.read_paused = False  # or uvicorn reads on as soon as the application has taken what there is
            self.transport.pause_reading()
            self.loop.call_soon(self._take_slice)
        elif not self.read_paused:
            self.transport.resume_reading()

    def handle_connect(self, event: Any) -> None:
        """A handshake is there. One with a wrong field is refused as one that can't be read, not in plain text."""
        if self.conn.accept(event).status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            super().handle_connect(event)

    def _refuse_handshake(self, wrong: Exception) -> None:
        """It is none, to which uvicorn says nothing at all if it can't be read."""
        if not self.transport.is_closing():
            message = f"This is no handshake of a WebSocket: {shown(str(wrong), _REASON_CHARACTERS)}."
            self.transport.write(_written(Rejected(400, FailureCode.BAD_REQUEST, message)))
            self.transport.close()

    def handle_cont(self, event: Any) -> None:
        """A message goes on. One that does so without end, with next to nothing in each frame, ends the connection."""
        if len(self.frames) < _FRAMES:
            super().handle_cont(event)
        else:
            self._end(1009)

    def send_receive_event_to_app(self) -> None:
        """A message is complete. One that is no text ends the connection, for which uvicorn would log an error."""
        if self.close_sent or self.curr_msg_data_type != "text" or _is_text(b"".join(self.frames)):
            super().send_receive_event_to_app()
        else:
            self._end(1007)

    def handle_parser_exception(self) -> None:
        """What comes can't be taken. There is no way to say so before the handshake is answered."""
        if self.conn.close_sent:
            super().handle_parser_exception()
        else:
            self.close_sent = True  # for uvicorn, which then hears no more
            self.transport.close()

    def _end(self, code: int) -> None:
        """Neither is what came kept, nor does more come, unless the connection is being closed already."""
        self.frames = []
        if not self.close_sent:
            self.conn.fail(code)
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
