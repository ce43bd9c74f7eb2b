"""Connections of peers that are slow, silent, or never read."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count, repeat

import pytest
import uvloop
import websockets
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.frames import Close, Frame, Opcode

from octomesh_graphql.api.listening import listening
from octomesh_graphql.api.tokens import TOKEN_CHARACTERS
from octomesh_graphql.limits import DEFAULT, Limits
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from tests.api.conftest import Api, limited, serving
from tests.builders import created_pool

TYPENAME = json.dumps({"query": "{ __typename }"})


@asynccontextmanager
async def connected(api: Api) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection to the server."""
    reader, writer = await asyncio.open_connection(*api.base.split(":"))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the other side closes, which is soon."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def posted(api: Api) -> bytes:
    """A whole request."""
    head = f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(TYPENAME)}\r\n\r\n{TYPENAME}".encode()


@limited(head_seconds=0.1)
@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nUpgrade: websoc"]
)
async def test_half_a_head_is_not_waited_for(api: Api, sent: bytes) -> None:
    async with connected(api) as (reader, writer):
        writer.write(sent)
        assert await ended(reader) == b""


@limited(head_seconds=0.2)
async def test_nor_is_it_behind_a_whole_request(api: Api) -> None:
    async with connected(api) as (reader, writer):
        writer.write(posted(api))
        assert b" 200 " in await reader.readline()
        writer.write(b"GET / HT")
        assert b"__typename" in await ended(reader)


@limited(head_seconds=0.5)
async def test_who_says_what_they_want_has_all_the_time_they_need(api: Api) -> None:
    async with api.socket() as client, connected(api) as (reader, writer):
        for _ in range(3):
            writer.write(posted(api))
            assert b" 200 " in await reader.readline()
            await reader.readuntil(b"}}")
            await asyncio.sleep(0.6)
        await client.subscribe("{ __typename }")
        assert await client.next() == "Query"


def refused_early(api: Api, length: int) -> bytes:
    """The head of a request that is answered without its body."""
    return f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: {length}\r\n\r\n".encode()


