"""WebSockets in the hands of people who know the protocol well, and mean no good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from tests.hostile.conftest import SOON_SECONDS, Target


@dataclass(frozen=True)
class Victim:
    """One of the server's two APIs, and what can be watched and asked there."""

    url: str
    watch: str
    ask: str


Abuse = Callable[[Victim], Awaitable[None]]


@pytest.fixture(params=["tenants", "agents"])
async def victim(request: pytest.FixtureRequest, target: Target) -> Victim:
    """The API of tenants, or that of agents in the hands of an operator."""
    if request.param == "tenants":
        watch, ask = "poolChanges { kind cursor pool { name } }", "pools { nodes { name description } }"
        return Victim(f"ws://{target.base}{target.path}", f"subscription {{ {watch} }}", ask)
    register = 'mutation { registerOperator(id: "abuser", cluster: "x", version: "1") { agent epoch } }'
    session = (await target.post(register, path="/agents/graphql")).json()["data"]["registerOperator"]
    given = f'session: {{ agent: "{session["agent"]}", epoch: {session["epoch"]} }}'
    watch = f"lookAgain({given}) {{ tenantId poolRtId }}"
    return Victim(f"ws://{target.base}/agents/graphql", f"subscription {{ {watch} }}", "__schema { types { name } }")


async def opened(victim: Victim, *, init: bool = True, **more: Any) -> ClientConnection:
    """A connection, with `connection_init` sent unless it shall not be."""
    protocols = [websockets.Subprotocol("graphql-transport-ws")]
    ws = await websockets.connect(victim.url, subprotocols=protocols, **more)
    if init:
        await ws.send(json.dumps({"type": "connection_init"}))
    return ws


def subscribe(id: str, query: str, **more: Any) -> str:
    """The message that begins an operation."""
    return json.dumps({"id": id, "type": "subscribe", "payload": {"query": query, **more}})


async def _sent(ws: ClientConnection, *messages: str | bytes) -> None:
    with suppress(websockets.ConnectionClosed):
        for message in messages:
            await ws.send(message)


async def many_silent(victim: Victim) -> None:
    """Open, and never say a word."""
    sockets = await asyncio.gather(*(opened(victim, init=False) for _ in range(100)))
    await asyncio.sleep(0.5)
    for ws in sockets:
        ws.transport.abort()


async def cut_everywhere(victim: Victim) -> None:
    """Break the connection in the middle of everything."""
    for _ in range(5):
        sockets = await asyncio.gather(*(opened(victim) for _ in range(40)))
        for ws in sockets:
            await _sent(ws, *(subscribe(str(n), victim.watch) for n in range(5)))
            ws.transport.abort()


async def pings(victim: Victim) -> None:
    """Ping and pong without end."""
    ws = await opened(victim)
    await _sent(ws, *[json.dumps({"type": kind, "payload": {"x": "y" * 500}}) for kind in ("ping", "pong")] * 3_000)
    ws.transport.abort()


async def churn(victim: Victim) -> None:
    """Begin and end subscriptions without end."""
    ws = await opened(victim)
    for number in range(1_500):
        await _sent(ws, subscribe(str(number), victim.watch), json.dumps({"id": str(number), "type": "complete"}))
    ws.transport.abort()


async def crowd(victim: Victim) -> None:
    """As many subscriptions as a connection takes, and more, on several."""
    sockets = [await opened(victim) for _ in range(5)]
    for ws in sockets:
        await _sent(ws, *(subscribe(str(n), victim.watch) for n in range(200)))
    await asyncio.sleep(1)
    for ws in sockets:
        ws.transport.abort()


async def never_read(victim: Victim) -> None:
    """Ask for much, and read nothing."""
    query = "{" + " ".join(f"x{n}: {victim.ask}" for n in range(20)) + "}"
    sockets = [await opened(victim, max_queue=1) for _ in range(10)]
    for ws in sockets:
        ws.transport.pause_reading()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await _sent(ws, *(subscribe(str(n), query) for n in range(2_000)))
    for ws in sockets:
        ws.transport.abort()


async def nonsense(victim: Victim) -> None:
    """Messages of every wrong form, each on a connection of its own."""
    wrong: list[str | bytes] = [
        "", "{", "[]", "7", "null", "{}", '{"type": null}', '{"type": "subscribe"}', b"\x00", b"\xff" * 1000,
        "[" * 200_000, subscribe("x" * 100_000, victim.watch), subscribe("", victim.watch),
        json.dumps({"id": {}, "type": "complete"}),
        '{"type": "connection_init"}',
        json.dumps({"id": "1", "type": "subscribe", "payload": {"query": ["x"]}}), '{"type": "next"}', "x" * 1_100_000,
        subscribe("1", "{" * 50_000), subscribe("1", victim.watch, variables={"x": [[[[[]]]]]}),
        '{"type": "subscribe", "id": "\\ud83d"}',
    ]  # fmt: skip
    for message in wrong:
        ws = await opened(victim)
        await _sent(ws, message)
        ws.transport.abort()


