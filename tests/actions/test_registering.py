"""Agents come and go, and nothing late overwrites what is newer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock

import pytest

from octomesh_graphql.actions.registering import claim_pool, register_adapter, release_pool
from octomesh_graphql.actions.sweeping import sign_off
from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, OperatorFacts, Session
from octomesh_graphql.domain.states import CommunicationState
from octomesh_graphql.store.mongo import Document
from octomesh_graphql.store.paging import PageRequest
from octomesh_graphql.store.sessions import Sessions
from tests.actions.conftest import Agents
from tests.builders import LATER, NOW, an_rt_id, created_adapter, created_pool
from tests.drivers import both_drivers

ONLINE, OFFLINE, UNREGISTERED = CommunicationState.ONLINE, CommunicationState.OFFLINE, CommunicationState.UNREGISTERED


async def history(agents: Agents, entity: CommunicationEntity) -> list[tuple[str | None, str | None, str]]:
    """Its communication states, oldest first: from, to and who."""
    page = await agents.store.transition_page(entity, PageRequest(first=50))
    return [(row.from_, row.to, row.who) for row in reversed(page.rows) if row.what.name == "COMMUNICATION"]


@both_drivers
async def test_a_claimed_pool_is_online_and_says_who_serves_it(agents: Agents) -> None:
    pool = await created_pool(agents.store)
    await agents.claim(await agents.operator(), pool)
    claimed = await agents.pool(pool)
    assert claimed.operator
    assert (claimed.communication_state, claimed.operator.id, claimed.operator.cluster) == (ONLINE, "plant-1", "plant")
    assert claimed.rt_version == pool.rt_version  # no edit of a user conflicts with it
    assert await history(agents, pool) == [("UNREGISTERED", "ONLINE", "operator plant-1")]


async def test_claiming_again_writes_nothing(agents: Agents) -> None:
    pool, session = await created_pool(agents.store), await agents.operator()
    await agents.claim(session, pool)
    before = await agents.pool(pool)
    await agents.claim(session, pool)
    assert await agents.pool(pool) == before


async def test_of_two_operators_that_claim_a_pool_at_once_one_is_told_who_has_it(agents: Agents) -> None:
    pool = await created_pool(agents.store)
    rivals = [await agents.operator(id) for id in ("a", "b", "c", "d")]
    outcomes = await asyncio.gather(*(agents.claim(each, pool) for each in rivals), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, AgentRefused)]
    assert [each.code for each in refused] == [AgentErrorCode.POOL_SERVED_BY_ANOTHER] * 3
    winner = (await agents.pool(pool)).operator
    assert winner
    assert all(f"'{winner.id}'" in str(each) for each in refused)


async def test_a_stale_session_can_do_nothing(agents: Agents, sessions: Sessions) -> None:
    pool = await created_pool(agents.store)
    old = await agents.operator()
    await agents.claim(old, pool)
    new = await agents.operator()
    assert new.epoch == old.epoch + 1
    await agents.claim(new, pool)
    attempts = [
        agents.claim(old, pool),
        sessions.renew(old),
        sign_off(sessions, old, LATER),
        release_pool(sessions, old, LATER, tenant_id="acme", pool_rt_id=pool.rt_id),
    ]
    for attempt in attempts:
        with pytest.raises(AgentRefused) as refused:
            await attempt
        assert refused.value.code is AgentErrorCode.STALE_SESSION
    assert (await agents.pool(pool)).communication_state is ONLINE


async def test_a_server_that_froze_over_a_claim_keeps_the_operator_from_nothing(
    agents: Agents, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, session = await created_pool(agents.store), await agents.operator()
    mongo = sessions.registry.mongo
    frozen, thawed = asyncio.Event(), asyncio.Event()
    transact = mongo.transact

    async def freezing(work: Callable[[Any], Awaitable[None]]) -> None:
        async def act(transaction: Any) -> None:
            await work(transaction)
            frozen.set()
            await thawed.wait()

        await transact(act)

    with monkeypatch.context() as patched:
        patched.setattr(mongo, "transact", freezing)
        claiming = asyncio.create_task(agents.claim(session, pool))
        await frozen.wait()
    try:
        async with asyncio.timeout(5):
            await sessions.renew(session)
            await sessions.end(session)
    finally:
        thawed.set()
        await asyncio.wait({claiming})


async def test_a_claim_that_its_session_does_not_outlive_is_found_and_ended(
    agents: Agents, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, session = await created_pool(agents.store), await agents.operator()
    check = sessions.check
    late: list[str] = []

    async def overtaken(checked: Session) -> Document:
        found = await check(checked)
        if not late:  # it signs off between the look at its session and what is written because of it
            late.append("signed off")
            await sign_off(sessions, session, LATER)
        return found

    monkeypatch.setattr(sessions, "operator", AsyncMock(return_value=await sessions.operator(session)))
    monkeypatch.setattr(sessions, "check", overtaken)
    with pytest.raises(AgentRefused, match="Register anew"):
        await agents.claim(session, pool)
    assert (await agents.pool(pool)).communication_state is UNREGISTERED


async def test_a_released_pool_that_was_claimed_again_is_still_looked_after(agents: Agents, sessions: Sessions) -> None:
    pool, session = await created_pool(agents.store), await agents.operator()
    await agents.claim(session, pool)
    await release_pool(sessions, session, LATER, tenant_id="acme", pool_rt_id=pool.rt_id)
    await agents.claim(session, pool)
    await sign_off(sessions, session, LATER)
    assert (await agents.pool(pool)).communication_state is OFFLINE


@pytest.mark.parametrize("namespace", ["", "Octo", "octo_mesh", "-octo", "octo/mesh", "o" * 64])
async def test_a_namespace_that_can_not_be_is_refused(agents: Agents, namespace: str) -> None:
    pool, session = await created_pool(agents.store), await agents.operator()
    with pytest.raises(AgentRefused, match="can't be the name of a Kubernetes namespace") as refused:
        await claim_pool(agents.sessions, session, NOW, tenant_id="acme", pool_rt_id=pool.rt_id, namespace=namespace)
    assert refused.value.code is AgentErrorCode.BAD_USER_INPUT
    assert (await agents.pool(pool)).communication_state is UNREGISTERED


async def test_a_session_nobody_was_given_is_stale(sessions: Sessions) -> None:
    for session in (Session(agent="nobody", epoch=1), Session(agent="acme/" + an_rt_id(), epoch=1)):
        with pytest.raises(AgentRefused, match="Register anew"):
            await sessions.renew(session)


async def test_a_released_pool_can_be_claimed_by_another(agents: Agents, sessions: Sessions) -> None:
    pool, session = await created_pool(agents.store), await agents.operator("a")
    await agents.claim(session, pool)
    await release_pool(sessions, session, LATER, tenant_id="acme", pool_rt_id=pool.rt_id)
    released = await agents.pool(pool)
    assert (released.communication_state, released.operator) == (UNREGISTERED, None)
    assert released.communication_state_timestamp == LATER
    await agents.claim(await agents.operator("b"), pool)
    await release_pool(sessions, session, LATER, tenant_id="acme", pool_rt_id=pool.rt_id)  # late, or doubled
    assert (await agents.pool(pool)).communication_state is ONLINE


async def test_an_operator_that_stops_says_goodbye_for_its_pools(agents: Agents, sessions: Sessions) -> None:
    pool, session = await created_pool(agents.store), await agents.operator()
    await agents.claim(session, pool)
    await sign_off(sessions, session, LATER)
    assert (await agents.pool(pool)).communication_reason == "The operator 'plant-1' signed off."
    assert [to for _, to, _ in await history(agents, pool)] == ["ONLINE", "OFFLINE"]


async def test_a_late_goodbye_does_not_overwrite_the_next_session(agents: Agents, sessions: Sessions) -> None:
    adapter = await created_adapter(agents.store)
    old = await register_adapter(sessions, NOW, tenant_id="acme", rt_id=adapter.rt_id)
    new = await register_adapter(sessions, NOW, tenant_id="acme", rt_id=adapter.rt_id)
    with pytest.raises(AgentRefused):
        await sign_off(sessions, old, LATER)
    found = await agents.store.adapter(adapter.rt_id)
    assert found
    assert found.communication_state is ONLINE
    await sign_off(sessions, new, LATER)
    found = await agents.store.adapter(adapter.rt_id)
    assert found
    assert found.communication_state is UNREGISTERED


async def test_adapters_that_register_at_once_agree_on_who_came_last(agents: Agents, sessions: Sessions) -> None:
    adapter = await created_adapter(agents.store)

    async def register() -> Session | None:
        try:
            return await register_adapter(sessions, NOW, tenant_id="acme", rt_id=adapter.rt_id)
        except AgentRefused:  # overtaken
            return None

    given = [session for session in await asyncio.gather(*(register() for _ in range(8))) if session]
    found = await agents.store.adapter(adapter.rt_id)
    assert found
    assert found.session == max(given, key=lambda session: session.epoch).key


@pytest.mark.parametrize("tenant_id", ["acme", "nobody", "../etc", ""])
async def test_what_is_not_there_is_not_found(agents: Agents, sessions: Sessions, tenant_id: str) -> None:
    session = await agents.operator()
    with pytest.raises(AgentRefused) as refused:
        await claim_pool(sessions, session, NOW, tenant_id=tenant_id, pool_rt_id=an_rt_id(), namespace="octo")
    assert refused.value.code is AgentErrorCode.NOT_FOUND
    with pytest.raises(AgentRefused) as refused:
        await register_adapter(sessions, NOW, tenant_id=tenant_id, rt_id=an_rt_id())
    assert refused.value.code is AgentErrorCode.NOT_FOUND


@pytest.mark.parametrize("id", ["", "Plant", "plant/1", "-plant", "p" * 101, "$epoch", "plänt"])
async def test_an_operator_needs_an_id_that_names_it(sessions: Sessions, id: str) -> None:
    with pytest.raises(AgentRefused, match="can't be the id of an operator"):
        OperatorFacts(id=id, cluster="plant", version="1").checked()


async def test_what_an_operator_calls_itself_is_text_and_no_formula(agents: Agents, sessions: Sessions) -> None:
    session = await agents.operator("a", cluster="$epoch")
    assert (await sessions.operator(session)).cluster == "$epoch"
