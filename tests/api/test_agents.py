"""The agents' API over the wire: what programs of others rely on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from octomesh_graphql.actions.arranging import edit_adapter, edit_pool
from octomesh_graphql.actions.deploying import deploy_pool_adapters
from octomesh_graphql.actions.reporting import WISH_ADAPTERS
from octomesh_graphql.actions.sweeping import sweep
from octomesh_graphql.domain.session import Session
from octomesh_graphql.domain.text import CONFIGURATION_BYTES
from octomesh_graphql.operator.link import LARGEST_MESSAGE
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry
from tests.api.conftest import Api, serving
from tests.builders import (
    ALICE,
    LATER,
    NOW,
    a_deployed_adapter,
    a_served_pool,
    an_rt_id,
    created_adapter,
    created_pool,
    stored,
)

REGISTER = 'mutation($id: String!) { registerOperator(id: $id, cluster: "plant", version: "1.0") { agent epoch } }'
REGISTER_ADAPTER = 'mutation($id: OctoObjectId!) { registerAdapter(tenantId: "acme", rtId: $id) { agent epoch } }'
CLAIM = """mutation($s: SessionInput!, $pool: OctoObjectId!) {
  claimPool(session: $s, tenantId: "acme", poolRtId: $pool, namespace: "octo") { name }
}"""
WISH = """query($s: SessionInput!, $pool: OctoObjectId!) {
  poolWish(session: $s, tenantId: "acme", poolRtId: $pool) {
    poolName next
    adapters { rtId ckTypeId name type wanted generation imageName imageVersion configuration port healthPath }
  }
}"""
REPORT = """mutation($s: SessionInput!, $pool: OctoObjectId!, $adapters: [FindingInput!]!) {
  reportPool(session: $s, tenantId: "acme", poolRtId: $pool, adapters: $adapters)
}"""
LOOK_AGAIN = "subscription($s: SessionInput!) { lookAgain(session: $s) { tenantId poolRtId } }"
VERSIONS = "subscription($s: SessionInput!) { configurationVersions(session: $s) }"


@dataclass
class AgentsApi(Api):
    """A client of the agents' API."""

    @property
    def path(self) -> str:
        return "/agents/graphql"

    async def operator(self, id: str = "plant-1") -> dict[str, Any]:
        """A new session of an operator."""
        return dict((await self.ask(REGISTER, id=id))["registerOperator"])


@pytest.fixture
def agents(api: Api) -> AgentsApi:
    """A client of the agents' API of the same server."""
    return AgentsApi(api.base, "", api.http)


async def test_the_life_of_a_pool_over_the_wire(agents: AgentsApi, api: Api, store: TenantStore) -> None:
    pool = await created_pool(store, "Nürnberg")
    given: dict[str, Any] = {"configuration": {"host": "10.0.0.1"}, "port": 8080, "health_path": "/healthz"}
    adapter = await created_adapter(store, pool=pool, **given)
    await deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
    session = await agents.operator()
    assert session == {"agent": "plant-1", "epoch": 1}
    assert (await agents.ask(CLAIM, s=session, pool=pool.rt_id))["claimPool"] == {"name": "Nürnberg"}
    wish = (await agents.ask(WISH, s=session, pool=pool.rt_id))["poolWish"]
    assert wish == {
        "poolName": "Nürnberg",
        "next": None,
        "adapters": [
            {
                "rtId": adapter.rt_id,
                "ckTypeId": "System.Communication/Adapter",
                "name": "OPC UA",
                "type": "EDGE",
                "wanted": True,
                "generation": 1,
                "imageName": "registry.example.com/plant/opcua",
                "imageVersion": "3.13.2",
                "configuration": {"host": "10.0.0.1"},
                "port": 8080,
                "healthPath": "/healthz",
            }
        ],
    }
    finding = {"rtId": adapter.rt_id, "generation": 1, "phase": "AVAILABLE"}
    assert (await agents.ask(REPORT, s=session, pool=pool.rt_id, adapters=[finding]))["reportPool"]
    seen = await api.ask(
        "query($i: OctoObjectId!) { pool(rtId: $i) { communicationState deploymentState operator { id lastSeen } } }",
        i=pool.rt_id,
    )
    assert seen["pool"]["communicationState"] == "ONLINE"
    assert seen["pool"]["deploymentState"] == "DEPLOYED"
    assert seen["pool"]["operator"]["id"] == "plant-1"
    assert seen["pool"]["operator"]["lastSeen"] > "2026"
    release = (
        'mutation($s: SessionInput!, $p: OctoObjectId!) { releasePool(session: $s, tenantId: "acme", poolRtId: $p) }'
    )
    assert (await agents.ask(release, s=session, p=pool.rt_id))["releasePool"]


