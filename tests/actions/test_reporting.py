"""What operators find becomes what users see."""

from __future__ import annotations

from typing import Any

import pytest

from octomesh_graphql.actions import reporting
from octomesh_graphql.actions.arranging import DeletionMode, delete_pool, edit_adapter
from octomesh_graphql.actions.deploying import deploy_adapter, deploy_pool_adapters, undeploy_pool_adapters
from octomesh_graphql.actions.reporting import pool_wish, report_pool
from octomesh_graphql.domain.adapter import Adapter, Phase
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, Session
from octomesh_graphql.domain.states import DeploymentState
from octomesh_graphql.domain.wish import Finding
from octomesh_graphql.store.entities import TenantStore
from tests.actions.conftest import Agents
from tests.builders import ALICE, LATER, NOW, an_rt_id, created_adapter, created_pool
from tests.drivers import both_drivers

UNDEPLOYED, PENDING, DEPLOYED, ERROR = DeploymentState


async def told(agents: Agents, session: Session, pool: Pool, *findings: Finding) -> None:
    """Report these."""
    await report_pool(agents.sessions, session, LATER, tenant_id="acme", pool_rt_id=pool.rt_id, findings=findings)


async def present(agents: Agents, adapter: Adapter) -> Adapter:
    """The adapter as it is now."""
    found = await agents.store.adapter(adapter.rt_id)
    assert found
    return found


def a_finding(adapter: Adapter, phase: Phase, message: str | None = None, *, generation: int = 1) -> Finding:
    """What was found about the wish."""
    return Finding(rt_id=adapter.rt_id, generation=generation, phase=phase, message=message)


@pytest.fixture
async def pool(agents: Agents) -> Pool:
    """A pool with two adapters, wished deployed."""
    pool = await created_pool(agents.store)
    for name in ("A", "B"):
        await created_adapter(agents.store, name, pool=pool)
    await deploy_pool_adapters(agents.store, ALICE, NOW, rt_id=pool.rt_id)
    return pool


@pytest.fixture
async def session(agents: Agents, pool: Pool) -> Session:
    """Of the operator that serves it."""
    session = await agents.operator()
    await agents.claim(session, pool)
    return session


@both_drivers
async def test_a_wish_is_told_and_its_outcome_shown(agents: Agents, pool: Pool, session: Session) -> None:
    wish = await pool_wish(agents.sessions, session, tenant_id="acme", pool_rt_id=pool.rt_id)
    assert [(adapter.name, adapter.wanted, adapter.generation) for adapter in wish.adapters] == [
        ("A", True, 1),
        ("B", True, 1),
    ]
    a, b = await agents.store.adapters_of(pool.rt_id)
    await told(agents, session, pool, a_finding(a, Phase.AVAILABLE), a_finding(b, Phase.FAILED, "No such image."))
    assert (await present(agents, a)).deployment_state is DEPLOYED
    failed = await present(agents, b)
    assert (failed.deployment_state, failed.status_message, failed.last_error) == (ERROR, *["No such image."] * 2)
    assert (await agents.pool(pool)).deployment_state is ERROR


async def test_what_is_told_twice_or_too_late_writes_nothing(agents: Agents, pool: Pool, session: Session) -> None:
    a, _ = await agents.store.adapters_of(pool.rt_id)
    await told(agents, session, pool, a_finding(a, Phase.AVAILABLE))
    before = await present(agents, a), await agents.pool(pool)
    await told(agents, session, pool, a_finding(a, Phase.AVAILABLE))
    await told(agents, session, pool, a_finding(a, Phase.GONE, generation=0))
    await told(agents, session, pool)
    assert (await present(agents, a), await agents.pool(pool)) == before


async def test_an_edit_meanwhile_makes_a_report_old(agents: Agents, pool: Pool, session: Session) -> None:
    a, _ = await agents.store.adapters_of(pool.rt_id)
    await edit_adapter(agents.store, ALICE, LATER, rt_id=a.rt_id, expected_version=1, given={"image_version": "4"})
    await told(agents, session, pool, a_finding(a, Phase.AVAILABLE))
    assert (await present(agents, a)).deployment_state is PENDING


async def test_a_report_does_not_make_an_edit_conflict(agents: Agents, pool: Pool, session: Session) -> None:
    a, _ = await agents.store.adapters_of(pool.rt_id)
    await told(agents, session, pool, a_finding(a, Phase.PROGRESSING, "Pulling."))
    await edit_adapter(agents.store, ALICE, LATER, rt_id=a.rt_id, expected_version=1, given={"description": "New."})


async def test_adapters_of_other_pools_can_not_be_reported(agents: Agents, pool: Pool, session: Session) -> None:
    other = await created_pool(agents.store, "Other")
    foreign = await created_adapter(agents.store, "C", pool=other)
    await deploy_adapter(agents.store, ALICE, NOW, rt_id=foreign.rt_id)
    await told(
        agents,
        session,
        pool,
        a_finding(foreign, Phase.AVAILABLE),
        Finding(rt_id=an_rt_id(), generation=1, phase=Phase.AVAILABLE),
    )
    assert (await present(agents, foreign)).deployment_state is PENDING


