"""Every state of an adapter, met by every event."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from octomesh_graphql.domain.adapter import Adapter, AdapterInAnotherPool, AdapterNotInPool, Phase, StillDeployed
from octomesh_graphql.domain.entity import VersionConflict
from octomesh_graphql.domain.pool import BeingDeleted, Pool
from octomesh_graphql.domain.problem import InvalidValue, Problem, Refused
from octomesh_graphql.domain.states import AdapterType, CommunicationState, ConfigurationState, DeploymentState
from tests.builders import (
    LATER,
    NOW,
    a_deployed_adapter,
    a_pool,
    a_served_pool,
    a_session,
    adapter_input,
    an_adapter,
    an_rt_id,
)

UNDEPLOYED, PENDING, DEPLOYED, ERROR = DeploymentState
NOT_IN_FORCE = (UNDEPLOYED, ERROR)
"""Deployment states in which no configuration can be in force."""

POOL = a_served_pool(name="North")


def every_adapter() -> Iterator[Adapter]:
    """One adapter in each combination of states there can be."""
    for deployment, configuration, wanted in itertools.product(DeploymentState, ConfigurationState, (True, False)):
        unconfigured = configuration is ConfigurationState.UNCONFIGURED
        if deployment in NOT_IN_FORCE and not unconfigured:
            continue
        if (deployment is UNDEPLOYED and wanted) or (deployment is DEPLOYED and not wanted):
            continue
        failed = deployment is ERROR or configuration is ConfigurationState.ERROR
        yield an_adapter(
            pool=POOL,
            wanted=wanted,
            generation=3,
            observed_generation=3,
            deployment_state=deployment,
            configuration_state=configuration,
            status_message="No such image." if failed else None,
            last_error="No such image." if failed else None,
            last_error_timestamp=NOW if failed else None,
        )


def told(adapter: Adapter) -> str:
    wish = "wanted" if adapter.wanted else "unwanted"
    return f"{wish}-{adapter.deployment_state.name}-{adapter.configuration_state.name}"


every_state = pytest.mark.parametrize("adapter", list(every_adapter()), ids=told)

FOUND = {
    (Phase.GONE, True): PENDING,
    (Phase.GONE, False): UNDEPLOYED,
    (Phase.PROGRESSING, True): PENDING,
    (Phase.PROGRESSING, False): PENDING,
    (Phase.AVAILABLE, True): DEPLOYED,
    (Phase.AVAILABLE, False): PENDING,
    (Phase.FAILED, True): ERROR,
    (Phase.FAILED, False): ERROR,
}


def problem_of(refused: pytest.ExceptionInfo[Refused]) -> Problem:
    [problem] = refused.value.problems
    return problem


# Reports of operators


@every_state
@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_a_report_leads_to_the_state_that_wish_and_phase_make(adapter: Adapter, phase: Phase) -> None:
    after = adapter.found(LATER, generation=3, phase=phase, message="So it is.")
    assert after.deployment_state is FOUND[phase, adapter.wanted]
    assert after.observed_generation == 3
    rejected = after.deployment_state is DEPLOYED and after.configuration_state is ConfigurationState.ERROR
    assert after.status_message == ("No such image." if rejected else "So it is.")


@every_state
@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_configured_implies_deployed(adapter: Adapter, phase: Phase) -> None:
    after = adapter.found(LATER, generation=3, phase=phase)
    if after.deployment_state in NOT_IN_FORCE:
        assert after.configuration_state is ConfigurationState.UNCONFIGURED
    else:
        assert after.configuration_state is adapter.configuration_state


@every_state
@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize("generation", [0, 2, 4])
def test_a_report_about_another_generation_changes_nothing(adapter: Adapter, phase: Phase, generation: int) -> None:
    assert adapter.found(LATER, generation=generation, phase=phase, message="Late.") is adapter


@every_state
@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_a_report_told_twice_is_boring(adapter: Adapter, phase: Phase) -> None:
    once = adapter.found(NOW, generation=3, phase=phase, message="So it is.")
    assert once.found(LATER, generation=3, phase=phase, message="So it is.") is once


@every_state
@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_a_report_is_not_an_edit(adapter: Adapter, phase: Phase) -> None:
    after = adapter.found(LATER, generation=3, phase=phase)
    assert (after.rt_version, after.generation, after.wanted) == (adapter.rt_version, 3, adapter.wanted)
    assert after.rt_changed_date_time == (NOW if after is adapter else LATER)


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.FAILED])
def test_what_is_not_as_wished_always_says_something(wanted: bool, phase: Phase) -> None:
    adapter = an_adapter(pool=POOL, wanted=wanted, generation=1, deployment_state=PENDING)
    assert adapter.found(LATER, generation=1, phase=phase).status_message


def test_the_first_report_about_a_wish_is_noted_though_the_state_stays() -> None:
    adapter = an_adapter(pool=POOL, wanted=True, generation=2, observed_generation=1, deployment_state=PENDING)
    after = adapter.found(LATER, generation=2, phase=Phase.PROGRESSING)
    assert (after.observed_generation, after.rt_changed_date_time) == (2, LATER)


def test_the_last_error_outlives_the_next_try_and_ends_with_its_success() -> None:
    adapter = an_adapter(pool=POOL, wanted=True, generation=1, deployment_state=PENDING)
    failed = adapter.found(NOW, generation=1, phase=Phase.FAILED, message="No such image.")
    again = failed.found(LATER, generation=1, phase=Phase.PROGRESSING)
    assert (again.last_error, again.last_error_timestamp) == ("No such image.", NOW)
    assert again.found(LATER, generation=1, phase=Phase.AVAILABLE).last_error is None


def test_an_error_that_goes_on_keeps_the_time_when_it_began() -> None:
    adapter = an_adapter(pool=POOL, wanted=True, generation=1, deployment_state=PENDING)
    failed = adapter.found(NOW, generation=1, phase=Phase.FAILED, message="No such image.")
    tried = failed.found(LATER, generation=1, phase=Phase.PROGRESSING)
    assert tried.found(LATER, generation=1, phase=Phase.FAILED, message="No such image.").last_error_timestamp == NOW


# Configuration

CONFIGURING: dict[str, tuple[Callable[[Adapter, datetime], Adapter], ConfigurationState]] = {
    "handed": (lambda adapter, now: adapter.handed_configuration(now), ConfigurationState.PENDING),
    "accepted": (lambda adapter, now: adapter.accepted_configuration(now), ConfigurationState.CONFIGURED),
    "rejected": (lambda adapter, now: adapter.rejected_configuration(now, "Bad."), ConfigurationState.ERROR),
}


@every_state
@pytest.mark.parametrize("event", CONFIGURING)
def test_an_adapter_tells_about_its_configuration_only_while_it_can_run(adapter: Adapter, event: str) -> None:
    act, state = CONFIGURING[event]
    after = act(adapter, LATER)
    if adapter.deployment_state in NOT_IN_FORCE:
        assert after is adapter
    else:
        assert after.configuration_state is state
        assert after.deployment_state is adapter.deployment_state


@every_state
@pytest.mark.parametrize("event", CONFIGURING)
def test_what_an_adapter_tells_twice_is_boring(adapter: Adapter, event: str) -> None:
    act, _ = CONFIGURING[event]
    once = act(adapter, NOW)
    assert act(once, LATER) is once


def test_a_rejected_configuration_keeps_its_cause_while_the_cluster_is_content() -> None:
    rejected = a_deployed_adapter(pool=POOL).rejected_configuration(NOW, "The port is missing.")
    after = rejected.found(LATER, generation=1, phase=Phase.AVAILABLE, message="1 of 1 replicas are available.")
    assert (after.status_message, after.last_error) == ("The port is missing.", "The port is missing.")
    assert after.health.headline == "configuration rejected: The port is missing."


def test_an_accepted_configuration_ends_the_complaint_about_the_one_before() -> None:
    rejected = a_deployed_adapter(pool=POOL).rejected_configuration(NOW, "The port is missing.")
    handed = rejected.handed_configuration(LATER)
    assert (handed.status_message, handed.last_error) == (None, "The port is missing.")
    accepted = handed.accepted_configuration(LATER)
    assert (accepted.status_message, accepted.last_error, accepted.last_error_timestamp) == (None, None, None)
    assert rejected.accepted_configuration(LATER).status_message is None


# Communication

REGISTERED = (CommunicationState.ONLINE,) * 3
LOST = (CommunicationState.UNREGISTERED, CommunicationState.OFFLINE, CommunicationState.OFFLINE)
RELEASED = (CommunicationState.UNREGISTERED,) * 3


@pytest.mark.parametrize("entity", [a_pool(), an_adapter()], ids=["pool", "adapter"])
@pytest.mark.parametrize(("event", "outcomes"), [("registered", REGISTERED), ("lost", LOST), ("released", RELEASED)])
def test_communication_states_follow_their_agent(
    entity: Pool | Adapter, event: str, outcomes: tuple[CommunicationState, ...]
) -> None:
    for state, outcome in zip(CommunicationState, outcomes, strict=True):
        before = entity.touched(NOW, communication_state=state, communication_state_timestamp=NOW, session="a#1")
        after = getattr(before, event)(LATER, session=a_session("a"), reason="Because.")
        assert after.communication_state is outcome
        if outcome is state:
            assert after is before
        else:
            assert (after.communication_state_timestamp, after.communication_reason) == (LATER, "Because.")
            assert after.rt_version == before.rt_version


@pytest.mark.parametrize("event", ["lost", "released"])
@pytest.mark.parametrize("state", list(CommunicationState))
def test_what_is_told_of_an_earlier_session_is_too_late(event: str, state: CommunicationState) -> None:
    entity = an_adapter(communication_state=state, session="a#2")
    assert getattr(entity, event)(LATER, session=a_session("a"), reason="Because.") is entity
    assert getattr(entity, event)(LATER, session=a_session("b", 9), reason="Because.") is entity


def test_with_a_session_all_earlier_ones_of_its_agent_are_over_too() -> None:
    entity = an_adapter(communication_state=CommunicationState.ONLINE, session="a#2")
    assert (
        entity.lost(LATER, session=a_session("a", 3), reason="Because.").communication_state
        is CommunicationState.OFFLINE
    )


def test_who_registers_anew_speaks_from_then_on() -> None:
    again = an_adapter(communication_state=CommunicationState.ONLINE, session="a#1").registered(
        LATER, session=a_session("a", 2), reason="It called."
    )
    assert (again.session, again.communication_state_timestamp) == ("a#2", None)  # it never was away


# Wishes


@every_state
def test_a_wish_to_deploy_is_news_unless_it_stands(adapter: Adapter) -> None:
    after = adapter.deploy(LATER, POOL)
    if adapter.wanted and adapter.deployment_state is not ERROR:
        assert after is adapter
    else:
        assert (after.wanted, after.generation, after.deployment_state) == (True, 4, PENDING)
        assert after.observed_generation == 3
        assert after.deploy(LATER, POOL) is after


@every_state
def test_a_wish_to_undeploy_is_news_unless_it_stands(adapter: Adapter) -> None:
    after = adapter.undeploy(LATER, POOL)
    if not adapter.wanted and adapter.deployment_state is not ERROR:
        assert after is adapter
    else:
        assert (after.wanted, after.generation, after.deployment_state) == (False, 4, PENDING)
        assert after.undeploy(LATER, POOL) is after


@every_state
def test_undeployed_is_immediate_where_nothing_can_exist(adapter: Adapter) -> None:
    after = adapter.undeploy(LATER, a_pool())
    if adapter.wanted or adapter.deployment_state is ERROR:
        assert after.at_rest
        assert after.configuration_state is ConfigurationState.UNCONFIGURED
        assert after.status_message == "Nothing of it was deployed, and no operator serves its pool."
    assert after.undeploy(LATER, a_pool()) is after


def test_what_a_released_pool_left_in_its_cluster_is_not_called_undeployed() -> None:
    running = a_deployed_adapter(pool=POOL).found(NOW, generation=1, phase=Phase.FAILED, message="It can't be deleted.")
    assert running.undeploy(LATER, a_pool()).deployment_state is PENDING
    gone = a_deployed_adapter(pool=POOL).found(NOW, generation=1, phase=Phase.GONE)
    assert gone.undeploy(LATER, a_pool()).at_rest


def test_another_configuration_is_not_the_one_that_was_accepted() -> None:
    accepted = a_deployed_adapter(pool=POOL, configuration={"a": 1}).accepted_configuration(NOW)
    assert accepted.edit(LATER, {"configuration": {"a": 2}}, POOL).configuration_state is ConfigurationState.PENDING
    assert accepted.edit(LATER, {"name": "Other"}, POOL).configuration_state is ConfigurationState.CONFIGURED
    assert accepted.configuration_version != accepted.edit(LATER, {"configuration": None}, POOL).configuration_version


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"port": 0}, "port"),
        ({"port": 65_536}, "port"),
        ({"health_path": "/healthz"}, "healthPath"),
        ({"port": 80, "health_path": "healthz"}, "healthPath"),
        ({"port": 80, "health_path": "/a b"}, "healthPath"),
    ],
)
def test_a_port_and_the_path_of_its_health_are_checked(given: dict[str, object], path: str) -> None:
    with pytest.raises(Refused) as refused:
        an_adapter().edit(LATER, given, None)
    assert [problem.path for problem in refused.value.problems] == [(path,)]
    assert an_adapter().edit(LATER, {"port": 8080, "health_path": "/healthz?full=1"}, None).port == 8080


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (a_pool(name="North"), "Waiting: no operator serves the pool 'North'. Apply the pool's installManifest"),
        (a_served_pool(name="North"), "Waiting for the operator 'plant-1' to act."),
        (
            a_served_pool(name="North", communication_state=CommunicationState.OFFLINE),
            "Waiting: the operator 'plant-1' of the pool 'North' is not connected.",
        ),
    ],
    ids=["unserved", "online", "offline"],
)
def test_a_pending_wish_says_what_it_waits_for(pool: Pool, message: str) -> None:
    wished = an_adapter(pool=pool).deploy(NOW, pool)
    assert str(wished.status_message).startswith(message)


def test_an_adapter_in_no_pool_cannot_be_deployed() -> None:
    with pytest.raises(Refused) as refused:
        an_adapter(name="OPC UA").deploy(NOW, None)
    assert isinstance(problem_of(refused), AdapterNotInPool)
    assert "adapter 'OPC UA' is in no pool" in problem_of(refused).message


def test_nothing_is_deployed_to_a_pool_on_its_way_out() -> None:
    going = POOL.to_be_deleted(NOW)
    with pytest.raises(Refused) as refused:
        an_adapter(pool=going).deploy(NOW, going)
    assert isinstance(problem_of(refused), BeingDeleted)


# Edits


@pytest.mark.parametrize(
    "given",
    [{"type": AdapterType.MESH}, {"image_name": "other"}, {"image_version": "4"}, {"configuration": {"port": 1}}],
    ids=lambda given: next(iter(given)),
)
def test_an_edit_of_what_runs_is_a_new_wish_where_it_is_wanted(given: dict[str, Any]) -> None:
    edited = a_deployed_adapter(pool=POOL).edit(LATER, given, POOL)
    assert (edited.rt_version, edited.generation, edited.deployment_state) == (2, 2, PENDING)
    at_rest = an_adapter(pool=POOL).edit(LATER, given, POOL)
    assert (at_rest.rt_version, at_rest.generation, at_rest.deployment_state) == (2, 0, UNDEPLOYED)


@pytest.mark.parametrize("given", [{"name": "Other"}, {"description": "New."}, {"image_version": "3.13.2"}, {}])
def test_an_edit_of_anything_else_leaves_what_runs_alone(given: dict[str, Any]) -> None:
    edited = a_deployed_adapter(pool=POOL).edit(LATER, given, POOL)
    assert (edited.rt_version, edited.generation, edited.deployment_state) == (2, 1, DEPLOYED)


def test_all_that_is_wrong_with_an_input_is_told_at_once() -> None:
    given = adapter_input(
        name=" ", description="x" * 2_001, image_name="Not An Image", image_version="", configuration=float("nan")
    )
    with pytest.raises(Refused) as refused:
        Adapter.new(rt_id=an_rt_id(), now=NOW, given=given)
    assert [problem.path for problem in refused.value.problems] == [
        ("name",),
        ("description",),
        ("imageName",),
        ("imageVersion",),
        ("configuration",),
    ]
    assert all(isinstance(problem, InvalidValue) for problem in refused.value.problems)


def test_a_stale_version_is_refused_with_the_current_entity() -> None:
    adapter = an_adapter(name="OPC UA", rt_version=7)
    assert adapter.expecting(7) is adapter.expecting(None) is adapter
    with pytest.raises(Refused) as refused:
        adapter.expecting(6)
    problem = problem_of(refused)
    assert isinstance(problem, VersionConflict)
    assert problem.current is adapter
    assert "adapter 'OPC UA'" in problem.message
    assert "expected version 6, it is at 7" in problem.message


# Membership


def test_an_adapter_joins_one_pool_only() -> None:
    south = a_pool(name="South")
    adapter = an_adapter(name="OPC UA")
    member = adapter.join(LATER, POOL, None)
    assert (member.pool_rt_id, member.rt_version) == (POOL.rt_id, 2)
    assert member.join(LATER, POOL, POOL) is member
    with pytest.raises(Refused) as refused:
        member.join(LATER, south, POOL)
    problem = problem_of(refused)
    assert isinstance(problem, AdapterInAnotherPool)
    assert (problem.adapter, problem.pool) == (member, POOL)
    assert problem.message.startswith("The adapter 'OPC UA' is in the pool 'North'")


def test_an_adapter_leaves_only_the_pool_it_is_in() -> None:
    member = an_adapter(pool=POOL)
    assert member.leave(LATER, POOL).pool_rt_id is None
    with pytest.raises(Refused) as refused:
        member.leave(LATER, a_pool(name="South"))
    assert isinstance(problem_of(refused), AdapterNotInPool)


@every_state
def test_only_what_rests_can_leave_move_or_go(adapter: Adapter) -> None:
    ways_out: tuple[Callable[[], Adapter], ...] = (
        lambda: adapter.leave(LATER, POOL),
        lambda: adapter.move(LATER, a_pool()),
        lambda: adapter.move(LATER, None),
        lambda: adapter.resting("deleted"),
    )
    for way_out in ways_out:
        if not adapter.wanted and adapter.deployment_state is UNDEPLOYED:
            way_out()
            continue
        with pytest.raises(Refused) as refused:
            way_out()
        problem = problem_of(refused)
        assert isinstance(problem, StillDeployed)
        assert problem.adapters == [adapter]
        assert problem.message.endswith("Undeploy it first.")


@every_state
def test_a_move_to_where_it_is_changes_nothing_but_the_version(adapter: Adapter) -> None:
    assert adapter.move(LATER, POOL) == adapter.edited(LATER)


@every_state
def test_an_orphan_is_at_rest_in_no_pool(adapter: Adapter) -> None:
    orphan = adapter.orphaned(LATER, "Its pool was deleted.")
    assert orphan.at_rest
    assert orphan.pool_rt_id is None
    assert orphan.configuration_state is ConfigurationState.UNCONFIGURED
    if not adapter.at_rest:
        assert orphan.generation == 4
