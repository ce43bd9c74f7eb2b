"""How much attention a pool or an adapter needs, judged from its states alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from octomesh_graphql.domain.states import (
    CommunicationState,
    ConfigurationState,
    DeploymentState,
    HealthLevel,
)
from octomesh_graphql.domain.tally import Group, Tally


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One thing that speaks for a level."""

    level: HealthLevel
    text: str


@dataclass(frozen=True, kw_only=True)
class Health:
    """A level, the one sentence that matters most, and all reasons, worst first."""

    level: HealthLevel
    headline: str
    reasons: Sequence[str]

    @classmethod
    def of(cls, reasons: Sequence[Reason]) -> Health:
        """The worst reason decides; among equals the first."""
        ranked = sorted(reasons, key=lambda reason: -reason.level.value)
        return cls(
            level=ranked[0].level,
            headline=ranked[0].text,
            reasons=tuple(reason.text for reason in ranked),
        )


def adapter_health(group: Group, status_message: str | None) -> Health:
    """How an adapter with these states is; what it last said about itself is told with what is not OK."""
    reason = adapter_reason(group)
    if reason.level is not HealthLevel.OK and status_message:
        reason = replace(reason, text=f"{reason.text}: {status_message}")
    return Health.of([reason])


def adapter_reason(group: Group) -> Reason:
    """The one thing to say about an adapter with these states."""
    deployed = group.deployment is DeploymentState.DEPLOYED
    match group:
        case Group(deployment=DeploymentState.ERROR):
            return Reason(level=HealthLevel.CRITICAL, text="deployment failed")
        case Group(configuration=ConfigurationState.ERROR):
            return Reason(level=HealthLevel.CRITICAL, text="configuration rejected")
        case Group(communication=CommunicationState.OFFLINE) if deployed:
            return Reason(level=HealthLevel.CRITICAL, text="deployed, but not connected")
        case Group(deployment=DeploymentState.PENDING, wanted=True):
            return Reason(level=HealthLevel.WARN, text="being deployed")
        case Group(deployment=DeploymentState.PENDING):
            return Reason(level=HealthLevel.WARN, text="being undeployed")
        case Group(configuration=ConfigurationState.PENDING):
            return Reason(level=HealthLevel.WARN, text="has not acknowledged its configuration")
        case Group(communication=CommunicationState.UNREGISTERED) if deployed:
            return Reason(level=HealthLevel.UNKNOWN, text="deployed, has never connected")
        case Group(deployment=DeploymentState.UNDEPLOYED):
            return Reason(level=HealthLevel.OK, text="not deployed, as wished")
        case _:
            return Reason(level=HealthLevel.OK, text="deployed and online")


def pool_health(communication: CommunicationState, tally: Tally) -> Health:
    """How a pool is: its operator first, then its adapters, those alike told together."""
    counts: dict[tuple[HealthLevel, str], int] = {}
    for group in tally.groups:
        reason = adapter_reason(group)
        counts[reason.level, reason.text] = counts.get((reason.level, reason.text), 0) + group.adapters
    reasons = [operator_reason(communication, tally.count(wanted=True))]
    reasons += [
        Reason(level=level, text=f"{count} of {tally.adapters} adapters: {text}")
        for (level, text), count in counts.items()
    ]
    return Health.of(reasons)


def operator_reason(communication: CommunicationState, wanted: int) -> Reason:
    """The one thing to say about the operator of a pool of which so many adapters are wished to run."""
    match communication:
        case CommunicationState.ONLINE:
            return Reason(level=HealthLevel.OK, text="its operator is online")
        case CommunicationState.OFFLINE if wanted:
            return Reason(level=HealthLevel.CRITICAL, text="its operator is offline")
        case CommunicationState.OFFLINE:
            return Reason(level=HealthLevel.WARN, text="its operator is offline; nothing is wished to run")
        case _ if wanted:
            return Reason(level=HealthLevel.WARN, text=f"no operator serves it; adapters wished to run: {wanted}")
        case _:
            return Reason(level=HealthLevel.UNKNOWN, text="no operator serves it")
