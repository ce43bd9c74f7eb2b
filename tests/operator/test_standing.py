"""What `kubectl get communicationpools` tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.wish import Finding, PoolWish
from octomesh_graphql.operator.cluster import Object
from octomesh_graphql.operator.standing import (
    MESSAGE_CHARACTERS,
    Standing,
    beginning,
    being_removed,
    doubled,
    not_found,
    refused,
    served_by_another,
    serving,
    standing,
    unreachable,
)
from tests.operator.objects import a_resource, a_wish, a_wished_adapter

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)

ALL = {
    "beginning": beginning(),
    "serving": serving(a_wish(), []),
    "unreachable": unreachable("connection refused"),
    "served by another": served_by_another("The pool is served by the operator 'plant-2'."),
    "not found": not_found("There is no pool '0…a001' in the tenant 'acme'."),
    "doubled": doubled(a_resource(name="elder")),
    "refused": refused("The operator may not."),
    "being removed": being_removed("2 adapters"),
}
every_standing = pytest.mark.parametrize("stands", ALL.values(), ids=ALL)


def status_of(stands: Standing, resource: Object | None = None, now: datetime = NOW) -> dict[str, Any]:
    status: dict[str, Any] = standing(resource or a_resource(), stands, operator="plant-1", now=now)["status"]
    return status


def conditions(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["type"]: each for each in status["conditions"]}


def a_pool_of(*phases: Phase, messages: str = "Waiting.") -> tuple[PoolWish, list[Finding]]:
    adapters = [
        a_wished_adapter(rt_id=f"{number:024x}", name=f"Adapter {number}", wanted=phase is not Phase.GONE)
        for number, phase in enumerate(phases)
    ]
    findings = [
        Finding(rt_id=adapter.rt_id, generation=1, phase=phase, message=None if phase is Phase.AVAILABLE else messages)
        for adapter, phase in zip(adapters, phases, strict=True)
    ]
    return a_wish(*adapters), findings


@every_standing
def test_a_status_can_be_applied_and_its_conditions_are_whole(stands: Standing) -> None:
    resource = a_resource()
    resource["metadata"]["generation"] = 4
    applied = standing(resource, stands, operator="plant-1", now=NOW)
    assert applied.keys() == {"apiVersion", "kind", "metadata", "status"}
    assert applied["metadata"] == {"name": resource["metadata"]["name"], "namespace": "octo"}
    status = applied["status"]
    assert (status["observedGeneration"], status["operator"]) == (4, "plant-1")
    assert conditions(status).keys() == {"Registered", "Ready"}
    for condition in status["conditions"]:
        assert condition["status"] in ("True", "False", "Unknown")
        assert condition["reason"].isidentifier()
        assert condition["message"]
        assert condition["observedGeneration"] == 4
        assert condition["lastTransitionTime"] == "2026-03-01T12:00:00Z"


@every_standing
def test_an_unchanged_standing_is_an_unchanged_status(stands: Standing) -> None:
    first = status_of(stands)
    again = status_of(stands, a_resource() | {"status": first}, now=LATER)
    assert again == first


def test_a_time_moves_with_the_status_of_its_condition_only() -> None:
    resource = a_resource() | {"status": status_of(serving(*a_pool_of(Phase.AVAILABLE, Phase.PROGRESSING)))}
    now = conditions(status_of(serving(*a_pool_of(Phase.AVAILABLE, Phase.FAILED)), resource, LATER))
    assert now["Ready"]["reason"] == "AdaptersFailing"
    assert now["Ready"]["lastTransitionTime"] == "2026-03-01T12:00:00Z"
    now = conditions(status_of(serving(*a_pool_of(Phase.AVAILABLE, Phase.AVAILABLE)), resource, LATER))
    assert now["Ready"]["lastTransitionTime"] == "2026-03-01T12:05:00Z"
    assert now["Registered"]["lastTransitionTime"] == "2026-03-01T12:00:00Z"


def test_times_are_told_in_utc() -> None:
    vienna = NOW.astimezone(timezone(timedelta(hours=1)))
    assert conditions(status_of(beginning(), now=vienna))["Ready"]["lastTransitionTime"] == "2026-03-01T12:00:00Z"


def test_a_served_pool_is_registered_and_ready_when_all_that_is_wanted_runs() -> None:
    status = status_of(serving(*a_pool_of(Phase.AVAILABLE, Phase.AVAILABLE, Phase.GONE)))
    assert (status["communicationStatus"], status["poolName"], status["adapters"]) == ("Registered", "North", "2/2")
    ready = conditions(status)["Ready"]
    assert (ready["status"], ready["message"]) == ("True", "2 of 2 adapters run.")
    assert conditions(status)["Registered"]["status"] == "True"


def test_a_pool_without_adapters_is_ready() -> None:
    status = status_of(serving(a_wish(), []))
    assert (status["adapters"], conditions(status)["Ready"]["status"]) == ("0/0", "True")


def test_what_fails_is_told_before_what_is_under_way() -> None:
    wish, findings = a_pool_of(Phase.PROGRESSING, Phase.AVAILABLE, Phase.FAILED, messages="Some trouble.")
    status = status_of(serving(wish, findings))
    ready = conditions(status)["Ready"]
    assert (status["communicationStatus"], status["adapters"]) == ("Registered", "1/3")
    assert (ready["status"], ready["reason"]) == ("False", "AdaptersFailing")
    assert ready["message"] == "1 of 3 adapters run. 'Adapter 2': Some trouble."


def test_what_is_under_way_says_what_it_waits_for() -> None:
    ready = conditions(status_of(serving(*a_pool_of(Phase.PROGRESSING, Phase.AVAILABLE))))["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "AdaptersPending")
    assert ready["message"] == "1 of 2 adapters run. 'Adapter 0': Waiting."


def test_an_adapter_that_is_not_reported_yet_does_not_run() -> None:
    wish, _ = a_pool_of(Phase.AVAILABLE)
    status = status_of(serving(wish, []))
    assert (status["adapters"], conditions(status)["Ready"]["status"]) == ("0/1", "False")


@pytest.mark.parametrize(
    ("stands", "reason", "parts"),
    [
        (ALL["unreachable"], "ServerUnreachable", ["can't be reached: connection refused.", "goes on running"]),
        (ALL["served by another"], "ServedByAnotherOperator", ["'plant-2'", "left running", "deleting this"]),
        (ALL["not found"], "NotFound", ["'0…a001'", "spec.poolRtId", "left running", "deleting this"]),
        (ALL["doubled"], "Duplicate", ["CommunicationPool octo/elder is for the same pool"]),
        (ALL["refused"], "Refused", ["The operator may not."]),
    ],
)
def test_a_pool_that_cannot_be_served_says_why(stands: Standing, reason: str, parts: list[str]) -> None:
    status = status_of(stands)
    registered = conditions(status)["Registered"]
    assert status["communicationStatus"] == f"Failed: {registered['message']}"
    assert (registered["status"], registered["reason"]) == ("False", reason)
    assert all(part in registered["message"] for part in parts), registered["message"]
    assert conditions(status)["Ready"]["status"] == "Unknown"


def test_what_was_last_known_stays_while_nothing_new_is() -> None:
    served = a_resource() | {"status": status_of(serving(*a_pool_of(Phase.AVAILABLE)))}
    status = status_of(unreachable("time-out"), served)
    assert (status["poolName"], status["adapters"]) == ("North", "1/1")
    assert not {"poolName", "adapters"} & status_of(unreachable("time-out")).keys()


def test_a_pool_on_its_way_out_says_what_it_waits_for() -> None:
    status = status_of(being_removed("the Deployment of 'OPC UA'"))
    assert status["communicationStatus"] == "In Progress"
    message = "Being removed: waits for the Deployment of 'OPC UA'."
    assert {each["message"] for each in status["conditions"]} == {message}


def test_a_flood_of_words_is_cut_to_one_line() -> None:
    status = status_of(refused("words\n" * 500))
    assert len(status["communicationStatus"]) <= MESSAGE_CHARACTERS
    assert status["communicationStatus"].startswith("Failed: words words")
