"""Silent agents are seen to be gone: each once, and only they."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from bson import ObjectId

from octomesh_graphql.actions.registering import register_adapter
from octomesh_graphql.actions.sweeping import sign_off, sweep
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, OperatorFacts
from octomesh_graphql.domain.states import CommunicationState
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry
from tests.actions.conftest import Agents
from tests.actions.test_registering import history
from tests.builders import LATER, NOW, created_adapter, created_pool
from tests.drivers import both_drivers

ONLINE, OFFLINE = CommunicationState.ONLINE, CommunicationState.OFFLINE
OVER = 0.0
"""A lease that has run out as soon as it is given."""


@pytest.fixture
async def lapsing(registry: Registry) -> Sessions:
    """Sessions whose leases run out at once."""
    sessions = Sessions(registry, lease_seconds=OVER)
    await sessions.prepare()
    return sessions


@both_drivers
async def test_a_silent_operator_goes_offline_when_its_lease_has_run_out(agents: Agents, lapsing: Sessions) -> None:
    pools = [await created_pool(agents.store, name) for name in ("North", "South")]
    session = await agents.operator()
    for pool in pools:
        await agents.claim(session, pool)
    await sweep(agents.sessions, LATER)
    assert [(await agents.pool(pool)).communication_state for pool in pools] == [ONLINE, ONLINE]
    await lapsing.renew(session)
    await _passed(lapsing)
    await sweep(agents.sessions, LATER)
    for pool in pools:
        lost = await agents.pool(pool)
        assert (lost.communication_state, lost.communication_state_timestamp) == (OFFLINE, LATER)
        assert lost.communication_reason == "The operator 'plant-1' has not renewed its lease in time."
        assert lost.operator  # who it was, for whoever looks for it
    with pytest.raises(AgentRefused) as refused:
        await agents.sessions.renew(session)
    assert refused.value.code is AgentErrorCode.STALE_SESSION


async def test_several_sweepers_write_each_transition_once(agents: Agents, lapsing: Sessions) -> None:
    pool, adapter = await created_pool(agents.store), await created_adapter(agents.store)
    session = await agents.operator()
    await agents.claim(session, pool)
    await register_adapter(lapsing, NOW, tenant_id="acme", rt_id=adapter.rt_id)
    await lapsing.renew(session)
    await _passed(lapsing)
    others = [Sessions(Registry(agents.sessions.registry.mongo, agents.sessions.registry.prefix)) for _ in range(6)]
    await asyncio.gather(*(sweep(other, LATER) for other in others))
    assert [to for _, to, _ in await history(agents, pool)] == ["ONLINE", "OFFLINE"]
    assert [to for _, to, _ in await history(agents, adapter)] == ["ONLINE", "OFFLINE"]


async def test_what_a_sweeper_left_undone_another_one_does(agents: Agents, lapsing: Sessions) -> None:
    pool, session = await created_pool(agents.store), await agents.operator()
    await agents.claim(session, pool)
    await lapsing.renew(session)
    await _passed(lapsing)
    await agents.sessions.lapse()  # and then it was killed
    assert (await agents.pool(pool)).communication_state is ONLINE
    await sweep(agents.sessions, LATER)
    assert (await agents.pool(pool)).communication_state is OFFLINE
    assert await agents.sessions.losses() == []


async def test_pools_that_an_operator_does_not_come_back_to_are_given_up_after_a_lease(
    agents: Agents, lapsing: Sessions
) -> None:
    kept, dropped = await created_pool(agents.store, "Kept"), await created_pool(agents.store, "Dropped")
    first = await agents.operator()
    for pool in (kept, dropped):
        await agents.claim(first, pool)
    await agents.operator()
    await sweep(agents.sessions, LATER)
    assert (await agents.pool(dropped)).communication_state is ONLINE  # there is time to claim it
    third = await lapsing.begin_operator(OperatorFacts(id="plant-1", cluster="plant", version="1"))
    await agents.sessions.renew(third)
    await agents.claim(third, kept)
    await _passed(lapsing)
    await sweep(agents.sessions, LATER)
    assert (await agents.pool(kept)).communication_state is ONLINE
    lost = await agents.pool(dropped)
    assert lost.communication_state is OFFLINE
    assert lost.communication_reason == "The operator 'plant-1' registered anew and did not come back to this one."


async def test_an_adapter_whose_next_process_died_while_it_registered_is_offline(
    agents: Agents, lapsing: Sessions
) -> None:
    adapter = await created_adapter(agents.store)
    await register_adapter(agents.sessions, NOW, tenant_id="acme", rt_id=adapter.rt_id)
    await lapsing.begin_adapter("acme", adapter.rt_id)  # and nothing more
    await _passed(lapsing)
    await sweep(agents.sessions, LATER)
    assert [to for _, to, _ in await history(agents, adapter)] == ["ONLINE", "OFFLINE"]


async def test_what_can_not_be_settled_for_one_holds_up_no_other(agents: Agents, lapsing: Sessions) -> None:
    pools = [await created_pool(agents.store, name) for name in ("North", "South", "West")]
    one, other = await agents.operator("a"), await agents.operator("b")
    for session, pool in zip((one, one, other), pools, strict=True):
        await agents.claim(session, pool)
        await lapsing.renew(session)
    await _passed(lapsing)
    unreadable = {"_id": ObjectId(pools[0].rt_id)}
    database = agents.store.tenant.database
    await agents.sessions.registry.mongo.update(database, "pools", unreadable, {"$set": {"communicationState": 99}})
    await sweep(agents.sessions, LATER)
    assert [(await agents.pool(pool)).communication_state for pool in pools[1:]] == [OFFLINE, OFFLINE]
    [left] = await agents.sessions.losses()
    assert left.session == one
    await agents.sessions.registry.mongo.update(database, "pools", unreadable, {"$set": {"communicationState": 1}})
    await sweep(agents.sessions, LATER)
    assert await agents.sessions.losses() == []
    assert (await agents.pool(pools[0])).communication_state is OFFLINE


async def test_adapters_that_never_come_back_are_forgotten_and_operators_are_not(
    agents: Agents, lapsing: Sessions
) -> None:
    adapter = await created_adapter(agents.store)
    session = await register_adapter(agents.sessions, NOW, tenant_id="acme", rt_id=adapter.rt_id)
    mongo, system = lapsing.registry.mongo, lapsing.registry.system
    kept = await mongo.find_one(system, "adapterSessions", {"_id": session.agent, "endedAt": {"$exists": True}})
    assert kept is None
    await sign_off(agents.sessions, session, LATER)
    ended = await mongo.find_one(system, "adapterSessions", {"_id": session.agent})
    assert ended
    assert abs(ended["endedAt"] - ended["lastSeen"]) < timedelta(minutes=1)
    indexes = (await mongo.command(system, {"listIndexes": "adapterSessions"}))["cursor"]["firstBatch"]
    assert [index["expireAfterSeconds"] for index in indexes if index["key"] == {"endedAt": 1}] == [30 * 24 * 3600]
    again = await register_adapter(agents.sessions, NOW, tenant_id="acme", rt_id=adapter.rt_id)
    assert again.epoch == session.epoch + 1
    assert "endedAt" not in (await mongo.find_one(system, "adapterSessions", {"_id": session.agent}) or {})
    indexes = (await mongo.command(system, {"listIndexes": "operators"}))["cursor"]["firstBatch"]
    assert not [index for index in indexes if "expireAfterSeconds" in index]


async def test_a_broken_connection_shortens_the_lease_unless_there_is_another_one(
    agents: Agents, lapsing: Sessions
) -> None:
    pool, session = await created_pool(agents.store), await agents.operator()
    await agents.claim(session, pool)
    await agents.sessions.renew(session, link="old")
    await agents.sessions.renew(session, link="new")
    await lapsing.unlink(session, "old")  # late: it has come back already
    await _passed(lapsing)
    await sweep(agents.sessions, LATER)
    assert (await agents.pool(pool)).communication_state is ONLINE
    await lapsing.unlink(session, "new")
    await _passed(lapsing)
    await sweep(agents.sessions, LATER)
    lost = await agents.pool(pool)
    assert (lost.communication_state, lost.communication_reason) == (
        OFFLINE,
        "The operator 'plant-1' lost its connection.",
    )


async def test_a_renewal_writes_one_document_however_many_pools_there_are(agents: Agents) -> None:
    session = await agents.operator()
    before = await agents.sessions.check(session)
    for number in range(20):
        await agents.claim(session, await created_pool(agents.store, f"Pool {number}"))
    await agents.sessions.renew(session)
    after = await agents.sessions.check(session)
    assert after.keys() == before.keys()


async def test_the_pools_of_a_deleted_tenant_are_forgotten(agents: Agents, lapsing: Sessions) -> None:
    pool, session = await created_pool(agents.store), await agents.operator()
    await agents.claim(session, pool)
    await agents.sessions.registry.delete("acme")
    await lapsing.renew(session)
    await _passed(lapsing)
    await sweep(agents.sessions, LATER)
    assert await agents.sessions.losses() == []


async def _passed(sessions: Sessions) -> None:
    """Until MongoDB's clock, which counts milliseconds, has moved on."""
    before = (await sessions.registry.mongo.command("admin", {"hello": 1}))["localTime"]
    while (await sessions.registry.mongo.command("admin", {"hello": 1}))["localTime"] <= before:
        pass
