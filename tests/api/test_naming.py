"""By which names a server is asked that knows nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

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
