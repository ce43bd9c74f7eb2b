"""The connection of a client: servers that ask who it is, that go and come back, and that are none of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSCloseCode, web

from octomesh_graphql.api.admitting import Gate
from octomesh_graphql.api.issuer import Issuer
from octomesh_graphql.api.tokens import Tokens
from octomesh_graphql.cli.client.connection import Api, Interrupted, connected
from octomesh_graphql.cli.client.waiting import Goal, settled
from octomesh_graphql.cli.running import CommandFailed
from octomesh_graphql.credentials import NOBODY, Client, ClientCredentials, Credentials, FixedToken, TokenFile
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from tests.api.conftest import serving
from tests.builders import created_pool
from tests.cli.conftest import Octomesh
from tests.issuing import AUDIENCE, Recorded, TestIssuer

VIEWER = "{ viewer { name mayEdit } }"
WATCH = "subscription { poolChanges { kind } }"
CREATE = 'mutation { createPool(input: { name: "X" }) { errors { code message } } }'


@pytest.fixture
async def asking(issuer: TestIssuer, sessions: Sessions, feed: Feed, store: TenantStore) -> AsyncIterator[str]:
    """Where a server is that asks who one is, with the tenant `acme`."""
    async with serving(sessions, feed, Gate(Tokens(Issuer(issuer.url), AUDIENCE))) as address:
        yield f"http://{address}"


async def why_not(api: Api, document: str = VIEWER) -> str:
    """Why it is not answered."""
    with pytest.raises(CommandFailed) as caught:
        await api.ask(document)
    return str(caught.value)


async def first(api: Api) -> Any:
    """The first change that is told."""
    async with aclosing(api.changes(WATCH)) as changes:
        return await anext(changes)


# Who one is


async def test_a_token_is_shown_over_http_and_on_websockets(asking: str, issuer: TestIssuer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(issuer.token())
    robot = Client(id="robot", scope="octo_api", secret=lambda: "s3cret", issuer=issuer.url)
    ways: list[Credentials] = [FixedToken(issuer.token()), TokenFile(tmp_path / "token"), ClientCredentials(robot)]
    for credentials in ways:
        async with connected(asking, "acme", credentials) as api:
            assert (await api.ask(VIEWER))["viewer"]["mayEdit"] is True
            assert await first(api) == {"kind": "LIVE"}
    assert len(issuer.granted) == 1


async def test_who_shows_nothing_is_told_how_to(asking: str) -> None:
    async with connected(asking, "acme", NOBODY) as api:
        told = await why_not(api)
        assert told.startswith(
            f"The server at {asking} wants to know who asks. OCTOMESH_TOKEN_FILE or --token-file names"
        )
        with pytest.raises(CommandFailed, match="wants to know who asks"):
            await first(api)


async def test_a_token_that_is_not_taken_is_told_with_the_reason_and_not_shown(asking: str) -> None:
    async with connected(asking, "acme", FixedToken("s3cret")) as api:
        told = await why_not(api)
        assert told.startswith(f"The server at {asking} does not take the token: ")
        assert "s3cret" not in told
        with pytest.raises(CommandFailed, match="does not take the token: it answers 401"):
            await first(api)


async def test_who_may_only_read_is_told_what_is_missing(asking: str, issuer: TestIssuer) -> None:
    async with connected(asking, "acme", FixedToken(issuer.token(scope="octo_api.read_only"))) as api:
        assert (await api.ask(VIEWER))["viewer"]["mayEdit"] is False
        assert "may read only: changing anything needs the scope octo_api" in await why_not(api, CREATE)


async def test_a_foreign_tenant_is_one_that_is_not_there(asking: str, issuer: TestIssuer) -> None:
    async with connected(asking, "acme", FixedToken(issuer.token(tenant_id="globex"))) as api:
        assert (await why_not(api)).startswith("There is no tenant 'acme'. `octomesh tenants list`")


async def test_an_issuer_in_trouble_is_named(asking: str, issuer: TestIssuer) -> None:
    issuer.down = True
    robot = Client(id="robot", scope="octo_api", secret=lambda: "s3cret", issuer=issuer.url)
    async with connected(asking, "acme", ClientCredentials(robot)) as api:
        assert "answers 503." in await why_not(api)


async def test_the_command_finds_its_token_as_the_operator_does(
    octomesh: Octomesh, asking: str, issuer: TestIssuer, store: TenantStore
) -> None:
    await created_pool(store, "North")
    (octomesh.directory / "token").write_text(issuer.token())
    (octomesh.directory / "secret").write_text("s3cret")
    client = {"CLIENT_ID": "robot", "CLIENT_SECRET_FILE": "secret", "TOKEN_URL": f"{issuer.url}/token"}
    for given in ({"TOKEN_FILE": "token"}, {"TOKEN": issuer.token()}, client):
        octomesh.variables.clear()
        octomesh.variables.update(SERVER_URL=asking, TENANT="acme", **given)
        answer = await asyncio.to_thread(octomesh.run, "pools", "list")
        assert (answer.exit_code, answer.errors) == (0, "")
        assert "North" in answer.output


# Servers that are none, and some that come back


@asynccontextmanager
async def answering(handle: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    """Something that listens; gives where."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "body", "headers", "why"),
    [
        (200, "<html>", {}, "is no OctoMesh server: it answers 200. --server-url or OCTOMESH_SERVER_URL says where"),
        (404, "[]", {}, "is no OctoMesh server: it answers 404."),
        (502, "Bad Gateway", {}, "is no OctoMesh server: it answers 502."),
        (308, "", {"location": "https://new.example.com/x"}, "has moved to https://new.example.com/x. --server-url"),
        (
            400,
            '{"errors": [{"message": "No field \\"x\\".", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}]}',
            {},
            "has another version than this command",
        ),
        (
            200,
            '{"errors": [{"message": "Something went wrong.", "extensions": {"code": "INTERNAL", "requestId": "r1"}}]}',
            {},
            "Something went wrong. Its log tells more, at the request r1.",
        ),
    ],
)
async def test_what_answers_otherwise_is_named(status: int, body: str, headers: dict[str, str], why: str) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers=headers)

    async with answering(handle) as url, connected(url, "acme", NOBODY) as api:
        assert why in await why_not(api)


