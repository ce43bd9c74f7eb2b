"""graphql-transport-ws to the letter, and what is refused beyond it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import websockets

from octomesh_graphql.api.over_websocket import ID_CHARACTERS
from octomesh_graphql.api.over_websocket import Socket as OurSocket
from octomesh_graphql.store.entities import TenantStore
from tests.api.conftest import Api, Socket, limited
from tests.builders import created_pool

WATCH = "subscription { poolChanges { kind } }"
ASK = {"query": "{ __typename }"}


@asynccontextmanager
async def connected(api: Api, *protocols: str) -> AsyncIterator[Socket]:
    """A connection on which nothing was said yet."""
    wanted = [websockets.Subprotocol(name) for name in protocols or ("graphql-transport-ws",)]
    async with websockets.connect(f"ws://{api.base}{api.path}", subprotocols=wanted) as ws:
        yield Socket(ws)


async def closed(socket: Socket) -> int:
    """The code of the end that comes."""
    async with asyncio.timeout(10):
        await socket.ws.wait_closed()
    code: int = socket.ws.close_code
    return code


def faults(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says that somebody would have to look into."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("protocols", [("graphql-ws",), ("soap", "mqtt")])
async def test_another_protocol_is_not_spoken(api: Api, protocols: tuple[str, ...]) -> None:
    url = f"ws://{api.base}{api.path}"
    async with websockets.connect(url, additional_headers={"Sec-WebSocket-Protocol": ", ".join(protocols)}) as ws:
        assert await closed(Socket(ws)) == 4406


async def test_of_several_protocols_the_one_spoken_here_is_chosen(api: Api) -> None:
    async with connected(api, "graphql-ws", "graphql-transport-ws") as socket:
        assert socket.ws.subprotocol == "graphql-transport-ws"


@pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {}}, {"payload": {"x": [1]}}])
async def test_a_connection_is_opened_with_or_without_a_payload(api: Api, payload: dict[str, Any]) -> None:
    async with connected(api) as socket:
        await socket.send({"type": "connection_init", **payload})
        assert await socket.receive() == {"type": "connection_ack"}


@limited(init_seconds=0.1)
async def test_who_says_nothing_is_not_waited_for(api: Api) -> None:
    async with connected(api) as socket:
        assert await closed(socket) == 4408


async def test_nothing_is_run_before_the_connection_is_acknowledged(api: Api) -> None:
    async with connected(api) as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": ASK})
        assert await closed(socket) == 4401


async def test_a_connection_is_opened_once(api: Api) -> None:
    async with api.socket() as socket:
        await socket.send({"type": "connection_init"})
        assert await closed(socket) == 4429


@pytest.mark.parametrize(
    "message",
    [
        "",
        "x",
        "[]",
        "7",
        "null",
        '"connection_init"',
        "{}",
        '{"type": 7}',
        '{"type": "start"}',
        '{"type": "%s"}' % ("x" * 500),
        '{"type": "%s"}' % ("ü" * 61 + "x"),
        '{"type": "\\ud800"}',
        '{"type": "ping", "payload": {"x": NaN}}',
        '{"type": "connection_ack"}',
        '{"type": "next", "id": "1", "payload": {}}',
        '{"type": "error", "id": "1", "payload": []}',
        '{"type": "ping", "payload": "x"}',
        '{"type": "pong", "payload": []}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "payload": {"query": "{ __typename }"}}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{ __typename }"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ __typename }"}}',
        '{"type": "subscribe", "id": "%s", "payload": {"query": "{ __typename }"}}' % ("x" * (ID_CHARACTERS + 1)),
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "1", "payload": "{ __typename }"}',
        '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": null}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "operationName": 1}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "extensions": 1}}',
        '{"type": "complete"}',
        '{"type": "complete", "id": null}',
        "[" * 100_000,
        b"\x00\x01",
        b'{"type": "ping"}',
    ],
)
async def test_what_is_no_message_of_the_protocol_ends_the_connection(
    api: Api, message: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with api.socket() as socket:
        await socket.ws.send(message)
        assert await closed(socket) == 4400
    assert not faults(caplog)


async def test_what_is_no_text_ends_the_connection(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    async with api.socket() as socket:
        await socket.ws.send(b'{"type": "\xff"}', text=True)
        assert await closed(socket) == 1007
    assert not faults(caplog)


@pytest.mark.parametrize("payload", ["x", [], 7, True])
async def test_an_opening_of_the_wrong_form_ends_the_connection(api: Api, payload: Any) -> None:
    async with connected(api) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert await closed(socket) == 4400


async def test_a_message_beyond_the_bound_ends_the_connection(api: Api) -> None:
    async with api.socket() as socket:
        await socket.ws.send("x" * (2**20 + 1))
        assert await closed(socket) == 1009


async def test_a_ping_is_answered_at_any_time(api: Api) -> None:
    async with connected(api) as socket:
        await socket.send({"type": "ping"})
        assert (await socket.receive())["type"] == "pong"
        await socket.send({"type": "connection_init"})
        await socket.receive()
        await socket.send({"type": "pong", "payload": {"unasked": True}})
        await socket.send({"type": "ping", "payload": {"x": 1}})
        assert (await socket.receive())["type"] == "pong"


async def test_an_operation_is_answered_and_completed(api: Api) -> None:
    async with api.socket() as socket:
        for document in ("{ __typename }", 'mutation { createPool(input: { name: "North" }) { pool { name } } }'):
            await socket.send({"id": "a", "type": "subscribe", "payload": {"query": document}})
            answer = await socket.receive()
            assert (answer["id"], answer["type"]) == ("a", "next")
            assert await socket.receive() == {"id": "a", "type": "complete"}  # and the id is free again


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": ""}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query A { __typename } query B { __typename }"}, "BAD_REQUEST"),
        ({"query": "{ __typename }", "operationName": "B"}, "BAD_REQUEST"),
        ({"query": "query ($x: Int!) { pools(first: $x) { totalCount } }"}, "BAD_USER_INPUT"),
        ({"query": "subscription ($x: [OctoObjectId!]!) { poolChanges(rtIds: $x) { kind } }"}, "BAD_USER_INPUT"),
        ({"query": "subscription { nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "subscription { poolChanges { kind } adapterChanges { kind } }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": 'subscription { poolChanges(after: "forged") { kind } }'}, "BAD_USER_INPUT"),
    ],
)
async def test_what_can_not_be_run_is_an_error_of_that_operation_alone(
    api: Api, payload: dict[str, Any], code: str
) -> None:
    async with api.socket() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": payload})
        told = await socket.receive()
        errors = told["payload"] if told["type"] == "error" else told["payload"]["errors"]
        assert [error["extensions"]["code"] for error in errors] == [code]
        if told["type"] == "next":
            assert await socket.receive() == {"id": "1", "type": "complete"}
        await socket.send({"id": "1", "type": "subscribe", "payload": ASK})
        assert (await socket.receive())["type"] == "next"


@limited(operation_seconds=0)
@pytest.mark.parametrize("query", ["{ pools { totalCount } }", WATCH], ids=["query", "subscription"])
async def test_what_takes_too_long_to_begin_or_to_end_is_given_up(api: Api, query: str) -> None:
    async with api.socket() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": query}})
        told = await socket.receive()
        assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "TIMEOUT")


@limited(operation_seconds=1)
async def test_a_subscription_that_has_begun_lasts(api: Api, store: TenantStore) -> None:
    async with api.socket() as socket:
        await socket.subscribe(WATCH)
        assert (await socket.next())["kind"] == "LIVE"
        await asyncio.sleep(1.2)
        await created_pool(store)
        assert (await socket.next())["kind"] == "CREATED"


@limited(subscriptions=1)
@pytest.mark.parametrize("id", ["1", "x" * ID_CHARACTERS, "ü" * ID_CHARACTERS, "\ud800"])
async def test_an_id_names_one_operation_at_a_time_even_when_there_are_too_many(
    api: Api, id: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with api.socket() as socket:
        for _ in range(2):
            await socket.send({"id": id, "type": "subscribe", "payload": {"query": WATCH}})
        assert await closed(socket) == 4409
    assert not faults(caplog)


async def test_an_empty_name_of_an_operation_is_none_as_over_http(api: Api) -> None:
    async with api.socket() as socket:
        payload = {"query": "query A { __typename }", "operationName": ""}
        await socket.send({"id": "1", "type": "subscribe", "payload": payload})
        assert await socket.next() == "Query"


class Packed:
    """The server's end of a line on which a hundred messages came at once."""

    def __init__(self) -> None:
        self.turns = 0

    async def iter_json(self) -> AsyncIterator[Any]:
        """All at once."""
        for _ in range(100):
            yield {"type": "ping"}

    async def send_json(self, _: Any) -> None:
        """Say something, which nobody waits for."""

    async def somebody_else(self) -> None:
        """Count how often others have their turn."""
        while True:
            self.turns += 1
            await asyncio.sleep(0)