@limited(head_seconds=0.2)
@pytest.mark.parametrize(
    ("head", "later"),
    [
        ("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n"),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", "{"),
        ("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", "{"),
        ("POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n{\r\n"),
    ],
)
async def test_what_begins_no_request_keeps_no_connection_open(api: Api, head: str, later: str) -> None:
    async with connected(api) as (reader, writer):
        writer.write(head.encode())
        assert b"HTTP/1.1 " in await reader.readline()
        await asyncio.sleep(0.05)
        writer.write(later.encode())
        await ended(reader)


async def test_a_body_that_nobody_wants_may_still_come_before_the_next_request(api: Api) -> None:
    body = DEFAULT.head_bytes * 3
    async with connected(api) as (reader, writer):
        writer.write(refused_early(api, body))
        assert b" 415 " in await reader.readline()
        for _ in range(3):
            writer.write(b"x" * (body // 3))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(posted(api))
        async with asyncio.timeout(10):
            assert b"HTTP/1.1 200 OK" in await reader.readuntil(b"HTTP/1.1 200 OK")


async def test_a_head_beyond_the_bound_is_refused(api: Api) -> None:
    async with connected(api) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + b"X-More: more\r\n" * (DEFAULT.head_bytes // 14 + 10))
        assert b" 431 " in await ended(reader)


UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
)
HANDSHAKE = f"Host: x\r\n{UPGRADE}"


@pytest.mark.parametrize(
    "more",
    ["".join(f"X-{number}: x\r\n" for number in range(130)), "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"],
)
async def test_a_handshake_that_can_not_be_read_is_refused_at_once(api: Api, more: str) -> None:
    async with connected(api) as (reader, writer):
        writer.write(f"GET {api.path} HTTP/1.1\r\n{HANDSHAKE}{more}\r\n".encode())
        assert b" 400 " in await ended(reader)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Sec-WebSocket-Protocol", "graphql-transport-ws;x"),
        ("Sec-WebSocket-Protocol", "x" * 20_000 + ";"),
        ("Sec-WebSocket-Version", "12"),
        ("Sec-WebSocket-Key", "AAAA"),
    ],
)
async def test_nor_is_one_with_a_wrong_field_and_both_in_the_form_of_all_answers(
    api: Api, field: str, value: str
) -> None:
    right = "".join(f"{line}\r\n" for line in HANDSHAKE.splitlines() if not line.startswith(field))
    async with connected(api) as (reader, writer):
        writer.write(f"GET {api.path} HTTP/1.1\r\n{right}{field}: {value}\r\n\r\n".encode())
        heard = await ended(reader)
    assert len(heard) < 1_000
    [(status, body)] = answers(heard)
    [error] = json.loads(body)["errors"]
    assert (status, error["extensions"]["code"]) == (400, "BAD_REQUEST")
    assert field in error["message"]


async def test_a_handshake_carries_the_longest_token_and_query_string(api: Api) -> None:
    more = f"Authorization: Bearer {'x' * TOKEN_CHARACTERS}\r\n"
    async with connected(api) as (reader, writer):
        writer.write(f"GET {api.path}?x={'x' * 16_000} HTTP/1.1\r\n{HANDSHAKE}{more}\r\n".encode())
        assert b" 101 " in await asyncio.wait_for(reader.readline(), 10)


def fragmented(frames: int, payload: bytes) -> bytes:
    """A ping in so many frames."""
    ping = b'{"type": "ping"' + payload * (frames - 2) + b"}"
    first, last = Frame(Opcode.TEXT, ping[:15], fin=False), Frame(Opcode.CONT, ping[-1:])
    between = Frame(Opcode.CONT, payload, fin=False).serialize(mask=True) * (frames - 2)
    return first.serialize(mask=True) + between + last.serialize(mask=True)


@pytest.mark.parametrize("payload", [b"", b" "])
async def test_a_message_comes_in_so_many_frames_and_no_more(api: Api, payload: bytes) -> None:
    async with connected(api) as (reader, writer):
        writer.write(f"GET {api.path} HTTP/1.1\r\n{HANDSHAKE}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(2):  # each is counted anew
            writer.write(fragmented(4_096, payload))
            assert b"pong" in await asyncio.wait_for(reader.readuntil(b"}"), 10)
        writer.write(fragmented(4_097, payload))
        assert await ended(reader) == Frame(Opcode.CLOSE, Close(1009, "").serialize()).serialize(mask=False)


async def test_the_longest_message_comes_in_frames_of_half_a_kibibyte(api: Api) -> None:
    padded = '{"type": "ping"' + " " * (DEFAULT.message_bytes - 16) + "}"
    async with api.socket() as client:
        await client.ws.send(padded[at : at + 512] for at in range(0, len(padded), 512))
        assert (await client.receive())["type"] == "pong"


@pytest.mark.parametrize(
    "early",
    [
        [Frame(Opcode.TEXT, b"\xff")],
        [Frame(Opcode.CONT, b"")],
        [Frame(Opcode.TEXT, b"", fin=False), *repeat(Frame(Opcode.CONT, b"", fin=False), 4_096)],
    ],
    ids=["no text", "no beginning", "no end"],
)
async def test_what_is_wrong_before_a_handshake_is_answered_ends_the_connection_and_is_no_fault(
    caplog: pytest.LogCaptureFixture, early: list[Frame]
) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def hesitant(ws: WebSocket) -> None:
        arrived.set()
        await ws.receive()
        if (await ws.receive())["type"] == "websocket.disconnect":
            gone.set()

    app = Starlette(routes=[WebSocketRoute("/", hesitant)])
    with socket.create_server(("127.0.0.1", 0)) as door:
        async with listening(app, door, leaving=lambda: None, closing=lambda: None, limits=DEFAULT):
            reader, writer = await asyncio.open_connection(*door.getsockname())
            writer.write(f"GET / HTTP/1.1\r\n{HANDSHAKE}\r\n".encode())
            async with asyncio.timeout(10):
                await arrived.wait()
                writer.write(b"".join(frame.serialize(mask=True) for frame in early))
                assert await ended(reader) == b""
                await gone.wait()
            writer.close()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_crowds_of_frames_leave_others_their_turn_and_are_all_answered(api: Api) -> None:
    pings = 20_000
    turns = 0

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with connected(api) as (reader, writer):
        writer.write(f"GET {api.path} HTTP/1.1\r\n{HANDSHAKE}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        turning = asyncio.create_task(somebody_else())
        writer.write(Frame(Opcode.PING, b"").serialize(mask=True) * pings)
        pong = Frame(Opcode.PONG, b"").serialize(mask=False)
        async with asyncio.timeout(20):
            assert await reader.readexactly(len(pong) * pings) == pong * pings
        turning.cancel()
    assert turns > pings * 6 / 8_192  # each time no more than eight KiB are taken


@limited(connections=10)
async def test_whoever_finds_no_room_is_told_when_to_come_back_and_that_the_server_lives(api: Api) -> None:
    async with AsyncExitStack() as opened:
        for _ in range(10):
            await opened.enter_async_context(connected(api))
        full = await api.post("{ __typename }")
        assert (full.status_code, full.json()["errors"][0]["extensions"]["code"]) == (503, "RATE_LIMITED")
        assert full.headers["retry-after"]
        assert (await api.http.get("/healthz")).status_code == 200
    async with asyncio.timeout(10):
        while (await api.post("{ __typename }")).status_code == 503:
            await asyncio.sleep(0.01)


def test_who_leaves_before_several_answers_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: Request) -> Response:
        await request.body()  # uvicorn reads on, and hears that they leave
        await asyncio.sleep(0.02)
        return Response(b"x")

    async def leave_early() -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            app = Starlette(routes=[Route("/", answer)])
            async with listening(app, door, leaving=lambda: None, closing=lambda: None):
                for pipelined in (2, 5, 50):
                    _, writer = await asyncio.open_connection(*door.getsockname())
                    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * pipelined)
                    await asyncio.sleep(0.005)
                    writer.transport.abort()
                    await asyncio.sleep(0.05)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # asyncio's own loop writes into the void
        runner.run(leave_early())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@asynccontextmanager
async def answering(size: int, stalled_seconds: float) -> AsyncIterator[socket.socket]:
    """Somebody who has asked for that much, on a line that holds next to nothing."""

    async def answer(_: Request) -> Response:
        return Response(b"x" * size, headers={"connection": "close"})

    limits = DEFAULT.model_copy(update={"stalled_seconds": stalled_seconds})
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket() as peer:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        app = Starlette(routes=[Route("/", answer)])
        async with listening(app, door, leaving=lambda: None, closing=lambda: None, limits=limits):
            await asyncio.get_running_loop().sock_connect(peer, door.getsockname())
            await asyncio.get_running_loop().sock_sendall(peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            yield peer


async def read(peer: socket.socket, at_once: int, pause: float) -> int:
    """How much comes, when so much is read with such pauses, until the connection ends."""
    got = 0
    async with asyncio.timeout(30):
        while True:
            try:
                part = await asyncio.get_running_loop().sock_recv(peer, at_once)
            except ConnectionError:
                return got
            if not part:
                return got
            got += len(part)
            await asyncio.sleep(pause)


async def test_the_last_words_before_closing_are_not_kept_for_who_does_not_read_them() -> None:
    async with answering(40_000, stalled_seconds=0.2) as peer:
        await asyncio.sleep(1)
        assert await read(peer, 100_000, 0) < 40_000


async def test_who_reads_slowly_has_all_the_time_they_need() -> None:
    async with answering(1_000_000, stalled_seconds=0.5) as peer:
        assert await read(peer, 4_096, 0.005) > 1_000_000


async def test_who_reads_next_to_nothing_has_not() -> None:
    async with answering(1_000_000, stalled_seconds=0.2) as peer:
        assert await read(peer, 100, 0.05) < 1_000_000


LONG = "{" + " ".join(f"x{n}: pools(first: 9) {{ nodes {{ description }} }}" for n in range(20)) + "}"
"""Its answer has some hundred thousand bytes."""


def asked_over_http(api: Api) -> Iterator[bytes]:
    """Requests for long answers, without end."""
    body = json.dumps({"query": LONG})
    head = f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    yield from repeat(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


def asked_over_websocket(api: Api) -> Iterator[bytes]:
    """The same by a WebSocket."""
    yield f"GET {api.path} HTTP/1.1\r\n{HANDSHAKE}\r\n".encode()
    yield _framed({"type": "connection_init"})
    for number in count():
        yield _framed({"id": str(number), "type": "subscribe", "payload": {"query": LONG}})


def _framed(message: object) -> bytes:
    return Frame(Opcode.TEXT, json.dumps(message).encode()).serialize(mask=True)


@limited(stalled_seconds=0.1)
@pytest.mark.parametrize("asking", [asked_over_http, asked_over_websocket])
async def test_a_peer_that_does_not_read_is_dropped_with_all_it_holds(
    api: Api, store: TenantStore, asking: Callable[[Api], Iterator[bytes]]
) -> None:
    for number in range(9):
        await created_pool(store, f"Pool {number}", description="d" * 2_000)
    loop, (host, port) = asyncio.get_running_loop(), api.base.split(":")

    async def ask_on() -> None:
        requests = asking(api)
        async with asyncio.timeout(20):
            await loop.sock_sendall(peer, next(requests))
            await loop.sock_recv(peer, 100)  # the beginning of an answer, and nothing more
            for request in requests:
                await loop.sock_sendall(peer, request)

    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        await loop.sock_connect(peer, (host, int(port)))
        with pytest.raises(ConnectionError):
            await ask_on()
    assert await api.ask("{ __typename }") == {"__typename": "Query"}


# What is said byte by byte, and what is answered


async def said(base: str, *pieces: bytes, pause: float = 0.0) -> bytes:
    """What is answered, until the other side closes, to what is sent in these pieces."""
    loop, (host, port) = asyncio.get_running_loop(), base.split(":")
    with socket.socket() as peer:
        peer.setblocking(False)
        await loop.sock_connect(peer, (host, int(port)))
        sending = asyncio.create_task(_send(peer, pieces, pause))
        answer = b""
        with suppress(ConnectionError):  # what came before is there nevertheless
            async with asyncio.timeout(10):
                while part := await loop.sock_recv(peer, 65_536):
                    answer += part
        sending.cancel()
    return answer


async def _send(peer: socket.socket, pieces: Iterable[bytes], pause: float = 0.0) -> int:
    """How much could be sent, as long as the other side listens."""
    sent = 0
    with suppress(ConnectionError):
        for piece in pieces:
            await asyncio.get_running_loop().sock_sendall(peer, piece)
            sent += len(piece)
            await asyncio.sleep(pause)
    return sent


def answers(heard: bytes) -> list[tuple[int, bytes]]:
    """Statuses and bodies of whole answers, between and behind which nothing else comes."""
    found = []
    while heard:
        head, _, rest = heard.partition(b"\r\n\r\n")
        status, length = re.match(rb"HTTP/1\.1 (\d+) ", head), re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        assert status, heard
        assert length, heard
        size = int(length[1])
        assert len(rest) >= size, heard
        found.append((int(status[1]), rest[:size]))
        heard = rest[size:]
    return found


def refusals(heard: bytes) -> list[tuple[int, str]]:
    """Statuses and codes of answers that are nothing but refusals."""
    return [(status, json.loads(body)["errors"][0]["extensions"]["code"]) for status, body in answers(heard)]


async def told(request: Request) -> Response:
    """What was asked, as it was understood; a path with a number takes so many seconds."""
    with suppress(ClientDisconnect):
        body = await request.body()
        seconds = request.path_params["path"]
        await asyncio.sleep(float(seconds) if seconds[:1].isdecimal() else 0)
        names = [name.decode() for name, _ in request.scope["headers"]]
        return JSONResponse({"path": request.url.path, "names": names, "body": body.decode()})
    return Response()


@asynccontextmanager
async def telling(limits: Limits = DEFAULT) -> AsyncIterator[str]:
    """A server that tells what it was asked; gives its host and port."""
    app = Starlette(routes=[Route("/{path:path}", told, methods=["GET", "POST"])])
    with socket.create_server(("127.0.0.1", 0)) as door:
        async with listening(app, door, leaving=lambda: None, closing=lambda: None, limits=limits):
            yield f"127.0.0.1:{door.getsockname()[1]}"


GOOD = b"GET /0.3 HTTP/1.1\r\nHost: x\r\n\r\n"
"""It takes a moment, so that what comes behind it has to wait."""

CHUNKED = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

BROKEN = [
    b"\x00\x01\x02\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX A : b\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://:::/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n",
]
"""Heads that nobody can read."""


@pytest.mark.parametrize("head", BROKEN)
async def test_a_head_that_can_not_be_read_is_refused_in_the_form_of_all_answers(head: bytes) -> None:
    async with telling() as base:
        assert refusals(await said(base, head)) == [(400, "BAD_REQUEST")]


@pytest.mark.parametrize("head", BROKEN)
async def test_nobody_is_robbed_of_an_answer_by_what_comes_behind(head: bytes) -> None:
    async with telling() as base:
        for pieces in ([GOOD + head], [GOOD, head]):
            [(status, _)] = answers(await said(base, *pieces, pause=0.05))
            assert status == 200


WRONG = {
    "no host": "GET / HTTP/1.1\r\n",
    "two hosts": "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
    "a host with a blank": "GET / HTTP/1.1\r\nHost: a b/c@d\r\n",
    "a host with a path": "GET / HTTP/1.1\r\nHost: a/c\r\n",
    "a host with a user": "GET / HTTP/1.1\r\nHost: c@d\r\n",
    "a host with a wrong port": "GET / HTTP/1.1\r\nHost: a:b\r\n",
    "two hosts in an older version": "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n",
    "two tokens": "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\n",
    "two codings": "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
    "two codings in a line": "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x, chunked\r\n",
    "an upgrade with a body": (
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 40\r\n"
    ),
    "an upgrade with chunks": (
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n"
    ),
    "a newer version": "GET / HTTP/2.0\r\nHost: x\r\n",
    "the oldest version": "GET /\r\n",
}
"""Heads that somebody on the way may understand otherwise than we do."""


@pytest.mark.parametrize("more", ["", UPGRADE], ids=["request", "handshake"])
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_head_that_can_be_misunderstood_is_refused(wrong: str, more: str) -> None:
    head = f"{WRONG[wrong]}{more}\r\n".encode()
    async with telling() as base:
        assert refusals(await said(base, head)) == [(400, "BAD_REQUEST")]
        [(first, body), *others] = answers(await said(base, GOOD + head + GOOD))
        assert (first, json.loads(body)["path"]) == (200, "/0.3")
        assert [status for status, _ in others] == [400]


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.0\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n",
        *(f"GET / HTTP/1.1\r\nHost: {host}\r\n" for host in ("[::1]:8000", "[::1]", "localhost", "a_b.example:80")),
    ],
)
async def test_a_host_may_be_whatever_a_host_can_be(head: str) -> None:
    async with telling() as base:
        [(status, _)] = answers(await said(base, f"{head}Connection: close\r\n\r\n".encode()))
        assert status == 200


async def test_what_stands_behind_an_upgrade_that_is_not_taken_is_no_request_of_its_own() -> None:
    upgrade = b"GET /first HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    async with telling() as base:
        for pieces in ([upgrade + GOOD], [upgrade, GOOD]):
            [(status, body)] = answers(await said(base, *pieces, pause=0.1))
            assert (status, json.loads(body)["path"]) == (200, "/first")


async def test_no_websocket_begins_in_the_middle_of_an_answer() -> None:
    handshake = f"GET / HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n".encode()
    async with telling() as base:
        [(first, body), (second, _)] = answers(await said(base, GOOD + handshake))
        assert (first, json.loads(body)["path"], second) == (200, "/0.3", 200)


async def test_who_may_leave_the_body_away_is_heard_no_more(api: Api) -> None:
    head = f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 40\r\n"
    heard = await said(api.base, f"{head}Expect: 100-continue\r\n\r\n".encode())
    assert refusals(heard) == [(415, "UNSUPPORTED_MEDIA_TYPE")]


async def test_an_older_version_has_no_websockets(api: Api) -> None:
    heard = await said(api.base, f"GET {api.path} HTTP/1.0\r\n{HANDSHAKE}\r\n".encode())
    assert refusals(heard) == [(400, "BAD_REQUEST")]  # as any GET without a query


def long_head(size: int) -> bytes:
    """A head of so many bytes."""
    head = b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    return head + b"X-More: " + b"x" * (size - len(head) - 12) + b"\r\n\r\n"


@pytest.mark.parametrize("at_once", [200_000, 5_000])
async def test_the_bound_of_a_head_is_the_same_however_it_comes(at_once: int) -> None:
    async with telling() as base:
        for size, status in ((60_000, 200), (100_000, 431)):
            head = long_head(size)
            assert len(head) == size
            pieces = [head[start : start + at_once] for start in range(0, size, at_once)]
            heard = await said(base, *pieces, pause=0.001)
            assert [each for each, _ in answers(heard)] == [status]
    assert refusals(heard) == [(431, "PAYLOAD_TOO_LARGE")]


async def test_nor_does_it_matter_what_comes_before() -> None:
    async with telling() as base:
        heard = await said(base, GOOD + long_head(100_000))
        assert [status for status, _ in answers(heard)] in ([200], [200, 431])  # as it comes in one read or in two


TRAILERS = {"many": b"X-More: more\r\n" * (262_144 // 14), "one without end": b"x" * 262_144}


@pytest.mark.parametrize("trailers", TRAILERS)
@pytest.mark.parametrize(("path", "status"), [("", 431), ("/nope", 404)], ids=["endpoint", "nowhere"])
async def test_what_stands_behind_the_chunks_of_a_body_is_bounded_as_a_head(
    api: Api, path: str, status: int, trailers: str
) -> None:
    loop, (host, port) = asyncio.get_running_loop(), api.base.split(":")
    head = f"POST {path or api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    begun = f"{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nX-First: ".encode()
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer.setblocking(False)
        await loop.sock_connect(peer, (host, int(port)))
        await loop.sock_sendall(peer, begun)
        async with asyncio.timeout(10):
            sent = await _send(peer, repeat(TRAILERS[trailers], 80))
        assert sent < 2_000_000  # what one read and the buffers of the machine take; nothing of the 20 MB else
        assert (await loop.sock_recv(peer, 100)).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    "body", [b"1;" + b"x" * 200_000, b"0\r\n" + b"X: " + b"x" * 200_000], ids=["extension", "trailer"]
)
async def test_what_says_nothing_in_a_body_that_is_in_line_waits_for_the_answers_before_it(body: bytes) -> None:
    pieces = [body[start : start + 50_000] for start in range(0, len(body), 50_000)]
    async with telling() as base:
        heard = answers(await said(base, GOOD + CHUNKED, *pieces, pause=0.2))
        assert [status for status, _ in heard] == [200, 431]
        assert json.loads(heard[0][1])["path"] == "/0.3"


async def test_nor_does_a_body_that_can_not_be_read_come_before_them() -> None:
    async with telling() as base:
        heard = answers(await said(base, GOOD + GOOD + CHUNKED + b"zz\r\n"))
        assert [status for status, _ in heard] == [200, 200, 400]


async def test_what_stands_behind_the_chunks_is_nobodys() -> None:
    head = CHUNKED.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"
    async with telling() as base:
        for pieces in (
            [head + b"2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n"],
            [head + b"2\r\n{}\r\n", b"0\r\nAuthorization: ", b"Bearer x\r\nX: y\r\n", b"\r\n"],
        ):
            [(status, body)] = answers(await said(base, *pieces, pause=0.02))
            assert status == 200
            assert json.loads(body) == {
                "path": "/x", "names": ["host", "transfer-encoding", "connection"], "body": "{}"
            }  # fmt: skip


async def test_half_a_head_behind_a_long_operation_waits_for_its_answer() -> None:
    async with telling(DEFAULT.model_copy(update={"head_seconds": 0.3})) as base:
        began = time.monotonic()
        for pieces in ([b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET / HT"], [GOOD, b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nG"]):
            heard = answers(await said(base, *pieces))
            assert [status for status, _ in heard] == [200] * len(pieces)
            assert json.loads(heard[-1][1])["path"] == "/1"
        assert time.monotonic() - began < 8


# The end of the server


async def test_a_server_that_stops_answers_what_is_asked_and_waits_for_no_half_body(
    caplog: pytest.LogCaptureFixture,
) -> None:
    half = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{}"
    async with AsyncExitStack() as server:
        base = await server.enter_async_context(telling())
        peers = [
            asyncio.create_task(said(base, *pieces, pause=1.2))
            for pieces in (
                [half],
                [half, b"{}"],
                [b"GET /3 HTTP/1.1\r\nHost: x\r\n\r\n"],
                [b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" + half],
            )
        ]
        await asyncio.sleep(0.3)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    never, late, running, behind = await asyncio.gather(*peers)
    assert refusals(never) == [(503, "UNAVAILABLE")]
    assert b"\r\nretry-after: " in never
    assert [status for status, _ in answers(late)] == [200]
    assert [status for status, _ in answers(running)] == [200]
    assert [status for status, _ in answers(behind)] == [200, 503]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("more", ["Content-Length: 9\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"])
async def test_a_half_body_of_an_operation_is_told_after_two_seconds_that_the_server_stops(
    sessions: Sessions, feed: Feed, store: TenantStore, caplog: pytest.LogCaptureFixture, more: str
) -> None:
    head = f"POST /tenants/{store.tenant.id}/graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    async with AsyncExitStack() as server:
        base = await server.enter_async_context(serving(sessions, feed))
        speaking = asyncio.create_task(said(base, f"{head}{more}".encode()))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        closing = asyncio.create_task(server.aclose())
        heard = await speaking
        assert 1.5 < time.monotonic() - began < 4
        await closing
    assert refusals(heard) == [(503, "UNAVAILABLE")]
    assert b"\r\nretry-after: " in heard
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


# Those who read slowly, but steadily

LARGE = 8_000_000
PART = 200_000
SLOW = DEFAULT.model_copy(update={"stalled_seconds": 0.4, "ping_seconds": 1})
DEMANDED = 64 * 1024 / SLOW.stalled_seconds
"""Bytes a second."""

PACES = 6
"""How many times as fast as demanded they read."""


async def large(_: Request) -> Response:
    """More than a machine keeps for a peer."""
    return Response(b"x" * LARGE, headers={"connection": "close"})


async def large_parts(_: Request) -> Response:
    """Some of it, of which each part is written when the one before it is gone."""
    return StreamingResponse((b"x" * PART for _ in range(5)), headers={"connection": "close"})


async def large_messages(ws: WebSocket) -> None:
    """The same in messages."""
    await ws.accept()
    for _ in range(LARGE // 40_000):
        await ws.send_text("x" * 40_000)
    await ws.close()


@asynccontextmanager
async def large_served(receive_buffer: int | None) -> AsyncIterator[tuple[socket.socket, str]]:
    """A peer of a server with large answers, and its host and port."""
    app = Starlette(routes=[Route("/", large), Route("/parts", large_parts), WebSocketRoute("/", large_messages)])
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket() as peer:
        if receive_buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.setblocking(False)
        async with listening(app, door, leaving=lambda: None, closing=lambda: None, limits=SLOW):
            await asyncio.get_running_loop().sock_connect(peer, door.getsockname())
            yield peer, f"127.0.0.1:{door.getsockname()[1]}"


@pytest.mark.parametrize("receive_buffer", [4_096, None])
async def test_who_reads_a_large_answer_slowly_and_steadily_has_all_of_it(receive_buffer: int | None) -> None:
    loop, got = asyncio.get_running_loop(), 0
    async with large_served(receive_buffer) as (peer, _), asyncio.timeout(40):
        await loop.sock_sendall(peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while part := await loop.sock_recv(peer, 16_384):
            got += len(part)
            await asyncio.sleep(len(part) / (PACES * DEMANDED))
    assert got > LARGE


@pytest.mark.parametrize("receive_buffer", [4_096, None])
async def test_who_reads_messages_slowly_and_steadily_has_all_of_them(receive_buffer: int | None) -> None:
    async with large_served(receive_buffer) as (peer, base):
        got = 0
        connecting = websockets.connect(f"ws://{base}/", sock=peer, max_queue=1, ping_interval=None, compression=None)
        async with asyncio.timeout(40), connecting as ws:
            async for message in ws:
                got += len(message)
                await asyncio.sleep(len(message) / (PACES * DEMANDED))
        assert (ws.close_code, got) == (1000, LARGE)


async def test_who_has_read_ahead_may_rest_also_when_more_was_written_since() -> None:
    loop, got = asyncio.get_running_loop(), 0
    async with large_served(4_096) as (peer, _), asyncio.timeout(20):
        await loop.sock_sendall(peer, b"GET /parts HTTP/1.1\r\nHost: x\r\n\r\n")
        while part := await loop.sock_recv(peer, 16_384):
            if (got + len(part)) // PART > got // PART:
                await asyncio.sleep(2 * SLOW.stalled_seconds)
            got += len(part)
    assert got > 5 * PART