async def test_the_largest_page_of_a_wish_can_be_taken_in_by_the_operator(
    agents: AgentsApi, store: TenantStore
) -> None:
    pool = a_served_pool(name="North")
    longest = {"text": "ü" * (CONFIGURATION_BYTES // 2 - 8)}
    adapters = [a_deployed_adapter(name=f"Adapter {n}", pool=pool, configuration=longest) for n in range(WISH_ADAPTERS)]
    await stored(store, pool, *adapters)
    session = await agents.operator()
    await agents.ask(CLAIM, s=session, pool=pool.rt_id)
    answer = await agents.post(WISH, {"s": session, "pool": pool.rt_id})
    assert len(answer.json()["data"]["poolWish"]["adapters"]) == WISH_ADAPTERS
    assert WISH_ADAPTERS * CONFIGURATION_BYTES * 0.99 < len(answer.content) < LARGEST_MESSAGE / 2


async def test_refusals_have_codes_that_programs_act_on(agents: AgentsApi, store: TenantStore) -> None:
    pool = await created_pool(store)
    session, rival = await agents.operator(), await agents.operator("rival")
    await agents.ask(CLAIM, s=session, pool=pool.rt_id)
    stale = {**session, "epoch": 0}
    refusals = {
        "STALE_SESSION": agents.fail(CLAIM, s=stale, pool=pool.rt_id),
        "POOL_SERVED_BY_ANOTHER": agents.fail(CLAIM, s=rival, pool=pool.rt_id),
        "NOT_FOUND": agents.fail(CLAIM, s=session, pool=an_rt_id()),
        "BAD_USER_INPUT": agents.fail(REGISTER, id="Plant 1"),
    }
    for code, failing in refusals.items():
        error = await failing
        assert error["extensions"]["code"] == code, error
        assert error["message"]


async def test_an_operator_is_told_to_look_at_everything_and_then_at_what_changes(
    agents: AgentsApi, store: TenantStore
) -> None:
    served, other = await created_pool(store, "Served"), await created_pool(store, "Other")
    member, stranger = await created_adapter(store, "A", pool=served), await created_adapter(store, "B", pool=other)
    session = await agents.operator()
    await agents.ask(CLAIM, s=session, pool=served.rt_id)
    async with agents.socket() as socket:
        await socket.subscribe(LOOK_AGAIN, s=session)
        assert await socket.next() == {"tenantId": None, "poolRtId": None}
        await deploy_pool_adapters(store, ALICE, NOW, rt_id=other.rt_id)  # somebody else's
        await edit_adapter(store, ALICE, NOW, rt_id=member.rt_id, given={"description": "Nothing that runs."})
        await deploy_pool_adapters(store, ALICE, NOW, rt_id=served.rt_id)
        here = {"tenantId": "acme", "poolRtId": served.rt_id}
        assert await socket.next() == here
        finding = {"rtId": member.rt_id, "generation": 1, "phase": "AVAILABLE"}
        await agents.ask(REPORT, s=session, pool=served.rt_id, adapters=[finding])  # its own words do not come back
        await edit_pool(store, ALICE, NOW, rt_id=served.rt_id, given={"name": "Renamed"})
        assert await socket.next() == here
    assert stranger.rt_id != member.rt_id


async def test_a_stale_session_has_no_connection(agents: AgentsApi) -> None:
    session = await agents.operator()
    await agents.operator()
    async with agents.socket() as socket:
        await socket.subscribe(LOOK_AGAIN, s=session)
        message = await socket.receive()
        while message["type"] == "complete":
            message = await socket.receive()
        payload = message["payload"]
        errors = payload["errors"] if isinstance(payload, dict) else payload
        assert errors[0]["extensions"]["code"] == "STALE_SESSION"


@pytest.fixture
async def impatient(registry: Registry) -> Sessions:
    """Sessions with a lease that nobody can wait out, and no grace at all for a broken connection."""
    sessions = Sessions(registry, lease_seconds=3_600)
    sessions._grace_seconds = 0
    await sessions.prepare()
    return sessions


@pytest.fixture
async def nearby(impatient: Sessions, feed: Feed, api: Api) -> AsyncIterator[AgentsApi]:
    """A client of such a server."""
    async with serving(impatient, feed) as base:
        yield AgentsApi(base, "", type(api.http)(base_url=f"http://{base}"))


async def test_a_broken_connection_is_noticed_long_before_the_lease(
    nearby: AgentsApi, impatient: Sessions, store: TenantStore
) -> None:
    pool, session = await created_pool(store), await nearby.operator()
    await nearby.ask(CLAIM, s=session, pool=pool.rt_id)
    async with nearby.socket() as socket:
        await socket.subscribe(LOOK_AGAIN, s=session)
        await socket.next()
        await sweep(impatient, LATER)
        assert await _state(store, pool.rt_id) == "ONLINE"
        socket.ws.transport.abort()
    async with asyncio.timeout(10):
        while await _state(store, pool.rt_id) == "ONLINE":
            await sweep(impatient, LATER)
    assert await _state(store, pool.rt_id) == "OFFLINE"


async def test_a_server_that_stops_says_nothing_about_its_agents(
    registry: Registry, impatient: Sessions, store: TenantStore, api: Api
) -> None:
    pool = await created_pool(store)
    async with Feed(registry, wait_ms=20).running() as feed:
        server = serving(impatient, feed)
        agents = AgentsApi(base := await server.__aenter__(), "", type(api.http)(base_url=f"http://{base}"))
        session = await agents.operator()
        await agents.ask(CLAIM, s=session, pool=pool.rt_id)
        async with agents.socket() as socket:
            await socket.subscribe(LOOK_AGAIN, s=session)
            await socket.next()
            await server.__aexit__(None, None, None)
    await impatient.check(session_of(session))
    await sweep(impatient, LATER)
    assert await _state(store, pool.rt_id) == "ONLINE"


async def test_an_adapter_is_handed_each_configuration_and_answers(agents: AgentsApi, store: TenantStore) -> None:
    pool = a_served_pool()
    adapter = a_deployed_adapter(pool=pool, configuration={"host": "ü"})
    await stored(store, pool, adapter)
    session = (await agents.ask(REGISTER_ADAPTER, id=adapter.rt_id))["registerAdapter"]
    assert session == {"agent": f"acme/{adapter.rt_id}", "epoch": 1}
    take = "mutation($s: SessionInput!) { takeConfiguration(session: $s) { version configuration } }"
    acknowledge = "mutation($s: SessionInput!, $v: String!) { acknowledgeConfiguration(session: $s, version: $v) }"
    reject = (
        'mutation($s: SessionInput!, $v: String!) { rejectConfiguration(session: $s, version: $v, message: "No.") }'
    )
    async with agents.socket() as socket:
        await socket.subscribe(VERSIONS, s=session)
        first = await socket.next()
        handed = (await agents.ask(take, s=session))["takeConfiguration"]
        assert handed == {"version": first, "configuration": {"host": "ü"}}
        assert (await agents.ask(acknowledge, s=session, v=first))["acknowledgeConfiguration"] == "CONFIGURED"
        await edit_adapter(store, ALICE, NOW, rt_id=adapter.rt_id, given={"configuration": {"host": "ö"}})
        second = await socket.next()
        assert second != first
        assert (await agents.ask(acknowledge, s=session, v=first))["acknowledgeConfiguration"] == "PENDING"
        assert (await agents.ask(reject, s=session, v=second))["rejectConfiguration"] == "ERROR"


async def test_an_adapter_is_told_each_version_once(agents: AgentsApi, store: TenantStore, feed: Feed) -> None:
    pool = a_served_pool()
    adapter = a_deployed_adapter(pool=pool, configuration={"host": "a"})
    await stored(store, pool, adapter)
    session = (await agents.ask(REGISTER_ADAPTER, id=adapter.rt_id))["registerAdapter"]
    async with agents.socket() as socket:
        await socket.subscribe(VERSIONS, s=session)
        told = [await socket.next()]
        for host in ("b", "a", "b"):
            for _ in range(3):
                feed.agents.everything()  # as after a gap in the feed, and when it is deployed
                await asyncio.sleep(0.02)
            await edit_adapter(store, ALICE, NOW, rt_id=adapter.rt_id, given={"configuration": {"host": host}})
            told.append(await socket.next())
    assert told[1:] == [told[1], told[0], told[1]]
    assert told[0] != told[1]


async def test_browsers_find_no_page_and_programs_the_schema(agents: AgentsApi) -> None:
    page = await agents.http.get("/agents/graphql", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (406, "application/json; charset=utf-8")
    printed = await agents.http.get("/agents.graphql")
    assert "type Mutation" in printed.text


async def _state(store: TenantStore, rt_id: str) -> str:
    found = await store.pool(rt_id)
    assert found
    return found.communication_state.name


def session_of(given: dict[str, Any]) -> Session:
    """The session, as the server knows it."""
    return Session(**given)
