"""What a pool's adapters make it, together."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from octomesh_graphql.domain.health import adapter_reason, pool_health
from octomesh_graphql.domain.pool import BeingDeleted, Pool
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, Session
from octomesh_graphql.domain.states import CommunicationState, ConfigurationState, DeploymentState, HealthLevel
from octomesh_graphql.domain.tally import Group, Tally, tally_of
from tests.builders import LATER, NOW, a_group, a_pool, a_served_pool, an_operator, an_rt_id

EVERY_GROUP = [
    a_group(deployment=deployment, configuration=configuration, communication=communication, wanted=wanted)
    for deployment, configuration, communication, wanted in itertools.product(
        DeploymentState, ConfigurationState, CommunicationState, (True, False)
    )
]
OK, UNKNOWN, WARN, CRITICAL = HealthLevel


@pytest.mark.parametrize("states", list(itertools.product(DeploymentState, repeat=2)))
def test_the_deployment_of_a_pool_is_the_gravest_of_its_adapters(states: tuple[DeploymentState, ...]) -> None:
    gravity = [DeploymentState.UNDEPLOYED, DeploymentState.DEPLOYED, DeploymentState.PENDING, DeploymentState.ERROR]
    pool = a_pool(tally=Tally(tuple(a_group(deployment=state) for state in states)))
    assert pool.deployment_state is max(states, key=gravity.index)


@pytest.mark.parametrize("states", list(itertools.product(ConfigurationState, repeat=2)))
def test_the_configuration_of_a_pool_is_the_gravest_of_its_adapters(states: tuple[ConfigurationState, ...]) -> None:
    gravity = [
        ConfigurationState.UNCONFIGURED,
        ConfigurationState.CONFIGURED,
        ConfigurationState.PENDING,
        ConfigurationState.ERROR,
    ]
    pool = a_pool(tally=Tally(tuple(a_group(configuration=state) for state in states)))
    assert pool.configuration_state is max(states, key=gravity.index)


def test_a_pool_without_adapters_is_undeployed_and_unconfigured() -> None:
    pool = a_pool()
    assert pool.deployment_state is DeploymentState.UNDEPLOYED
    assert pool.configuration_state is ConfigurationState.UNCONFIGURED
    assert pool.tally.adapters == 0


def test_a_tally_counts_by_any_states() -> None:
    tally = Tally(
        (
            a_group(deployment=DeploymentState.ERROR, wanted=True, adapters=2),
            a_group(deployment=DeploymentState.ERROR, adapters=3),
            a_group(adapters=4),
        )
    )
    assert tally.adapters == tally.count() == 9
    assert tally.count(deployment=DeploymentState.ERROR) == 5
    assert tally.count(deployment=DeploymentState.ERROR, wanted=True) == 2
    assert tally.count(communication=CommunicationState.ONLINE) == 0


def test_equal_tallies_are_equal_whatever_the_order() -> None:
    assert tally_of(EVERY_GROUP) == tally_of(reversed(EVERY_GROUP))


# Health


@pytest.mark.parametrize("communication", CommunicationState, ids=lambda state: state.name)
def test_the_health_of_a_pool_is_that_of_the_worst_thing_about_it(communication: CommunicationState) -> None:
    for groups in [(), *itertools.combinations(EVERY_GROUP, 1), *itertools.combinations(EVERY_GROUP, 2)]:
        health = pool_health(communication, Tally(groups))
        worst = max((adapter_reason(group).level for group in groups), key=lambda level: level.value, default=OK)
        assert health.level.value >= worst.value
        assert health.headline == health.reasons[0]
        assert all(health.reasons)


def test_every_group_at_once_can_be_judged() -> None:
    health = pool_health(CommunicationState.ONLINE, tally_of(EVERY_GROUP))
    assert health.level is CRITICAL
    assert f"{len(EVERY_GROUP) // 4} of {len(EVERY_GROUP)} adapters: deployment failed" in health.reasons


@pytest.mark.parametrize(
    ("group", "level"),
    [
        (a_group(), OK),
        (a_group(wanted=True, deployment=DeploymentState.PENDING), WARN),
        (a_group(deployment=DeploymentState.PENDING), WARN),
        (a_group(wanted=True, deployment=DeploymentState.ERROR), CRITICAL),
        (a_group(deployment=DeploymentState.ERROR), CRITICAL),
        (a_group(wanted=True, deployment=DeploymentState.DEPLOYED), UNKNOWN),
        (
            a_group(wanted=True, deployment=DeploymentState.DEPLOYED, communication=CommunicationState.ONLINE),
            OK,
        ),
        (
            a_group(wanted=True, deployment=DeploymentState.DEPLOYED, communication=CommunicationState.OFFLINE),
            CRITICAL,
        ),
        (
            a_group(
                wanted=True,
                deployment=DeploymentState.DEPLOYED,
                communication=CommunicationState.ONLINE,
                configuration=ConfigurationState.PENDING,
            ),
            WARN,
        ),
        (
            a_group(
                wanted=True,
                deployment=DeploymentState.DEPLOYED,
                communication=CommunicationState.ONLINE,
                configuration=ConfigurationState.ERROR,
            ),
            CRITICAL,
        ),
        (a_group(communication=CommunicationState.OFFLINE), OK),
    ],
)
def test_an_adapter_is_as_well_as_its_states_say(group: Group, level: HealthLevel) -> None:
    assert adapter_reason(group).level is level


@pytest.mark.parametrize(
    ("communication", "wanted", "level", "headline"),
    [
        (CommunicationState.ONLINE, False, OK, "its operator is online"),
        (CommunicationState.OFFLINE, False, WARN, "its operator is offline; nothing is wished to run"),
        (CommunicationState.OFFLINE, True, CRITICAL, "its operator is offline"),
        (CommunicationState.UNREGISTERED, False, UNKNOWN, "no operator serves it"),
        (CommunicationState.UNREGISTERED, True, WARN, "no operator serves it; adapters wished to run: 1"),
    ],
)
def test_a_pool_is_as_well_as_its_operator(
    communication: CommunicationState, wanted: bool, level: HealthLevel, headline: str
) -> None:
    running = a_group(wanted=wanted, deployment=DeploymentState.DEPLOYED, communication=CommunicationState.ONLINE)
    health = pool_health(communication, Tally((running if wanted else a_group(),)))
    assert (health.level, health.headline) == (level, headline)


# Operators

A = Session(agent="plant-1", epoch=1)


def test_a_claimed_pool_is_online_since_then() -> None:
    pool = a_pool().claimed(LATER, an_operator(since=LATER), A)
    assert (pool.communication_state, pool.communication_state_timestamp) == (CommunicationState.ONLINE, LATER)
    assert pool.operator == an_operator(since=LATER)
    assert pool.claimed(LATER + timedelta(1), an_operator(since=LATER + timedelta(1)), A) is pool


def test_an_operator_that_registers_anew_within_its_lease_was_never_away() -> None:
    again = a_served_pool().claimed(LATER, an_operator(since=LATER), Session(agent="plant-1", epoch=2))
    assert again.operator == an_operator(since=NOW)
    assert (again.session, again.communication_state_timestamp) == ("plant-1#2", NOW)


def test_a_pool_of_a_live_operator_is_refused_to_another_naming_the_first() -> None:
    with pytest.raises(
        AgentRefused, match="the operator 'plant-1' of the cluster 'plant', namespace 'octo'"
    ) as refused:
        a_served_pool().claimed(LATER, an_operator(id="b"), Session(agent="b", epoch=9))
    assert refused.value.code is AgentErrorCode.POOL_SERVED_BY_ANOTHER


@pytest.mark.parametrize("state", [CommunicationState.OFFLINE, CommunicationState.UNREGISTERED])
def test_a_pool_whose_operator_is_gone_can_be_taken_over(state: CommunicationState) -> None:
    taken = a_served_pool(communication_state=state).claimed(
        LATER, an_operator(id="b", since=LATER), Session(agent="b", epoch=1)
    )
    assert taken.operator
    assert (taken.operator.id, taken.operator.since, taken.session) == ("b", LATER, "b#1")


@pytest.mark.parametrize(
    ("session", "state", "code"),
    [
        (A, CommunicationState.OFFLINE, AgentErrorCode.POOL_NOT_CLAIMED),
        (Session(agent="plant-1", epoch=2), CommunicationState.ONLINE, AgentErrorCode.POOL_NOT_CLAIMED),
        (Session(agent="b", epoch=1), CommunicationState.ONLINE, AgentErrorCode.POOL_SERVED_BY_ANOTHER),
    ],
)
def test_only_the_session_that_claimed_a_pool_speaks_for_it(
    session: Session, state: CommunicationState, code: AgentErrorCode
) -> None:
    with pytest.raises(AgentRefused) as refused:
        a_served_pool(communication_state=state).spoken_for(session)
    assert refused.value.code is code


def test_a_released_pool_is_unregistered_and_remembers_when() -> None:
    released = a_served_pool().released_by(LATER, A, "Removed.")
    assert (released.communication_state, released.operator) == (CommunicationState.UNREGISTERED, None)
    assert released.communication_state_timestamp == LATER
    assert released.released_by(LATER, A, "Removed.") is released
    other = a_served_pool(session="b#1")
    assert other.released_by(LATER, A, "Removed.") is other


# Edits


def test_a_new_pool_is_unregistered_at_version_one() -> None:
    pool = Pool.new(rt_id=an_rt_id(), now=NOW, name="  Nord  ", description=" ")
    assert (pool.name, pool.description, pool.rt_version) == ("Nord", None, 1)
    assert pool.communication_state is CommunicationState.UNREGISTERED
    assert str(pool) == "pool 'Nord'"


def test_an_edit_changes_what_was_given_and_counts() -> None:
    pool = a_pool(name="North", description="Old.")
    edited = pool.edit(LATER, {"name": "South"})
    assert (edited.name, edited.description, edited.rt_version) == ("South", "Old.", 2)
    assert edited.rt_changed_date_time == LATER
    assert edited.edit(LATER, {"description": None}).description is None


def test_a_pool_on_its_way_out_takes_no_more_edits() -> None:
    going = a_served_pool(name="North").to_be_deleted(NOW)
    with pytest.raises(Refused) as refused:
        going.edit(LATER, {"name": "South"})
    [problem] = refused.value.problems
    assert isinstance(problem, BeingDeleted)
    assert "pool 'North' is being deleted" in problem.message
