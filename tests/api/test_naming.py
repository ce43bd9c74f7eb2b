"""By which names a server is asked that knows nobody, and from which origins any server is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2 as httpx
import pytest
import websockets

from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from tests.api.conftest import Socket, serving

PATHS = ["/tenants/acme/graphql", "/agents/graphql"]
ASK = {"query": "{ __typename }"}
PROTOCOLS = [websockets.Subprotocol("graphql-transport-ws")]


@pytest.fixture
async def base(sessions: Sessions, feed: Feed, store: TenantStore) -> AsyncIterator[str]:
    """A server with the tenant `acme` that answers to its machine and, by `OCTOMESH_PUBLIC_URL`, to two names more."""
    async with serving(
        sessions, feed, names=["127.0.0.1", "octomesh.example.com", "Plant.example.com:8443"]
    ) as address:
        yield address


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "notlocalhost:8000",
        "127.0.0.1.evil.example",
        "octomesh.example.com.evil.example",
        "www.octomesh.example.com",
        "example.com",
    ],
)
async def test_by_a_strangers_name_nothing_is_to_be_had(http: httpx.AsyncClient, host: str) -> None:
    for path in PATHS:
        answer = await http.post(path, json=ASK, headers={"host": host})
        [error] = answer.json()["errors"]
        assert (answer.status_code, error["extensions"]["code"]) == (421, "FORBIDDEN")
        assert f"not to '{host.partition(':')[0]}'" in error["message"]
        assert "OCTOMESH_PUBLIC_URL" in error["message"]
        assert answer.headers["x-request-id"]
        assert "access-control-allow-origin" not in answer.headers
    pages = ("/", "/tenants/acme/", "/assets/none.js", "/schema.graphql", "/agents.graphql", "/nowhere")
    for path in (*PATHS, *pages, "/healthz", "/readyz", "/metrics"):  # probes come by a number
        assert (await http.get(path, headers={"host": host})).status_code == 421


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8000",
        "a.localhost:8000",
        "127.0.0.1",
        "127.0.0.1:8000",
        "127.8.8.8",
        "[::1]",
        "[::1]:8000",
        "10.0.0.7:8000",
        "[fd00::7]:8000",
        "octomesh.example.com",
        "OctoMesh.example.com:8000",
        "plant.example.com",
    ],
)
async def test_by_its_own_names_and_by_numbers_it_answers(http: httpx.AsyncClient, host: str) -> None:
    for path in PATHS:
        answer = await http.post(path, json=ASK, headers={"host": host})
        assert answer.json() == {"data": {"__typename": "Query"}}
    assert (await http.get("/healthz", headers={"host": host})).status_code == 200


async def test_who_speaks_too_old_a_http_to_tell_a_name_is_answered(base: str) -> None:
    host, port = base.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 5)).split(b"\r\n")[0] == b"HTTP/1.1 200 OK"
    writer.close()


@pytest.mark.parametrize("path", PATHS)
async def test_by_a_strangers_name_no_websocket_is_opened(base: str, path: str) -> None:
    host, port = base.split(":")
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://evil.example:8000{path}", host=host, port=int(port), subprotocols=PROTOCOLS)
    assert refused.value.response.status_code == 421
    assert json.loads(refused.value.response.body)["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    for name in ("localhost:8000", "[::1]:8000", "octomesh.example.com"):
        url = f"ws://{name}{path}"
        async with websockets.connect(url, host=host, port=int(port), subprotocols=PROTOCOLS) as ws:
            socket = Socket(ws)
            await socket.send({"type": "connection_init"})
            assert (await socket.receive())["type"] == "connection_ack"


async def test_a_server_that_asks_who_one_is_or_is_open_to_all_answers_to_any_name(
    sessions: Sessions, feed: Feed, store: TenantStore
) -> None:
    async with serving(sessions, feed, names=None) as base, httpx.AsyncClient(base_url=f"http://{base}") as http:
        for path in PATHS:
            assert (await http.post(path, json=ASK, headers={"host": "evil.example"})).status_code == 200
        host, port = base.split(":")
        async with websockets.connect(
            f"ws://evil.example{PATHS[0]}", host=host, port=int(port), subprotocols=PROTOCOLS
        ):
            pass


# Origins

PUBLIC_URLS = [
    "https://OctoMesh.example.com/panel/",
    "http://[fd00::7]:8443",
    "https://öl.example.com:443",
    "http://x:y",
]


@pytest.fixture
async def behind(sessions: Sessions, feed: Feed, store: TenantStore) -> AsyncIterator[str]:
    """A server behind a proxy that asks it by another host than it is asked by."""
    async with serving(sessions, feed, origins=PUBLIC_URLS) as address:
        yield address


@asynccontextmanager
async def opened(base: str, path: str, **headers: str) -> AsyncIterator[Socket]:
    """A WebSocket for a page. Raises InvalidStatus."""
    async with websockets.connect(
        f"ws://{base}{path}", subprotocols=PROTOCOLS, additional_headers=headers
    ) as connection:
        yield Socket(connection)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://octomesh.example.com",
        "https://octomesh.example.com:8443",
        "https://octomesh.example.com.evil.example",
        "https://www.octomesh.example.com",
        "http://127.0.0.1",
        "https://x\te",
        "http://x:y",
        "https://[",
        "null",
        "*",
        "",
    ],
)
async def test_pages_of_another_origin_can_open_no_websocket(
    behind: str, origin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in PATHS:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with opened(behind, path, Origin=origin):
                pass
        answer = refused.value.response
        [error] = json.loads(answer.body)["errors"]
        assert (answer.status_code, error["extensions"]["code"]) == (403, "FORBIDDEN")
        assert "OCTOMESH_PUBLIC_URL" in error["message"]
        assert answer.headers["x-request-id"]
    told = [line for line in capsys.readouterr().out.splitlines() if "another origin" in line]
    assert len(told) == 1
    assert all("OCTOMESH_PUBLIC_URL" in line and "\t" not in line for line in told)


@pytest.mark.parametrize(
    "origin",
    [
        "https://octomesh.example.com",
        "https://octomesh.example.com:443",
        "http://[fd00::7]:8443",
        "https://xn--l-0ga.example.com",
    ],
)
async def test_pages_that_come_from_the_public_url_can_whatever_host_a_proxy_asks_for_them(
    behind: str, origin: str
) -> None:
    for path in PATHS:
        async with opened(behind, path, Origin=origin) as socket:
            await socket.send({"type": "connection_init"})
            assert (await socket.receive())["type"] == "connection_ack"


async def test_pages_of_the_host_that_is_asked_can_and_so_can_programs(behind: str) -> None:
    for headers in ({}, {"Origin": f"http://{behind}"}, {"Origin": "https://a", "Sec-Fetch-Site": "same-origin"}):
        async with opened(behind, PATHS[0], **headers):
            pass


async def test_an_origin_fits_a_line_of_the_log_whatever_is_in_it(
    behind: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(websockets.InvalidStatus):
        async with opened(behind, PATHS[0], Origin="https://" + "a" * 60_000):
            pass
    logged = capsys.readouterr().out.splitlines() + [record.getMessage() for record in caplog.records]
    assert any("https://aaa" in line for line in logged)
    assert all(len(line) < 800 for line in logged)