async def test_of_many_messages_at_once_none_keeps_others_from_their_turn() -> None:
    packed = Packed()
    somebody_else = asyncio.create_task(packed.somebody_else())
    socket: Any = OurSocket(None, packed, None, None, None, timedelta(seconds=10))  # type: ignore[arg-type]
    await socket.handle()
    somebody_else.cancel()
    assert packed.turns >= 100


async def test_an_operation_that_its_client_ends_says_nothing_more(api: Api, store: TenantStore) -> None:
    async with api.socket() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": WATCH}})
        assert (await socket.receive())["payload"]["data"]["poolChanges"]["kind"] == "LIVE"
        await socket.send({"id": "1", "type": "complete"})
        await socket.send({"id": "unknown", "type": "complete"})
        await created_pool(store)
        await socket.send({"id": "2", "type": "subscribe", "payload": ASK})
        assert (await socket.receive())["id"] == "2"


@limited(subscriptions=3)
async def test_a_connection_carries_so_many_operations_and_no_more(api: Api) -> None:
    async with api.socket() as socket:
        for number in range(4):
            await socket.send({"id": str(number), "type": "subscribe", "payload": {"query": WATCH}})
        told = [await socket.receive() for _ in range(4)]
        [refused] = [message for message in told if message["type"] == "error"]
        assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        await socket.send({"id": "0", "type": "complete"})
        await socket.send({"id": "again", "type": "subscribe", "payload": {"query": WATCH}})
        again = await socket.receive()
        assert (again["id"], again["type"]) == ("again", "next")


