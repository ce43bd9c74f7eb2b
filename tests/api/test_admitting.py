"""Who may do what, over HTTP and over WebSockets, at the doors of tenants and of agents."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import pytest
import websockets
from graphql import GraphQLInputType, build_schema, get_named_type, is_composite_type, is_required_argument
from structlog.testing import capture_logs

from octomesh_graphql.api.admitting import Gate
from octomesh_graphql.api.issuer import Issuer
from octomesh_graphql.api.printing import printed_agents_schema, printed_schema
from octomesh_graphql.api.tokens import LEEWAY_SECONDS, Tokens
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry
from tests.api.conftest import Socket, serving
from tests.builders import NOW, created_adapter, created_pool
from tests.issuing import AUDIENCE, TestIssuer

VIEWER = "{ viewer { name authenticated tenantId mayRead mayEdit } }"
ACME, AGENTS = "/tenants/acme/graphql", "/agents/graphql"
REGISTER = 'mutation { registerOperator(id: "plant-1", cluster: "plant", version: "1.0") { agent epoch } }'
WATCH = "subscription { poolChanges { kind pool { name } } }"


@dataclass
class Doors:
    """A server that asks who one is, and an issuer it trusts."""

    issuer: TestIssuer
    base: str
    http: httpx.AsyncClient

    async def post(self, query: str, token: str | None, path: str = ACME) -> httpx.Response:
        """Ask over HTTP."""
        headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        return await self.http.post(path, json={"query": query}, headers=headers)

    @asynccontextmanager
    async def socket(
        self, payload: dict[str, Any] | None = None, *, header: str | None = None, path: str = ACME
    ) -> AsyncIterator[Socket]:
        """A connection whose `connection_init` was sent."""
        protocols = [websockets.Subprotocol("graphql-transport-ws")]
        headers = {"Authorization": f"Bearer {header}"} if header else {}
        url = f"ws://{self.base}{path}"
        async with websockets.connect(url, subprotocols=protocols, additional_headers=headers) as ws:
            socket = Socket(ws)
            await socket.send({"type": "connection_init", "payload": payload or {}})
            yield socket

    async def closed(self, socket: Socket) -> tuple[int, str]:
        """Code and reason of the end that comes."""
        async with asyncio.timeout(10):
            await socket.ws.wait_closed()
        return socket.ws.close_code, socket.ws.close_reason


def bearer(token: str) -> dict[str, str]:
    """How a browser tells its token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def reports_only() -> bool:
    """Whether the server only reports whom it would refuse."""
    return False


