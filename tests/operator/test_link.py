"""The link against a real server, and against servers that behave badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from octomesh_graphql.actions.deploying import deploy_pool_adapters
from octomesh_graphql.actions.registering import register_operator
from octomesh_graphql.api.admitting import Gate
from octomesh_graphql.api.issuer import Issuer
from octomesh_graphql.api.tokens import Tokens
from octomesh_graphql.credentials import Client, ClientCredentials, Credentials, TokenFile, Unknown
from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.session import GRACE_SECONDS, AgentErrorCode, AgentRefused, OperatorFacts
from octomesh_graphql.domain.states import CommunicationState, DeploymentState
from octomesh_graphql.domain.wish import Finding
from octomesh_graphql.operator.link import Link
from octomesh_graphql.operator.server import LinkDown, ServerUnavailable
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry
from tests.api.conftest import serving
from tests.builders import ALICE, NOW, an_adapter, created_adapter, created_pool, stored
from tests.issuing import AUDIENCE, Recorded, TestIssuer

FACTS = OperatorFacts(id="plant-1", cluster="plant", version="1.0")


@dataclass
class Linked:
    """A link, what it told, and its clock."""

    url: str = ""
    token_file: Path | None = None
    credentials: Credentials | None = None
    facts: OperatorFacts = FACTS
    ahead: float = 0.0
    told: asyncio.Queue[tuple[str | None, str | None]] = field(default_factory=asyncio.Queue)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    link: Link = field(init=False)

    def __post_init__(self) -> None:
        self.link = Link(
            self.url,
            self.facts,
            look_again=lambda tenant_id, pool_rt_id: self.told.put_nowait((tenant_id, pool_rt_id)),
            lost=self.lost.set,
            credentials=self.credentials or (TokenFile(self.token_file) if self.token_file else Unknown()),
            clock=lambda: asyncio.get_running_loop().time() + self.ahead,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Link]:
        async with self.link.running():
            yield self.link

    async def hint(self) -> tuple[str | None, str | None]:
        """What it says to look at next."""
        return await asyncio.wait_for(self.told.get(), 10)


@pytest.fixture
async def url(sessions: Sessions, feed: Feed) -> AsyncIterator[str]:
    """Where a real server is."""
    async with serving(sessions, feed) as address:
        yield f"http://{address}"


@pytest.fixture
async def linked(url: str) -> AsyncIterator[Linked]:
    """A link that is up, after its first hint."""
    linked = Linked(url)
    async with linked.running():
        assert await linked.hint() == (None, None)
        yield linked


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for something that comes soon."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


# A server that is well


async def test_it_registers_holds_the_lease_and_says_to_look_at_everything(linked: Linked) -> None:
    assert linked.link.session
    assert (linked.link.session.agent, linked.link.session.epoch) == ("plant-1", 1)
    assert linked.link.leased
    assert linked.link.connected.is_set()


async def test_a_pool_is_claimed_its_wish_read_and_what_was_found_is_told(linked: Linked, store: TenantStore) -> None:
    pool = await created_pool(store, "Nürnberg")
    given: dict[str, Any] = {"configuration": {"hosts": ["10.0.0.1"]}, "port": 8080, "health_path": "/healthz"}
    adapter = await created_adapter(store, pool=pool, **given)
    await deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
    assert await linked.link.claim("acme", pool.rt_id, "octo") == "Nürnberg"
    wish = await linked.link.wish("acme", pool.rt_id)
    [wished] = wish.adapters
    assert (wish.pool_name, wished.rt_id, wished.wanted, wished.type) == ("Nürnberg", adapter.rt_id, True, adapter.type)
    assert (wished.configuration, wished.port, wished.health_path) == ({"hosts": ["10.0.0.1"]}, 8080, "/healthz")
    found = Finding(rt_id=wished.rt_id, generation=wished.generation, phase=Phase.AVAILABLE)
    await linked.link.report("acme", pool.rt_id, [found])
    deployed = await store.adapter(adapter.rt_id)
    assert deployed
    assert deployed.deployment_state is DeploymentState.DEPLOYED
    await linked.link.release("acme", pool.rt_id)
    released = await store.pool(pool.rt_id)
    assert released
    assert released.communication_state is CommunicationState.UNREGISTERED


async def test_a_wish_of_many_pages_is_read_as_one_and_told_in_several_reports(
    linked: Linked, store: TenantStore
) -> None:
    pool = await created_pool(store)
    await stored(store, *(an_adapter(name=f"A{i}", pool=pool, wanted=True, generation=1) for i in range(230)))
    await linked.link.claim("acme", pool.rt_id, "octo")
    wish = await linked.link.wish("acme", pool.rt_id)
    assert len({each.rt_id for each in wish.adapters}) == 230
    findings = [Finding(rt_id=each.rt_id, generation=1, phase=Phase.AVAILABLE) for each in wish.adapters]
    await linked.link.report("acme", pool.rt_id, findings)
    last = await store.adapter(wish.adapters[-1].rt_id)
    assert last
    assert last.deployment_state is DeploymentState.DEPLOYED


async def test_a_new_wish_is_hinted_at(linked: Linked, store: TenantStore) -> None:
    pool = await created_pool(store)
    await created_adapter(store, pool=pool)
    await linked.link.claim("acme", pool.rt_id, "octo")
    await deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
    assert await linked.hint() == ("acme", pool.rt_id)


async def test_a_refusal_comes_with_its_code(linked: Linked, store: TenantStore) -> None:
    with pytest.raises(AgentRefused) as refused:
        await linked.link.claim("acme", f"{1:024x}", "octo")
    assert refused.value.code is AgentErrorCode.NOT_FOUND
    assert linked.link.leased


async def test_saying_goodbye_ends_the_session(url: str, sessions: Sessions) -> None:
    linked = Linked(url)
    async with linked.running() as link:
        await linked.hint()
        session = link.session
        assert session
    with pytest.raises(AgentRefused):
        await sessions.check(session)


# Coming back


async def test_after_a_broken_connection_the_session_goes_on(sessions: Sessions, feed: Feed) -> None:
    async with serving(sessions, feed) as address:
        linked = Linked(f"http://{address}")
        running: AbstractAsyncContextManager[Link] = linked.running()
        await running.__aenter__()
        try:
            await linked.hint()
            session = linked.link.session
            assert linked.link._transport
            await linked.link._transport.adapter.close()
            assert await linked.hint() == (None, None)
            assert linked.link.session == session
            assert linked.link.leased
        finally:
            await running.__aexit__(None, None, None)


async def test_a_server_that_was_away_for_long_is_registered_with_anew(linked: Linked, sessions: Sessions) -> None:
    assert linked.link.session
    await sessions.end(linked.link.session)
    with pytest.raises(AgentRefused):
        await linked.link.claim("acme", f"{1:024x}", "octo")
    assert await linked.hint() == (None, None)
    assert linked.link.session.epoch == 2


async def test_two_programs_with_one_id_are_told_about_and_do_not_take_turns_without_a_pause(
    registry: Registry, feed: Feed
) -> None:
    sessions = Sessions(registry, lease_seconds=0.4)
    await sessions.prepare()
    with capture_logs() as logs:
        async with serving(sessions, feed) as address:
            one, other = Linked(f"http://{address}"), Linked(f"http://{address}")
            async with one.running(), other.running():
                await until(lambda: [each for each in logs if each["event"].startswith("sessions end as soon")], 20)
    registered = [each for each in logs if each["event"] == "registered"]
    assert len(registered) < 20


# The lease


async def test_a_process_that_was_frozen_knows_that_its_lease_is_over(linked: Linked) -> None:
    linked.ahead = 39
    assert not linked.link.away
    linked.ahead = 41
    assert not linked.link.leased


async def test_a_lease_is_not_certain_without_a_sign_of_the_server_until_the_next_one(linked: Linked) -> None:
    linked.ahead += GRACE_SECONDS  # so long, the server may have seen the connection break, and let the lease run out
    assert not linked.link.leased
    assert not linked.link.away
    await until(lambda: linked.link.leased)


async def test_the_lease_is_renewed_in_time(registry: Registry, feed: Feed) -> None:
    sessions = Sessions(registry, lease_seconds=0.6)
    await sessions.prepare()
    async with serving(sessions, feed) as address:
        linked = Linked(f"http://{address}")
        async with linked.running() as link:
            await linked.hint()
            first = link._held_until
            await until(lambda: link._held_until > first + 0.6)
            assert link.leased
            assert link.session
            assert link.session.epoch == 1


async def test_a_lease_that_ran_out_during_a_break_is_told(sessions: Sessions, feed: Feed) -> None:
    async with serving(sessions, feed) as address:
        linked = Linked(f"http://{address}")
        running = linked.running()
        await running.__aenter__()
        await linked.hint()
    try:
        await until(lambda: not linked.link.connected.is_set())
        assert linked.link.leased
        assert not linked.lost.is_set()
        linked.ahead = 10
        assert not linked.link.leased
        await asyncio.wait_for(linked.lost.wait(), 10)
        with pytest.raises(LinkDown):
            await linked.link.wish("acme", f"{1:024x}")
    finally:
        await running.__aexit__(None, None, None)


async def test_who_registers_the_same_id_ends_the_lease_of_the_earlier_one(linked: Linked, sessions: Sessions) -> None:
    earlier = linked.link.session
    await register_operator(sessions, FACTS)
    with pytest.raises(AgentRefused) as refused:
        await linked.link.claim("acme", f"{1:024x}", "octo")
    assert refused.value.code is AgentErrorCode.STALE_SESSION
    assert await linked.hint() == (None, None)
    assert linked.link.session != earlier


# Servers that behave badly

Answer = Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]


@asynccontextmanager
async def bad_server(answer: Answer, status: HTTPStatus | None = None) -> AsyncIterator[tuple[str, list[Request]]]:
    """Says what it is told to say to each message; gives its URL, and the requests it gets."""
    requests: list[Request] = []

    def process(connection: ServerConnection, request: Request) -> Response | None:
        requests.append(request)
        return connection.respond(status, "No.") if status else None

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            await answer(connection, json.loads(message))

    protocol = Subprotocol("graphql-transport-ws")
    async with serve(handle, "127.0.0.1", 0, subprotocols=[protocol], process_request=process) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", requests


async def test_the_token_is_read_for_each_connection_sent_twice_and_never_logged(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first-s3cret\n")
    payloads: list[Any] = []

    async def answer(connection: ServerConnection, message: dict[str, Any]) -> None:
        payloads.append(message["payload"])
        token.write_text("second-s3cret\n")
        await connection.close(4403, "Forbidden")

    with capture_logs() as logs:
        async with bad_server(answer) as (url, requests):
            linked = Linked(url, token_file=token)
            async with linked.running():
                await until(lambda: len(payloads) >= 2)
    assert payloads[:2] == [{"Authorization": "Bearer first-s3cret"}, {"Authorization": "Bearer second-s3cret"}]
    assert [each.headers["Authorization"] for each in requests[:2]] == [each["Authorization"] for each in payloads[:2]]
    assert logs
    assert "s3cret" not in str(logs)
    assert "s3cret" not in linked.link.trouble


@pytest.mark.parametrize("status", [None, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
async def test_after_a_refusal_another_token_is_shown(status: HTTPStatus | None) -> None:
    async def answer(connection: ServerConnection, message: dict[str, Any]) -> None:
        await connection.close(4403, "The token has expired.")

    credentials = Recorded()
    async with bad_server(answer, status) as (url, requests), Linked(url, credentials=credentials).running():
        await until(lambda: len(requests) >= 2)
    assert [each.headers["Authorization"] for each in requests[:2]] == ["Bearer token-0", "Bearer token-1"]


class Swallowing(Link):
    """One whose library takes the end of its task for a broken connection."""

    async def _stay(self) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise LinkDown("The connection broke.") from None


async def test_it_ends_when_it_is_told_to_though_its_library_swallows_that() -> None:
    async with asyncio.timeout(5), Swallowing("http://127.0.0.1:1", FACTS, look_again=lambda *_: None).running():
        await asyncio.sleep(0)


async def test_a_broken_line_is_no_refusal() -> None:
    async def answer(connection: ServerConnection, message: dict[str, Any]) -> None:
        await connection.close(1012, "Restarting.")

    credentials = Recorded()
    async with bad_server(answer) as (url, requests), Linked(url, credentials=credentials).running():
        await until(lambda: len(requests) >= 2)
    assert credentials.refusals == 0


async def test_an_issuer_gives_the_operator_its_token(
    sessions: Sessions, feed: Feed, store: TenantStore, tmp_path: Path
) -> None:
    async with TestIssuer().running() as issuer:
        gate = Gate(Tokens(Issuer(issuer.url), AUDIENCE))
        client = Client(id="robot", scope="octo_agent", secret=lambda: "s3cret", issuer=issuer.url)
        async with serving(sessions, feed, gate) as address:
            linked = Linked(f"http://{address}", credentials=ClientCredentials(client))
            async with linked.running() as link:
                assert await linked.hint() == (None, None)
                assert link.leased


async def test_a_token_file_that_can_not_be_read_is_named(url: str, tmp_path: Path) -> None:
    linked = Linked(url, token_file=tmp_path / "none")
    async with linked.running() as link:
        await until(lambda: "token file" in link.trouble)
        assert link.trouble == f"The token file {tmp_path}/none can't be read: No such file or directory."
        with pytest.raises(LinkDown, match="token file"):
            await link.claim("acme", f"{1:024x}", "octo")


async def test_a_server_that_wants_no_websocket_is_told_by_its_status() -> None:
    async def answer(connection: ServerConnection, message: dict[str, Any]) -> None:
        raise AssertionError

    async with bad_server(answer, HTTPStatus.UNAUTHORIZED) as (url, _):
        linked = Linked(url)
        async with linked.running() as link:
            await until(lambda: "401" in link.trouble)


async def test_a_server_that_is_not_there_is_named_with_the_reason() -> None:
    linked = Linked("http://127.0.0.1:1")
    async with linked.running() as link:
        await until(lambda: "can't be reached" in link.trouble)
        assert link.trouble.startswith("The server at ws://127.0.0.1:1/agents/graphql can't be reached: ")
        assert not link.leased
        assert link.away


async def test_trouble_of_the_server_is_no_refusal() -> None:
    async def answer(connection: ServerConnection, message: dict[str, Any]) -> None:
        match message["type"]:
            case "connection_init":
                await connection.send(json.dumps({"type": "connection_ack"}))
            case "subscribe":
                error = {"message": "MongoDB is away.", "extensions": {"code": "UNAVAILABLE"}}
                payload = {"data": None, "errors": [error]}
                await connection.send(json.dumps({"id": message["id"], "type": "next", "payload": payload}))

    async with bad_server(answer) as (url, _):
        linked = Linked(url)
        async with linked.running() as link:
            await until(lambda: "UNAVAILABLE" in link.trouble)
            assert link.trouble == "The server answers UNAVAILABLE: MongoDB is away."
            with pytest.raises(ServerUnavailable):
                await link.claim("acme", f"{1:024x}", "octo")
