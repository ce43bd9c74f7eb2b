"""How a CommunicationPool stands: its status, for `kubectl get communicationpools` and whoever waits for a condition.

No time in it moves unless something happened, so that an unchanged standing is an unchanged status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.resource import KIND
from octomesh_graphql.domain.text import shown
from octomesh_graphql.domain.wish import Finding, PoolWish
from octomesh_graphql.operator.cluster import Object

MESSAGE_CHARACTERS: Final = 500
"""Longest message of a condition: a few sentences in `kubectl describe`; Kubernetes would take 32,768."""

REGISTERED: Final = "Registered"
READY: Final = "Ready"
IN_PROGRESS: Final = "In Progress"

_STAYS: Final = f"What runs is left running; deleting this {KIND} removes it."


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one condition says. The reason is one word for programs, the message a sentence or two for people."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a CommunicationPool stands, without any time."""

    communication_status: str
    """OctoMesh's free text: `In Progress`, `Registered` or `Failed: …`."""
    registered: Verdict
    ready: Verdict
    pool_name: str | None = None
    """None: nothing new is known; what the status says stays."""
    adapters: str | None = None
    """How many run of how many wanted, for instance `3/4`. None: what the status says stays."""


def standing(
    resource: Object, stands: Standing, *, operator: str, now: datetime, served: tuple[str, str] | None = None
) -> Object:
    """The status to apply to a CommunicationPool, with the operator's id. `now` is told only of what changed.

    `served` are tenant and rtId of the pool that is served by it; None: what the status says stays.
    """
    metadata, present = resource["metadata"], resource.get("status") or {}
    pool_name = present.get("poolName") if stands.pool_name is None else stands.pool_name
    adapters = present.get("adapters") if stands.adapters is None else stands.adapters
    tenant_id, pool_rt_id = served or (present.get("tenantId"), present.get("poolRtId"))
    known = {"tenantId": tenant_id, "poolRtId": pool_rt_id, "poolName": pool_name, "adapters": adapters}
    status = {
        "communicationStatus": shown(stands.communication_status, MESSAGE_CHARACTERS),
        "observedGeneration": metadata.get("generation", 1),
        "operator": operator,
        **{name: value for name, value in known.items() if value is not None},
        "conditions": [
            _condition(resource, REGISTERED, stands.registered, now),
            _condition(resource, READY, stands.ready, now),
        ],
    }
    return {
        "apiVersion": resource["apiVersion"],
        "kind": resource["kind"],
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
        "status": status,
    }


def says_the_same(one: Object, other: Object) -> bool:
    """Whether two states of a CommunicationPool read the same: what they say of being registered, and whether ready."""
    pairs = [(_present(each, REGISTERED).get("message"), _present(each, READY).get("status")) for each in (one, other)]
    return pairs[0] == pairs[1]


def beginning() -> Standing:
    """The pool is about to be claimed."""
    message = "The operator is claiming the pool."
    return Standing(
        communication_status=IN_PROGRESS,
        registered=Verdict(status="Unknown", reason="InProgress", message=message),
        ready=Verdict(status="Unknown", reason="InProgress", message=message),
    )


def serving(wish: PoolWish, findings: Sequence[Finding]) -> Standing:
    """The pool is claimed, and this was found of its adapters."""
    wanted = {adapter.rt_id for adapter in wish.adapters if adapter.wanted}
    running = [each for each in findings if each.rt_id in wanted and each.phase is Phase.AVAILABLE]
    return Standing(
        communication_status="Registered",
        registered=Verdict(status="True", reason="Registered", message=f"Serving the pool '{_name(wish.pool_name)}'."),
        ready=_readiness(wish, findings, running=len(running), wanted=len(wanted)),
        pool_name=wish.pool_name,
        adapters=f"{len(running)}/{len(wanted)}",
    )


def unreachable(reason: str) -> Standing:
    """The API server can't be reached, for this reason."""
    return _failed(
        "ServerUnreachable",
        f"The server can't be reached: {_sentence(reason)} It is tried again; what runs goes on running meanwhile.",
    )


def served_by_another(message: str) -> Standing:
    """The server refused the claim because another operator is live; the message names it."""
    return _failed("ServedByAnotherOperator", f"{_sentence(message)} {_STAYS}")


def not_found(message: str) -> Standing:
    """There is no such tenant or pool, or no more; the message says which."""
    return _failed("NotFound", f"{_sentence(message)} Check spec.tenantId and spec.poolRtId. {_STAYS}")


def doubled(other: Object) -> Standing:
    """Another CommunicationPool of this cluster is for the same pool, and came first."""
    name = f"{other['metadata']['namespace']}/{other['metadata']['name']}"
    return _failed("Duplicate", f"The {KIND} {name} is for the same pool and came first. Delete one of the two.")


def refused(message: str) -> Standing:
    """The server or the cluster refused what the operator asked for, for this reason."""
    return _failed("Refused", _sentence(message))


def being_removed(waits_for: str) -> Standing:
    """The resource is being deleted, and its adapters with it."""
    message = f"Being removed: waits for {_sentence(waits_for)}"
    return Standing(
        communication_status=IN_PROGRESS,
        registered=Verdict(status="False", reason="BeingRemoved", message=message),
        ready=Verdict(status="False", reason="BeingRemoved", message=message),
    )


def _failed(reason: str, message: str) -> Standing:
    return Standing(
        communication_status=f"Failed: {message}",
        registered=Verdict(status="False", reason=reason, message=message),
        ready=Verdict(status="Unknown", reason=reason, message="Nobody tells what is wished."),
    )


def _readiness(wish: PoolWish, findings: Sequence[Finding], *, running: int, wanted: int) -> Verdict:
    counted = f"{running} of {wanted} adapters run." if wanted else "No adapter is wished to run."
    troubles = [each for each in findings if each.phase is Phase.FAILED]
    waiting = [each for each in findings if each.phase is Phase.PROGRESSING]
    names = {adapter.rt_id: adapter.name for adapter in wish.adapters}
    told = [
        counted,
        *(f"'{_name(names.get(each.rt_id, each.rt_id))}': {each.message}" for each in (*troubles, *waiting)[:1]),
    ]
    if troubles:
        return Verdict(status="False", reason="AdaptersFailing", message=" ".join(told))
    if running < wanted:
        return Verdict(status="False", reason="AdaptersPending", message=" ".join(told))
    return Verdict(status="True", reason="AsWished", message=" ".join(told))


def _condition(resource: Object, type: str, verdict: Verdict, now: datetime) -> dict[str, Any]:
    present = _present(resource, type)
    since = present.get("lastTransitionTime") if present.get("status") == verdict.status else None
    return {
        "type": type,
        "status": verdict.status,
        "reason": verdict.reason,
        "message": shown(verdict.message, MESSAGE_CHARACTERS),
        "observedGeneration": resource["metadata"].get("generation", 1),
        "lastTransitionTime": since or f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def _present(resource: Object, type: str) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = (resource.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == type), {})


def _name(name: str) -> str:
    return shown(name, 60)


def _sentence(said: str) -> str:
    """On one line, and with one full stop."""
    return " ".join(said.split()).rstrip(".") + "."