async def test_a_proxy_that_lets_no_websocket_pass_is_suspected() -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=404)

    async with answering(handle) as url, connected(url, "acme", NOBODY) as api:
        with pytest.raises(CommandFailed, match="between here and there let WebSockets pass"):
            await first(api)


async def test_a_line_that_breaks_can_be_followed_again_from_the_present(capsys: pytest.CaptureFixture[str]) -> None:
    """First the server restarts, then the token has expired, then all is told."""
    payloads: list[Any] = []

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=("graphql-transport-ws",))
        await ws.prepare(request)
        payloads.append((await ws.receive_json())["payload"])
        await ws.send_json({"type": "connection_ack"})
        await ws.send_json({"type": "ping"})
        assert (await ws.receive_json())["type"] == "subscribe"
        assert (await ws.receive_json())["type"] == "pong"
        state = "PENDING" if len(payloads) < 3 else "DEPLOYED"
        adapter = {
            "rtId": "a1", "name": "A", "wanted": True, "deploymentState": state, "statusMessage": None, "pool": None,
        }  # fmt: skip
        for change in ({"kind": "SNAPSHOT", "adapter": adapter}, {"kind": "LIVE", "adapter": None}):
            await ws.send_json({"type": "next", "id": "1", "payload": {"data": {"adapterChanges": change}}})
        codes = [WSCloseCode.SERVICE_RESTART, 4403, WSCloseCode.OK]
        await ws.close(code=codes[len(payloads) - 1], message=b"Come back.")
        return ws

    async with answering(handle) as url, connected(url, "acme", Recorded()) as api:
        adapters, problems = await settled(api, Goal(wanted=True, adapter_rt_id="a1"), "the adapter 'A'", 20)
    assert ([each["deploymentState"] for each in adapters], problems) == (["DEPLOYED"], [])
    assert [each["Authorization"] for each in payloads] == ["Bearer token-0", "Bearer token-0", "Bearer token-1"]
    assert capsys.readouterr().err.count("The connection broke: Come back. Trying again.") == 2


async def test_a_server_that_goes_away_interrupts(sessions: Sessions, feed: Feed, store: TenantStore) -> None:
    async with serving(sessions, feed) as address, connected(f"http://{address}", "acme", NOBODY) as api:
        assert await first(api) == {"kind": "LIVE"}
    async with connected(f"http://{address}", "acme", NOBODY) as api:
        with pytest.raises(Interrupted, match="can't be reached: Connection refused"):
            await first(api)
