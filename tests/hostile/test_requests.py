"""Requests that are hardly requests, byte by byte."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from tests.hostile.conftest import Target

ASK = json.dumps({"query": "{ __typename }"}).encode()
GET = b"GET /tenants/demo/graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
HEAD = b"POST /tenants/demo/graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PLAIN = HEAD + b"Content-Length: %d\r\n\r\n" % len(ASK) + ASK

RAW: dict[str, bytes] = {
    "nothing": b"",
    "noise": bytes(range(256)) * 40,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    "another version": b"GET / HTTP/9.9\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a poisoned host": b"GET / HTTP/1.1\r\nHost: evil.example.com/x?y=@z\r\n\r\n",
    "a line without end": b"GET /" + b"a" * 200_000,
    "a thousand headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 5_000 + b"\r\n",
    "folded headers": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n",
    "blanks in names": b"GET / HTTP/1.1\r\nHost: localhost\r\nX A : b\r\n\r\n",
    "zero bytes": b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 20\r\n\r\n" + ASK,
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "an endless length": HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
    "chunks of nonsense": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk that is too large": HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
    "a body beyond the bound": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 20,
    "broken behind a good one": PLAIN + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a URL without a path": b"GET http://:::/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "expectations": HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    "pipelined": PLAIN * 50,
    "an upgrade to nothing": GET + b"Upgrade: h2c\r\n\r\n",
    "half an upgrade": GET + b"Upgrade: websocket\r\n\r\n",
    "an upgrade of another version": (
        GET + b"Upgrade: websocket\r\nSec-WebSocket-Version: 99\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ),
    "methods": b"BREW /tenants/demo/graphql HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a range": b"GET / HTTP/1.1\r\nHost: localhost\r\nRange: bytes=" + b"0-1," * 4_000 + b"0-1\r\n\r\n",
}

PATHS = [
    "/tenants/../tenants/demo/graphql", "/tenants/demo%2Fgraphql", "/tenants/%2e%2e/graphql", "/tenants//graphql",
    "/tenants/demo%00/graphql", "/tenants/DEMO/graphql", "/tenants/admin/graphql", "/tenants/demo /graphql",
    "/tenants/" + "a" * 5_000 + "/graphql", "/tenants/%F0%9F%8F%AD/graphql", "/tenants/demo;x=1/graphql",
    "//demo/graphql",
    "/tenants/$where/graphql", "/assets/../index.html", "/assets/%2e%2e/%2e%2e/settings.py",
    "/assets/..%5c..%5csettings.py",
    "/tenants/demo/pools/" + "a" * 5_000, "/tenants/demo/graphql/", "/graphql", "/agents/graphql/..",
    "/\\evil.example.com",
]  # fmt: skip


async def spoken(target: Target, sent: bytes) -> bytes:
    """What is answered until the server ends the connection, or says nothing more for a while."""
    host, port = target.base.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""
    try:
        writer.write(sent)
        while part := await asyncio.wait_for(reader.read(65_536), 1):
            answer += part
    except (ConnectionError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    return answer


@pytest.mark.parametrize("name", RAW)
async def test_whatever_comes_is_answered_or_cut_off(target: Target, name: str) -> None:
    for answer in await asyncio.gather(*(spoken(target, RAW[name]) for _ in range(5))):
        statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
        assert all(status < 500 for status in statuses), answer[:500]
        if name == "pipelined":
            assert statuses == [200] * 50
        if name == "broken behind a good one":
            assert statuses == [200, 400]


@pytest.mark.parametrize("path", PATHS)
async def test_no_path_leads_where_it_should_not(target: Target, path: str) -> None:
    raw = path.encode().replace(b" ", b"%20")
    answer = await spoken(target, HEAD.replace(b"/tenants/demo/graphql", raw) + b"Content-Length: 2\r\n\r\n{}")
    assert re.match(rb"HTTP/1\.1 (3\d\d|4\d\d) ", answer), answer[:200]
    answer = await spoken(target, b"GET " + raw + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert re.match(rb"HTTP/1\.1 (200|3\d\d|4\d\d) ", answer), answer[:200]
    assert b"OCTOMESH_" not in answer
    location = re.search(rb"location: (.*)\r\n", answer)
    assert location is None or not location[1].startswith((b"//", b"http://evil", b"/\\"))


async def test_slow_clients_hold_up_nobody(target: Target) -> None:
    async def dribble() -> None:
        host, port = target.base.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        try:
            for byte in PLAIN[:40]:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.1)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    await asyncio.gather(*(dribble() for _ in range(100)))


PIECE = 256 * 1024
TRAILERS = {"many": b"X-More: more\r\n" * (PIECE // 14), "one without end": b"x" * PIECE}


@pytest.mark.parametrize("trailers", TRAILERS)
@pytest.mark.parametrize("path", [b"/tenants/demo/graphql", b"/nope"])
async def test_what_stands_behind_the_chunks_of_a_body_fills_no_memory(
    target: Target, path: bytes, trailers: str
) -> None:
    async def flood() -> int:
        """Send 20 MB; how much of it found somebody who listens."""
        host, port = target.base.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        sent = 0
        try:
            writer.write(HEAD.replace(b"/tenants/demo/graphql", path) + b"Transfer-Encoding: chunked\r\n\r\n")
            writer.write(b"2\r\n{}\r\n0\r\nX-First: ")
            for _ in range(80):
                writer.write(TRAILERS[trailers])
                await writer.drain()
                sent += PIECE
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
        return sent

    before = target.memory()
    async with asyncio.timeout(20):
        sent = await asyncio.gather(*(flood() for _ in range(10)))
    assert max(sent) < 10_000_000  # the buffers of the machine take some
    assert target.memory() - before < 20_000_000