async def test_texts_of_any_length_and_script_come_through(api: Api) -> None:
    async with api.socket() as socket:
        variables = {"text": "Süd 🏭 " * 10}
        query = "query ($text: String) { pools(search: $text) { totalCount } }"
        await socket.ws.send(
            json.dumps({"id": "ü", "type": "subscribe", "payload": {"query": query, "variables": variables}})
        )
        assert (await socket.receive())["id"] == "ü"


@limited(sockets=2)
async def test_so_many_websockets_are_open_at_once_and_whoever_asks_otherwise_is_served(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(api):
        async with api.socket(), api.http.stream("GET", api.path, params={"query": "{ __typename }"}):
            for path in (api.path, "/agents/graphql"):
                with pytest.raises(websockets.InvalidStatus) as refused:
                    await websockets.connect(f"ws://{api.base}{path}")
                assert refused.value.response.status_code == 503
                assert refused.value.response.headers["retry-after"]
                assert b"RATE_LIMITED" in refused.value.response.body
            assert await api.ask("{ __typename }") == {"__typename": "Query"}
        async with api.socket() as socket:
            await socket.subscribe(WATCH)
            assert (await socket.next())["kind"] == "LIVE"
    assert not faults(caplog)


@limited(message_bytes=1_024)
async def test_a_message_that_is_too_large_ends_the_connection(api: Api) -> None:
    async with api.socket() as socket:
        await socket.ws.send(json.dumps({"type": "ping", "payload": {"text": "x" * 2_000}}))
        assert await closed(socket) == 1009


@limited(ping_seconds=0.2)
async def test_who_answers_no_pings_is_dropped(api: Api) -> None:
    async with connected(api) as socket:
        socket.ws.transport.pause_reading()
        await asyncio.sleep(1)
        socket.ws.transport.resume_reading()
        assert await closed(socket) == 1011