async def test_only_who_serves_a_pool_is_told_of_it_and_heard(agents: Agents, pool: Pool, session: Session) -> None:
    a, _ = await agents.store.adapters_of(pool.rt_id)
    stranger = await agents.operator("stranger")
    for code, attempt in (
        (
            AgentErrorCode.POOL_SERVED_BY_ANOTHER,
            pool_wish(agents.sessions, stranger, tenant_id="acme", pool_rt_id=pool.rt_id),
        ),
        (AgentErrorCode.POOL_SERVED_BY_ANOTHER, told(agents, stranger, pool, a_finding(a, Phase.AVAILABLE))),
    ):
        with pytest.raises(AgentRefused) as refused:
            await attempt
        assert refused.value.code is code
    again = await agents.operator()
    for late, code in ((session, AgentErrorCode.STALE_SESSION), (again, AgentErrorCode.POOL_NOT_CLAIMED)):
        with pytest.raises(AgentRefused) as refused:
            await told(agents, late, pool, a_finding(a, Phase.AVAILABLE))
        assert refused.value.code is code
    assert (await present(agents, a)).deployment_state is PENDING


async def test_a_deletion_that_waited_is_finished_by_the_report_that_all_is_gone(
    agents: Agents, pool: Pool, session: Session
) -> None:
    a, b = await agents.store.adapters_of(pool.rt_id)
    await told(agents, session, pool, a_finding(a, Phase.AVAILABLE), a_finding(b, Phase.AVAILABLE))
    deletion = await delete_pool(agents.store, ALICE, LATER, rt_id=pool.rt_id, mode=DeletionMode.UNDEPLOY_FIRST)
    assert not deletion.deleted
    await told(agents, session, pool, a_finding(a, Phase.GONE, generation=2))
    assert (await agents.pool(pool)).deleting
    await told(agents, session, pool, a_finding(b, Phase.GONE, generation=2))
    assert await agents.store.pool(pool.rt_id) is None
    assert [(await present(agents, each)).pool_rt_id for each in (a, b)] == [None, None]
    with pytest.raises(AgentRefused) as refused:
        await told(agents, session, pool)
    assert refused.value.code is AgentErrorCode.NOT_FOUND


async def test_an_undeployed_adapter_is_no_longer_part_of_the_wish(
    agents: Agents, pool: Pool, session: Session
) -> None:
    a, b = await agents.store.adapters_of(pool.rt_id)
    await undeploy_pool_adapters(agents.store, ALICE, LATER, rt_id=pool.rt_id)
    await told(agents, session, pool, a_finding(a, Phase.GONE, generation=2))
    wish = await pool_wish(agents.sessions, session, tenant_id="acme", pool_rt_id=pool.rt_id)
    assert [(adapter.rt_id, adapter.wanted) for adapter in wish.adapters] == [(b.rt_id, False)]
    assert (await present(agents, a)).deployment_state is UNDEPLOYED


async def test_a_large_wish_is_told_in_pages(
    agents: Agents, pool: Pool, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "WISH_ADAPTERS", 2)
    for name in ("C", "D", "E"):
        await created_adapter(agents.store, name, pool=pool)
    await deploy_pool_adapters(agents.store, ALICE, NOW, rt_id=pool.rt_id)
    names: list[str] = []
    after: str | None = None
    while not names or after:
        page = await pool_wish(agents.sessions, session, tenant_id="acme", pool_rt_id=pool.rt_id, after=after)
        names += [adapter.name for adapter in page.adapters]
        after = page.next
    assert names == ["A", "B", "C", "D", "E"]


async def test_a_pool_that_is_deleted_while_its_wish_is_read_has_no_wish(
    agents: Agents, pool: Pool, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = TenantStore.wished_adapters

    async def overtaken(store: TenantStore, *arguments: Any, **more: Any) -> Any:
        await delete_pool(agents.store, ALICE, LATER, rt_id=pool.rt_id, mode=DeletionMode.FORCE)
        return await read(store, *arguments, **more)

    monkeypatch.setattr(TenantStore, "wished_adapters", overtaken)
    with pytest.raises(AgentRefused) as refused:  # and not: nothing is wanted any more
        await pool_wish(agents.sessions, session, tenant_id="acme", pool_rt_id=pool.rt_id)
    assert refused.value.code is AgentErrorCode.NOT_FOUND


async def test_what_a_cluster_says_is_text_and_no_formula(agents: Agents, pool: Pool, session: Session) -> None:
    a, _ = await agents.store.adapters_of(pool.rt_id)
    await told(agents, session, pool, a_finding(a, Phase.FAILED, "No\x1b[31m image \u202e" + "x" * 5000))
    message = (await present(agents, a)).status_message
    assert message
    assert message.isprintable()
    assert len(message) <= reporting.MESSAGE_CHARACTERS


async def test_a_report_of_too_much_at_once_is_refused(agents: Agents, pool: Pool, session: Session) -> None:
    a, _ = await agents.store.adapters_of(pool.rt_id)
    with pytest.raises(AgentRefused, match="may have 200 findings, not 201"):
        await told(agents, session, pool, *[a_finding(a, Phase.AVAILABLE)] * 201)
