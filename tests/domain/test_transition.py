"""What the history tells about two versions of an entity."""

from __future__ import annotations

from typing import Any

import pytest

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.transition import Aspect, Transition, transitions
from tests.builders import LATER, NOW, a_deployed_adapter, a_pool, a_served_pool, a_session, an_adapter

S = a_session()
POOL = a_served_pool(name="North")
SOUTH = a_pool(name="South")
MEMBER = an_adapter(name="OPC UA", pool=POOL)
RUNNING = a_deployed_adapter(pool=POOL)


def told(before: CommunicationEntity | None, after: CommunicationEntity | None) -> list[Transition]:
    return list(transitions(before, after, who="alice", at=LATER))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, POOL, [(Aspect.EXISTENCE, None, "EXISTS")]),
        (POOL, None, [(Aspect.EXISTENCE, "EXISTS", None)]),
        (None, RUNNING, [(Aspect.EXISTENCE, None, "EXISTS")]),
        (MEMBER, MEMBER, []),
        (MEMBER, MEMBER.edited(LATER, description="New."), []),
        (MEMBER, MEMBER.leave(LATER, POOL), [(Aspect.MEMBERSHIP, POOL.rt_id, None)]),
        (MEMBER, MEMBER.move(LATER, SOUTH), [(Aspect.MEMBERSHIP, POOL.rt_id, SOUTH.rt_id)]),
        (
            MEMBER,
            MEMBER.deploy(LATER, POOL),
            [(Aspect.WISH, "UNDEPLOYED", "DEPLOYED"), (Aspect.DEPLOYMENT, "UNDEPLOYED", "PENDING")],
        ),
        (
            MEMBER,
            MEMBER.registered(LATER, session=S, reason="It called."),
            [(Aspect.COMMUNICATION, "UNREGISTERED", "ONLINE")],
        ),
        (POOL, POOL.lost(LATER, session=S, reason="It vanished."), [(Aspect.COMMUNICATION, "ONLINE", "OFFLINE")]),
        (RUNNING, RUNNING.handed_configuration(LATER), [(Aspect.CONFIGURATION, "UNCONFIGURED", "PENDING")]),
    ],
)
def test_each_state_that_became_another_is_told_once(before: Any, after: Any, expected: list[Any]) -> None:
    assert [(line.what, line.from_, line.to) for line in told(before, after)] == expected


def test_a_transition_tells_who_when_and_why() -> None:
    failed = RUNNING.found(LATER, generation=1, phase=Phase.FAILED, message="No such image.")
    [line] = told(RUNNING, failed)
    assert (line.who, line.at, line.reason) == ("alice", LATER, "No such image.")
    assert (line.entity_rt_id, line.entity_name, line.pool_rt_id) == (RUNNING.rt_id, "OPC UA", POOL.rt_id)


def test_a_configuration_is_told_with_the_reason_of_its_own_and_with_no_other() -> None:
    starting = RUNNING.found(LATER, generation=1, phase=Phase.PROGRESSING, message="Waiting for its pod.")
    handed = starting.handed_configuration(LATER)
    rejected = handed.rejected_configuration(LATER, "No such route.")
    reasons = [
        line.reason for before, after in ((starting, handed), (handed, rejected)) for line in told(before, after)
    ]
    assert reasons == [None, "No such route."]


def test_who_leaves_a_pool_is_still_part_of_its_history() -> None:
    [line] = told(MEMBER, MEMBER.leave(NOW, POOL))
    assert line.pool_rt_id == POOL.rt_id