async def compressed(victim: Victim) -> None:
    """Offer extensions and versions that are not served."""
    with suppress(websockets.InvalidHandshake):
        ws = await opened(victim, compression="deflate", additional_headers={"Origin": "http://evil.example.com"})
        await ws.close()


async def storms(victim: Victim) -> None:
    """All come back at once, again and again."""
    for _ in range(3):
        sockets = await asyncio.gather(*(opened(victim) for _ in range(150)))
        await asyncio.gather(*(_sent(ws, subscribe("1", victim.watch)) for ws in sockets))
        await asyncio.gather(*(ws.recv() for ws in sockets))
        await asyncio.gather(*(ws.close() for ws in sockets))


async def expensive(victim: Victim) -> None:
    """Subscriptions to what is refused, over and over."""
    deep = (
        "subscription { poolChanges { pool { " + "adapters { nodes { pool { " * 20 + "name" + " } } }" * 20 + " } } }"
    )
    ws = await opened(victim)
    await _sent(ws, *(subscribe(str(n), deep) for n in range(1_000)))
    ws.transport.abort()


@pytest.mark.parametrize(
    "abuse",
    [many_silent, cut_everywhere, pings, churn, crowd, never_read, nonsense, compressed, storms, expensive],
)
async def test_what_one_client_does_is_felt_by_no_other(victim: Victim, abuse: Abuse) -> None:
    async with asyncio.timeout(60):
        await abuse(victim)


async def test_a_change_that_everybody_is_told_at_length_keeps_nobody_waiting(target: Target) -> None:
    create = """mutation($name: String!, $pool: OctoObjectId) { createAdapter(input: { name: $name, type: EDGE,
        imageName: "a/b", imageVersion: "1", poolRtId: $pool }) { adapter { rtId } } }"""
    made = await target.post('mutation { createPool(input: { name: "Full" }) { pool { rtId } } }')
    pool = made.json()["data"]["createPool"]["pool"]["rtId"]
    for number in range(300):
        await target.post(create, {"name": f"Member {number}", "pool": pool})
    fields = "rtId name ckTypeId communicationState deploymentState imageName imageVersion rtVersion type"
    all_of_it = f"adapters(first: 300) {{ nodes {{ {fields} }} }}"
    watch = f'subscription {{ poolChanges(rtIds: ["{pool}"]) {{ kind pool {{ %s }} }} }}'
    tenants = Victim(f"ws://{target.base}{target.path}", "", "")
    ws = await opened(tenants, max_size=None)
    await _sent(ws, *(subscribe(str(number), watch % all_of_it) for number in range(49)))
    await _sent(ws, subscribe("too much", watch % f"{all_of_it} more: {all_of_it}"))
    async with asyncio.timeout(60):
        await _all_told(ws, "LIVE")
        edit = f'mutation {{ editPool(input: {{ rtId: "{pool}", description: "new" }}) {{ errors {{ code }} }} }}'
        await target.post(edit)
        await _all_told(ws, "UPDATED")
    ws.transport.abort()
    assert target.slowest < SOON_SECONDS


async def _all_told(ws: ClientConnection, kind: str) -> None:
    """Read until all 49 were told this kind of change; what is refused has its code."""
    told: set[str] = set()
    while len(told) < 49:
        message = json.loads(await ws.recv())
        if message["type"] == "error":
            assert message["payload"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"
        elif message["type"] == "next" and message["payload"]["data"]["poolChanges"]["kind"] == kind:
            told.add(message["id"])


async def test_a_crowd_that_wants_everything_at_once_fills_no_memory(target: Target) -> None:
    create = """mutation($name: String!, $configuration: JSON!) { createAdapter(input: { name: $name, type: EDGE,
        imageName: "a/b", imageVersion: "1", configuration: $configuration }) { errors { message } } }"""
    for number in range(60):
        answer = await target.post(create, {"name": f"Large {number}", "configuration": {"x": "y" * 60_000}})
        assert answer.json()["data"]["createAdapter"]["errors"] == []
    everything = "subscription { adapterChanges { kind adapter { configuration } } }"
    tenants = Victim(f"ws://{target.base}{target.path}", "", "")
    sockets = [await opened(tenants, max_size=None, max_queue=1) for _ in range(10)]
    for ws in sockets:
        await _sent(ws, *(subscribe(str(number), everything) for number in range(40)))
        ws.transport.pause_reading()
    await asyncio.sleep(5)
    for ws in sockets:
        ws.transport.abort()
