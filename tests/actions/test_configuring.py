"""A configuration is handed over, and acknowledged or rejected."""

from __future__ import annotations

import pytest

from octomesh_graphql.actions.arranging import edit_adapter
from octomesh_graphql.actions.configuring import (
    acknowledge_configuration,
    hand_configuration,
    reject_configuration,
)
from octomesh_graphql.actions.registering import register_adapter
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, Session
from octomesh_graphql.domain.states import ConfigurationState
from octomesh_graphql.store.sessions import Sessions
from tests.actions.conftest import Agents
from tests.builders import ALICE, LATER, NOW, a_deployed_adapter, a_served_pool, created_adapter, stored

UNCONFIGURED, PENDING, CONFIGURED, ERROR = ConfigurationState


@pytest.fixture
async def adapter(agents: Agents) -> Adapter:
    """A deployed adapter with a configuration."""
    pool = a_served_pool()
    adapter = a_deployed_adapter(pool=pool, configuration={"host": "10.0.0.1"})
    await stored(agents.store, pool, adapter)
    return adapter


@pytest.fixture
async def session(sessions: Sessions, adapter: Adapter) -> Session:
    """Of its process."""
    return await register_adapter(sessions, NOW, tenant_id="acme", rt_id=adapter.rt_id)


async def state(agents: Agents, adapter: Adapter) -> ConfigurationState:
    found = await agents.store.adapter(adapter.rt_id)
    assert found
    return found.configuration_state


async def test_from_unconfigured_over_pending_to_configured(
    agents: Agents, sessions: Sessions, adapter: Adapter, session: Session
) -> None:
    assert await state(agents, adapter) is UNCONFIGURED
    handed = await hand_configuration(sessions, session, LATER)
    assert handed.configuration == {"host": "10.0.0.1"}
    assert await state(agents, adapter) is PENDING
    await acknowledge_configuration(sessions, session, LATER, handed.version)
    assert await state(agents, adapter) is CONFIGURED


async def test_a_rejection_says_why(agents: Agents, sessions: Sessions, adapter: Adapter, session: Session) -> None:
    handed = await hand_configuration(sessions, session, LATER)
    rejected = await reject_configuration(sessions, session, LATER, handed.version, "There is no host 10.0.0.1.")
    assert (rejected.configuration_state, rejected.last_error) == (ERROR, "There is no host 10.0.0.1.")


async def test_an_answer_about_an_older_configuration_is_ignored(
    agents: Agents, sessions: Sessions, adapter: Adapter, session: Session
) -> None:
    handed = await hand_configuration(sessions, session, LATER)
    await edit_adapter(agents.store, ALICE, LATER, rt_id=adapter.rt_id, given={"configuration": {"host": "10.0.0.2"}})
    await acknowledge_configuration(sessions, session, LATER, handed.version)
    assert await state(agents, adapter) is PENDING
    await reject_configuration(sessions, session, LATER, handed.version, "No.")
    assert await state(agents, adapter) is PENDING


async def test_only_the_present_process_of_an_adapter_answers_for_it(
    agents: Agents, sessions: Sessions, adapter: Adapter, session: Session
) -> None:
    await register_adapter(sessions, NOW, tenant_id="acme", rt_id=adapter.rt_id)
    with pytest.raises(AgentRefused) as refused:
        await hand_configuration(sessions, session, LATER)
    assert refused.value.code is AgentErrorCode.STALE_SESSION
    operator = await agents.operator()
    with pytest.raises(AgentRefused) as refused:
        await hand_configuration(sessions, operator, LATER)
    assert refused.value.code is AgentErrorCode.BAD_USER_INPUT


async def test_what_does_not_run_has_no_configuration_in_force(agents: Agents, sessions: Sessions) -> None:
    adapter = await created_adapter(agents.store, configuration=[1])
    session = await register_adapter(sessions, NOW, tenant_id="acme", rt_id=adapter.rt_id)
    handed = await hand_configuration(sessions, session, LATER)
    await acknowledge_configuration(sessions, session, LATER, handed.version)
    assert await state(agents, adapter) is UNCONFIGURED
