"""Watching through the graph, over real WebSockets."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
import websockets

from octomesh_graphql.api import schema
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.states import CommunicationState
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry
from octomesh_graphql.store.unit import write
from tests.api.conftest import Api, serving
from tests.builders import ALICE, LATER, NOW, a_session, created_adapter, created_pool

POOLS = """subscription($ids: [OctoObjectId!], $after: String) {
  poolChanges(rtIds: $ids, after: $after) { kind cursor rtId pool { name deploymentState summary { adapters } } }
}"""
ADAPTERS = """subscription($pools: [OctoObjectId!], $after: String) {
  adapterChanges(poolRtIds: $pools, after: $after) { kind cursor rtId adapter { name deploymentState pool { name } } }
}"""
STATES = """subscription($after: String, $states: [CommunicationState!]) {
  communicationStateChanges(after: $after, states: $states) {
    kind cursor rtId previous current timestamp reason entity { __typename name }
  }
}"""


async def flip(store: TenantStore, pool: Pool, *, online: bool, reason: str = "test") -> None:
    """The operator of a pool comes or goes."""

    async def act(unit: Any) -> None:
        present = await unit.pool(pool.rt_id)
        change = present.registered if online else present.lost
        unit.save(change(LATER, session=a_session(), reason=reason))

    await write(store, act, caller=ALICE, now=LATER)


async def test_a_subscriber_gets_a_snapshot_then_live_then_changes(api: Api, store: TenantStore) -> None:
    north = await created_pool(store, "North")
    async with api.socket() as socket:
        await socket.subscribe(POOLS)
        told = await socket.until("LIVE")
        assert [(change["kind"], change["pool"] and change["pool"]["name"]) for change in told] == [
            ("SNAPSHOT", "North"),
            ("LIVE", None),
        ]
        south = await created_pool(store, "South")
        change = await socket.next()
        assert (change["kind"], change["rtId"], change["pool"]["name"]) == ("CREATED", south.rt_id, "South")
        await created_adapter(store, "pump", pool=north)
        change = await socket.next()
        assert (change["kind"], change["rtId"], change["pool"]["summary"]) == ("UPDATED", north.rt_id, {"adapters": 1})
        await api.ask("mutation($i: OctoObjectId!) { deletePool(input: { rtId: $i }) { deleted } }", i=south.rt_id)
        change = await socket.next()
        while change["rtId"] == north.rt_id:  # the same may be told twice, once for the pool and once for its member
            change = await socket.next()
        assert (change["kind"], change["rtId"], change["pool"]["name"]) == ("DELETED", south.rt_id, "South")


async def test_adapters_that_leave_the_watched_pool_are_told(api: Api, store: TenantStore) -> None:
    north, south = await created_pool(store, "North"), await created_pool(store, "South")
    pump = await created_adapter(store, "pump", pool=north)
    await created_adapter(store, "valve", pool=south)
    async with api.socket() as socket:
        await socket.subscribe(ADAPTERS, pools=[north.rt_id])
        assert [change["rtId"] for change in await socket.until("LIVE")] == [pump.rt_id, None]
        await api.ask(
            "mutation($i: OctoObjectId!, $p: OctoObjectId!) { moveAdapter(input: { rtId: $i, poolRtId: $p }) "
            "{ errors { message } } }", i=pump.rt_id, p=south.rt_id,
        )  # fmt: skip
        change = await socket.next()
        assert (change["kind"], change["adapter"]["pool"]) == ("UPDATED", {"name": "South"})


async def test_a_transition_tells_before_after_when_and_why(api: Api, store: TenantStore) -> None:
    pool = await created_pool(store, "North")
    async with api.socket() as socket:
        await socket.subscribe(STATES)
        told = await socket.until("LIVE")
        assert (told[0]["previous"], told[0]["current"]) == (None, "UNREGISTERED")
        await flip(store, pool, online=True, reason="the operator registered")
        change = await socket.next()
        assert change.pop("cursor")
        assert change == {
            "kind": "UPDATED",
            "rtId": pool.rt_id,
            "previous": "UNREGISTERED",
            "current": "ONLINE",
            "timestamp": "2026-03-01T12:05:00.000Z",
            "reason": "the operator registered",
            "entity": {"__typename": "Pool", "name": "North"},
        }


async def test_a_cut_subscriber_resumes_on_another_server_without_gap_or_repetition(
    api: Api, store: TenantStore, registry: Registry, sessions: Sessions
) -> None:
    pool = await created_pool(store, "North")
    told: list[str] = []
    async with api.socket() as socket:
        await socket.subscribe(STATES)
        cursor = (await socket.until("LIVE"))[-1]["cursor"]
    for round_ in range(6):
        await flip(store, pool, online=round_ % 2 == 0)
        async with (
            Feed(registry, wait_ms=20).running() as feed,
            serving(sessions, feed) as address,
            Api(address, api.tenant, api.http).socket() as socket,
        ):
            await socket.subscribe(STATES, after=cursor)
            change = await socket.next()
            told.append(change["current"])
            cursor = change["cursor"]
    assert told == ["ONLINE", "OFFLINE"] * 3


async def test_a_foreign_cursor_is_refused(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe(POOLS, after="forged")
        message = await socket.receive()
        errors = message["payload"]["errors"] if message["type"] == "next" else message["payload"]
        assert errors[0]["extensions"] == {"code": "BAD_USER_INPUT", "argument": "after"}


async def test_sockets_that_vanish_leave_nothing_behind(api: Api, store: TenantStore, feed: Feed) -> None:
    await created_pool(store, "North")
    for _ in range(3):
        for _ in range(10):
            async with api.socket() as socket:
                for query in (POOLS, ADAPTERS, STATES):
                    await socket.subscribe(query)
                await socket.until("LIVE")
                socket.ws.transport.abort()
        async with asyncio.timeout(10):
            while feed.subscribers:
                await asyncio.sleep(0.01)
    assert feed._inboxes == {}
    names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]
    assert not {name for name in names if "run_operation" in name}


async def test_a_deleted_tenant_ends_its_subscriptions(api: Api, store: TenantStore, registry: Registry) -> None:
    async with api.socket() as socket:
        operation = await socket.subscribe(POOLS)
        await socket.until("LIVE")
        await registry.delete("acme")
        assert await socket.receive() == {"id": operation, "type": "complete"}
    answer = await api.post("{ pools { totalCount } }")
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["extensions"]["code"] == "TENANT_NOT_FOUND"


async def test_a_socket_of_a_deleted_tenant_does_not_see_its_namesake(
    api: Api, store: TenantStore, registry: Registry, sessions: Sessions
) -> None:
    async with api.socket() as socket:
        await registry.delete("acme")
        for _ in range(2):
            operation = await socket.subscribe("{ viewer { tenantName } }")
            message = await socket.receive()
            assert (message["id"], message["type"]) == (operation, "error")
            assert message["payload"][0]["extensions"]["code"] == "TENANT_NOT_FOUND"
            if not await registry.tenants():
                await registry.create("acme", "Another Acme", LATER)


async def test_only_the_states_asked_for_are_told(api: Api, store: TenantStore) -> None:
    pool = await created_pool(store, "North")
    async with api.socket() as socket:
        await socket.subscribe(STATES, states=[CommunicationState.OFFLINE.name])
        assert [change["kind"] for change in await socket.until("LIVE")] == ["LIVE"]
        await flip(store, pool, online=True)
        await flip(store, pool, online=False)
        change = await socket.next()
        assert (change["previous"], change["current"]) == ("ONLINE", "OFFLINE")


async def test_queries_and_mutations_run_over_the_socket_too(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe('mutation { createPool(input: { name: "North" }) { pool { name } } }')
        assert (await socket.next())["pool"] == {"name": "North"}
        assert (await socket.receive())["type"] == "complete"
        await socket.subscribe("{ pools { totalCount } }")
        assert await socket.next() == {"totalCount": 1}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("\ud800", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("query($n: Int = %s) { pools(first: $n) { totalCount } }" % ("9" * 5_000), "GRAPHQL_VALIDATION_FAILED"),
        ("query A { viewer { name } } query B { viewer { name } }", "BAD_REQUEST"),
        ("query($n: Int!) { pools(first: $n) { totalCount } }", "BAD_USER_INPUT"),
        ("subscription($n: ID!) { poolChanges(after: $n) { kind } }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_what_can_not_be_run_is_told_over_the_socket_too(api: Api, document: str, code: str) -> None:
    async with api.socket() as socket:
        operation = await socket.subscribe(document)
        message = await socket.receive()
        assert (message["id"], message["type"]) == (operation, "error")
        assert {error["extensions"]["code"] for error in message["payload"]} == {code}
        await socket.subscribe("{ viewer { tenantId } }")
        assert await socket.next() == {"tenantId": "acme"}


async def test_half_a_character_in_variables_is_told_and_nothing_is_run(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe(
            "mutation($n: String!) { createPool(input: { name: $n }) { pool { name } } }", n="\ud800"
        )
        message = await socket.receive()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "BAD_REQUEST")
        await socket.subscribe("{ pools { totalCount } }")
        assert await socket.next() == {"totalCount": 0}


@pytest.mark.parametrize("payload", [[], None, {}, {"query": 1}, {"query": "{ viewer { name } }", "operationName": 5}])
async def test_a_message_of_the_wrong_form_closes_the_socket(api: Api, payload: Any) -> None:
    async with api.socket() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": payload})
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await socket.receive()
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 4400


async def test_a_socket_for_an_unknown_tenant_is_refused_in_its_handshake(api: Api) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with Api(api.base, "nobody", api.http).socket():
            pass
    assert refused.value.response.status_code == 404


async def test_a_subscription_of_a_tenant_hears_nothing_of_another(
    api: Api, store: TenantStore, registry: Registry, sessions: Sessions
) -> None:
    await registry.create("other", None, NOW)
    other = await registry.open("other")
    async with api.socket() as socket:
        await socket.subscribe(POOLS)
        await socket.until("LIVE")
        await created_pool(other, "Theirs")
        await created_pool(store, "Ours")
        assert (await socket.next())["pool"]["name"] == "Ours"


async def test_a_subscription_remembers_nothing_of_the_events_it_has_told(
    api: Api, store: TenantStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "SUBFIELDS_KEPT", 10)
    pool = await created_pool(store, "North")
    earlier = _executors()
    async with api.socket() as socket:
        await socket.subscribe(POOLS)
        await socket.until("LIVE")
        [executor] = [found for found in _executors() if found not in earlier]
        for number in range(10):
            await api.ask(
                "mutation($i: EditPoolInput!) { editPool(input: $i) { errors { message } } }",
                i={"rtId": pool.rt_id, "description": str(number)},
            )
            assert (await socket.next())["kind"] == "UPDATED"
        assert len(executor._relevant_sub_fields) <= 12


def _executors() -> list[schema.BoundedExecutor]:
    return [found for found in gc.get_objects() if type(found) is schema.BoundedExecutor]