@pytest.fixture
async def doors(
    issuer: TestIssuer, sessions: Sessions, feed: Feed, store: TenantStore, reports_only: bool
) -> AsyncIterator[Doors]:
    """A server with the tenant `acme`."""
    gate = Gate(Tokens(Issuer(issuer.url), AUDIENCE), reports_only=reports_only)
    async with serving(sessions, feed, gate) as base, httpx.AsyncClient(base_url=f"http://{base}") as http:
        yield Doors(issuer, base, http)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and code."""
    return answer.status_code, answer.json()["errors"][0]["extensions"]["code"]


async def test_a_caller_is_told_who_it_is_and_what_it_may(doors: Doors) -> None:
    answer = await doors.post(VIEWER, doors.issuer.token())
    viewer = {"name": "alice", "authenticated": True, "tenantId": "acme", "mayRead": True, "mayEdit": True}
    assert answer.json()["data"]["viewer"] == viewer
    answer = await doors.post(VIEWER, doors.issuer.token(scope="octo_api.read_only"))
    assert answer.json()["data"]["viewer"] == {**viewer, "mayEdit": False}


async def test_the_history_says_who_it_was(doors: Doors, store: TenantStore) -> None:
    create = 'mutation { createPool(input: { name: "North" }) { pool { transitions { nodes { who } } } } }'
    answer = await doors.post(create, doors.issuer.token(preferred_username="Änne"))
    assert {node["who"] for node in answer.json()["data"]["createPool"]["pool"]["transitions"]["nodes"]} <= {"Änne"}


@pytest.mark.parametrize("path", [ACME, AGENTS, "/tenants/unknown/graphql"])
async def test_without_a_good_token_nobody_is_served(doors: Doors, path: str) -> None:
    old = doors.issuer.token(exp=int(time.time()) - 60)
    for token, why in ((None, "wants to know who asks"), ("nonsense", "no JSON Web Token"), (old, "has expired")):
        answer = await doors.post("{ __typename }", token, path)
        assert code_of(answer) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert why in answer.json()["errors"][0]["message"]
        assert "data" not in answer.json()
    basic = await doors.http.post(path, json={"query": "{ __typename }"}, headers={"authorization": "Basic YTpi"})
    assert code_of(basic) == (401, "UNAUTHENTICATED")


async def test_a_foreign_tenant_and_an_unknown_one_look_the_same(doors: Doors, registry: Registry) -> None:
    await registry.create("globex", "Globex", NOW)
    answers = []
    for tenant_id in ("globex", "glabex"):
        answer = await doors.post(VIEWER, doors.issuer.token(), f"/tenants/{tenant_id}/graphql")
        assert code_of(answer) == (404, "TENANT_NOT_FOUND")
        answers.append(answer.text.replace(tenant_id, "?"))
        async with doors.socket(bearer(doors.issuer.token()), path=f"/tenants/{tenant_id}/graphql") as socket:
            answers.append(str(await doors.closed(socket)).replace(tenant_id, "?"))
    assert answers[:2] == answers[2:]


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("octo_api", ACME, 200),
        ("octo_api.read_only", ACME, 200),
        ("octo_agent", ACME, 403),
        ("openid", ACME, 403),
        ("octo_api", AGENTS, 403),
        ("octo_api.read_only", AGENTS, 403),
        ("octo_agent", AGENTS, 200),
    ],
)
async def test_each_door_wants_its_scope(doors: Doors, scope: str, path: str, status: int) -> None:
    token = doors.issuer.token(scope=scope)
    answer = await doors.post("{ __typename }", token, path)
    assert answer.status_code == status
    async with doors.socket(bearer(token), path=path) as socket:
        if status == 200:
            assert (await socket.receive())["type"] == "connection_ack"
        else:
            assert code_of(answer) == (403, "FORBIDDEN")
            code, reason = await doors.closed(socket)
            assert (code, "needs" in reason) == (4403, True)


async def test_who_may_only_read_can_run_no_mutation(doors: Doors, store: TenantStore) -> None:
    pool = await created_pool(store)
    token = doors.issuer.token(scope="octo_api.read_only")
    mutations = build_schema(printed_schema()).mutation_type
    assert mutations
    assert len(mutations.fields) >= 10
    async with doors.socket(bearer(token)) as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        for name, field in mutations.fields.items():
            arguments = ", ".join(
                f"{argument}: {_some(given.type, pool.rt_id)}"
                for argument, given in field.args.items()
                if is_required_argument(given)
            )
            mutation = f"mutation {{ {name}({arguments}) {{ __typename }} }}"
            answer = await doors.post(mutation, token)
            assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN", answer.text
            assert answer.json().get("data") is None
            await socket.subscribe(mutation)
            refused = await socket.receive()
            assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "FORBIDDEN")
        named = (
            f'query Q {{ __typename }} mutation M {{ deletePool(input: {{ rtId: "{pool.rt_id}" }}) {{ __typename }} }}'
        )
        both = await doors.http.post(ACME, json={"query": named, "operationName": "M"}, headers=bearer(token))
        assert both.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        await socket.subscribe(WATCH)
        assert (await socket.next())["kind"]
    assert await store.pool(pool.rt_id) == pool


def _some(kind: GraphQLInputType, rt_id: str) -> str:
    """A value for a required argument."""
    named = get_named_type(kind)
    if fields := getattr(named, "fields", None):
        inner = ", ".join(f"{name}: {_some(field.type, rt_id)}" for name, field in fields.items() if is_required(field))
        return f"{{ {inner} }}"
    if values := getattr(named, "values", None):
        return str(next(iter(values)))
    value = {"OctoObjectId": f'"{rt_id}"', "String": '"Text"', "Int": "1", "Boolean": "true"}[named.name]
    return f"[{value}]" if "[" in str(kind) else value


def is_required(field: Any) -> bool:
    """Whether an input field must be given."""
    return str(field.type).endswith("!") and field.default_value is not None


async def test_a_token_may_come_with_the_handshake_or_with_the_first_message(doors: Doors) -> None:
    token = doors.issuer.token()
    for payload, header in ((bearer(token), None), ({"authorization": f"bearer {token}"}, None), ({}, token)):
        async with doors.socket(payload, header=header) as socket:
            assert (await socket.receive())["type"] == "connection_ack"
            await socket.subscribe(VIEWER)
            assert (await socket.next())["name"] == "alice"


async def test_a_bad_token_of_a_handshake_is_refused_at_once(doors: Doors) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with doors.socket(header="nonsense"):
            pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("payload", [{}, {"Authorization": "nonsense"}, {"Authorization": 7}, {"authorization": {}}])
async def test_a_socket_without_a_good_token_is_closed_with_the_reason(doors: Doors, payload: dict[str, Any]) -> None:
    async with doors.socket(payload) as socket:
        code, reason = await doors.closed(socket)
        assert code == 4403
        assert "who asks" in reason


async def test_a_socket_ends_when_its_token_does(doors: Doors) -> None:
    soon = int(time.time()) - LEEWAY_SECONDS + 2
    async with doors.socket(bearer(doors.issuer.token(exp=soon))) as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        await socket.subscribe(WATCH)
        assert (await socket.next())["kind"]
        assert await doors.closed(socket) == (4403, "The token has expired; come back with another one.")


async def test_while_the_issuer_is_down_strangers_are_told_to_come_back(doors: Doors) -> None:
    doors.issuer.down = True
    answer = await doors.post(VIEWER, doors.issuer.token())
    assert code_of(answer) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"]
    async with doors.socket(bearer(doors.issuer.token())) as socket:
        assert (await doors.closed(socket))[0] == 1013


async def test_a_key_that_may_be_new_is_no_reason_to_turn_somebody_away_for_good(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octomesh_graphql.api.issuer.PAUSE_SECONDS", 0.0)
    assert (await doors.post(VIEWER, doors.issuer.token())).status_code == 200
    unknown = doors.issuer.token(key="rsa-2")
    assert code_of(await doors.post(VIEWER, unknown)) == (401, "UNAUTHENTICATED")
    async with doors.socket(bearer(unknown)) as socket:
        assert (await doors.closed(socket))[0] == 4403

    doors.issuer.down = True
    answer = await doors.post(VIEWER, unknown)
    assert code_of(answer) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"]
    async with doors.socket(bearer(unknown)) as socket:
        assert (await doors.closed(socket))[0] == 1013
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with doors.socket(header=unknown):
            pass
    assert refused.value.response.status_code == 503
    assert (await doors.post(VIEWER, doors.issuer.token())).status_code == 200

    doors.issuer.down, doors.issuer.keys = False, ["rsa-2"]
    assert (await doors.post(VIEWER, unknown)).status_code == 200


async def test_pages_and_probes_ask_for_no_token(doors: Doors) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/schema.graphql"):
        assert (await doors.http.get(path)).status_code == 200
    page = await doors.http.get(ACME, headers={"accept": "text/html"})
    assert "text/html" in page.headers["content-type"]


@pytest.mark.parametrize("reports_only", [True])
async def test_a_server_that_only_reports_serves_everybody_and_logs_whom_it_would_refuse(
    doors: Doors, store: TenantStore
) -> None:
    create = 'mutation { createPool(input: { name: "%s" }) { pool { name } } }'
    reader = doors.issuer.token(scope="octo_api.read_only", preferred_username="rita")
    with capture_logs() as logs:
        for name, token in (("A", None), ("B", "nonsense"), ("C", reader), ("D", doors.issuer.token(tenant_id="x"))):
            answer = await doors.post(create % name, token)
            assert answer.json()["data"]["createPool"]["pool"] == {"name": name}
        assert (await doors.post(REGISTER, None, AGENTS)).status_code == 200
        assert (await doors.post(VIEWER, reader)).json()["data"]["viewer"]["mayEdit"] is True
        async with doors.socket(bearer(doors.issuer.token())) as socket:
            assert (await socket.receive())["type"] == "connection_ack"
    told = [(line["caller"], line["kind"]) for line in logs if line["event"] == "would be refused"]
    assert told == [
        ("anonymous", "Unauthenticated"),
        ("anonymous", "Unauthenticated"),
        ("rita", "Forbidden"),
        ("alice", "Refused"),
        ("anonymous", "Unauthenticated"),
    ]


async def test_tokens_are_in_no_log(doors: Doors, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = doors.issuer.token(), doors.issuer.token(key="rsa-9")
    for token in (good, bad):
        await doors.post(VIEWER, token)
        await doors.http.get(ACME, params={"query": VIEWER}, headers=bearer(token))
        async with doors.socket(bearer(token)) as socket:
            await socket.receive() if token is good else await doors.closed(socket)
    told = "".join(capsys.readouterr())
    assert "request" in told
    assert not any(part in told for token in (good, bad) for part in token.split(".")[1:])


def agent_token(doors: Doors, **claims: Any) -> str:
    """Of an operator or an adapter, for every tenant unless told."""
    given = {"scope": "octo_agent", "tenant_id": None, "preferred_username": None, "sub": "plant", **claims}
    return doors.issuer.token(**given)


async def test_agents_are_heard_with_their_scope_over_both_ways(doors: Doors) -> None:
    token = agent_token(doors)
    answer = await doors.post(REGISTER, token, AGENTS)
    assert answer.json()["data"]["registerOperator"]["agent"] == "plant-1"
    async with doors.socket(header=token, path=AGENTS) as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        await socket.subscribe("{ __typename }")
        assert await socket.next() == "Query"


async def test_nobody_else_speaks_in_a_session(doors: Doors, sessions: Sessions) -> None:
    session = (await doors.post(REGISTER, agent_token(doors), AGENTS)).json()["data"]["registerOperator"]
    said = f'session: {{ agent: "plant-1", epoch: {session["epoch"]} }}'
    for mutation in (f"renew({said}) {{ epoch }}", f"goodbye({said})"):
        answer = await doors.post(f"mutation {{ {mutation} }}", agent_token(doors, sub="other"), AGENTS)
        assert answer.json()["errors"][0]["extensions"]["code"] == "STALE_SESSION"
    taken = await doors.post(REGISTER, agent_token(doors, sub="other"), AGENTS)
    assert taken.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert "Somebody else is the operator 'plant-1'" in taken.json()["errors"][0]["message"]
    renewed = await doors.post(f"mutation {{ renew({said}) {{ epoch }} }}", agent_token(doors), AGENTS)
    assert renewed.json()["data"]["renew"] == {"epoch": session["epoch"]}
    again = await doors.post(REGISTER, agent_token(doors), AGENTS)
    epoch = again.json()["data"]["registerOperator"]["epoch"]
    assert epoch == session["epoch"] + 1
    said = f'session: {{ agent: "plant-1", epoch: {epoch} }}'
    assert (await doors.post(f"mutation {{ goodbye({said}) }}", agent_token(doors), AGENTS)).json()["data"]["goodbye"]
    free = await doors.post(REGISTER, agent_token(doors, sub="other"), AGENTS)
    assert free.json()["data"]["registerOperator"]["epoch"] == epoch + 1


@pytest.mark.parametrize(
    "other", [{"sub": " robot"}, {"sub": None, "client_id": "robot"}, {"sub": None, "azp": "robot"}]
)
async def test_who_is_only_named_alike_is_somebody_else(doors: Doors, other: dict[str, Any]) -> None:
    session = (await doors.post(REGISTER, agent_token(doors, sub="robot"), AGENTS)).json()["data"]["registerOperator"]
    renew = f'mutation {{ renew(session: {{ agent: "plant-1", epoch: {session["epoch"]} }}) {{ epoch }} }}'
    answer = await doors.post(renew, agent_token(doors, **other), AGENTS)
    assert answer.json()["errors"][0]["extensions"]["code"] == "STALE_SESSION"
    answer = await doors.post(REGISTER, agent_token(doors, **other), AGENTS)
    assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    answer = await doors.post(renew, agent_token(doors, sub="robot"), AGENTS)
    assert answer.json()["data"]["renew"] == {"epoch": session["epoch"]}


async def test_a_list_of_tenants_is_not_every_tenant(doors: Doors, registry: Registry) -> None:
    await registry.create("globex", "Globex", NOW)
    theirs = await registry.open("globex")
    adapter = await created_adapter(theirs, pool=await created_pool(theirs))
    register = f'mutation {{ registerAdapter(tenantId: "globex", rtId: "{adapter.rt_id}") {{ agent }} }}'
    listed = agent_token(doors, tenant_id=["acme"])
    assert code_of(await doors.post(register, listed, AGENTS)) == (401, "UNAUTHENTICATED")
    async with doors.socket(bearer(listed), path=AGENTS) as socket:
        assert await doors.closed(socket) == (
            4403,
            "The token's claim 'tenant_id' is no text. A token is for one tenant.",
        )
    answer = await doors.post(register, agent_token(doors, tenant_id="acme"), AGENTS)
    assert answer.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    answer = await doors.post(register, agent_token(doors, tenant_id="globex"), AGENTS)
    assert answer.json()["data"]["registerAdapter"] == {"agent": f"globex/{adapter.rt_id}"}


async def test_an_agent_of_one_tenant_finds_no_other(doors: Doors, store: TenantStore, registry: Registry) -> None:
    await registry.create("globex", "Globex", NOW)
    theirs = await created_pool(await registry.open("globex"))
    ours = await created_pool(store)
    session = (await doors.post(REGISTER, agent_token(doors, tenant_id="acme"), AGENTS)).json()["data"]
    said = f'session: {{ agent: "plant-1", epoch: {session["registerOperator"]["epoch"]} }}'
    schema = build_schema(printed_agents_schema())
    asked = 0
    for root in (schema.query_type, schema.mutation_type):
        assert root
        for name, field in root.fields.items():
            if "tenantId" not in field.args:
                continue
            asked += 1
            told = []
            for tenant_id, rt_id in (("globex", theirs.rt_id), ("nobody", ours.rt_id)):
                given = {"session": said.removeprefix("session: "), "tenantId": f'"{tenant_id}"', "rtId": f'"{rt_id}"'}
                given |= {"poolRtId": f'"{rt_id}"', "namespace": '"octo"', "adapters": "[]"}
                arguments = ", ".join(f"{each}: {given[each]}" for each in field.args if each in given)
                operation = "query" if root is schema.query_type else "mutation"
                selected = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
                document = f"{operation} {{ {name}({arguments}){selected} }}"
                answer = await doors.post(document, agent_token(doors, tenant_id="acme"), AGENTS)
                [error] = answer.json()["errors"]
                assert error["extensions"]["code"] == "NOT_FOUND", answer.text
                told.append(error["message"].replace(tenant_id, "?"))
            assert told[0] == told[1]
    assert asked >= 5
    stolen = f'session: {{ agent: "globex/{theirs.rt_id}", epoch: 1 }}'
    answer = await doors.post(
        f"mutation {{ renew({stolen}) {{ epoch }} }}", agent_token(doors, tenant_id="acme"), AGENTS
    )
    assert answer.json()["errors"][0]["extensions"]["code"] == "STALE_SESSION"
    claim = f'claimPool({said}, tenantId: "acme", poolRtId: "{ours.rt_id}", namespace: "octo") {{ name }}'
    answer = await doors.post(f"mutation {{ {claim} }}", agent_token(doors, tenant_id="acme"), AGENTS)
    assert answer.json()["data"]["claimPool"] == {"name": ours.name}
