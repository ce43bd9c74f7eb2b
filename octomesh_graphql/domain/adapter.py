"""The Adapter: a process in at most one pool, with a wish of its users and what agents found.

Two owners meet in it. The spec with its wish (`wanted`, counted by `generation`) belongs to users; the states belong
to the agents and are changed only by the functions below, each of which is one event. Calling one twice is boring.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Self

from octomesh_graphql.domain.entity import CommunicationEntity, spec_changes, text_problems
from octomesh_graphql.domain.health import Health, adapter_health
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.problem import ErrorCode, Problem, Refused
from octomesh_graphql.domain.session import Session
from octomesh_graphql.domain.states import AdapterType, ConfigurationState, DeploymentState, DescribedEnum
from octomesh_graphql.domain.tally import Group
from octomesh_graphql.domain.text import configuration_problems, image_problems, port_problems, same_json


class Phase(DescribedEnum):
    """What an operator sees of one adapter in its cluster."""

    GONE = "GONE", "Nothing of it exists."
    PROGRESSING = "PROGRESSING", "The cluster is working on it."
    AVAILABLE = "AVAILABLE", "It runs as wished."
    FAILED = "FAILED", "It can't be brought to what is wished; somebody has to do something."


RUNTIME_FIELDS = ("type", "image_name", "image_version", "port", "health_path")
"""What reaches the cluster, beside the configuration: a change of one makes a new wish when the adapter is wanted."""


@dataclass(frozen=True, kw_only=True)
class Adapter(CommunicationEntity):
    """A process that moves data, deployed with the pool it belongs to."""

    ck_type_id: ClassVar[str] = "System.Communication/Adapter"
    kind: ClassVar[str] = "adapter"

    type: AdapterType
    image_name: str
    image_version: str
    configuration: Any = None
    """Any JSON value; None when there is none."""
    port: int | None = None
    """Where it listens, if it does: what a Service makes reachable in its namespace."""
    health_path: str | None = None
    """The HTTP path on `port` that tells whether it is well."""
    pool_rt_id: str | None = None
    """The one pool it is in. There is no second place that says so."""

    wanted: bool = False
    """The wish: whether it is to be deployed."""
    generation: int = 0
    """Counts the wishes."""
    observed_generation: int = 0
    """The wish that the last accepted report was about."""
    phase: Phase | None = None
    """What the last accepted report saw of it; None while there was none."""

    deployment_state: DeploymentState = DeploymentState.UNDEPLOYED
    configuration_state: ConfigurationState = ConfigurationState.UNCONFIGURED
    last_error: str | None = None
    """The last failure; it outlives the status message and is cleared by the next success."""
    last_error_timestamp: datetime | None = None

    @classmethod
    def new(cls, *, rt_id: str, now: datetime, given: dict[str, Any], pool: Pool | None = None) -> Self:
        """An adapter that is not deployed. Raises `Refused` with all that is wrong with the input."""
        adapter = cls(
            rt_id=rt_id,
            rt_creation_date_time=now,
            rt_changed_date_time=now,
            pool_rt_id=pool.changeable(("poolRtId",)).rt_id if pool else None,
            **spec_changes(given),
        )
        Refused.if_any(adapter._problems())
        return adapter

    def edit(self, now: datetime, given: dict[str, Any], pool: Pool | None) -> Self:
        """With what the user gave. A change of what runs is a new wish if the adapter is wanted.

        Raises `Refused` with all that is wrong with the input.
        """
        adapter = self.edited(now, **spec_changes(given))
        Refused.if_any(adapter._problems())
        same = same_json(adapter.configuration, self.configuration)
        if not same and adapter.configuration_state is not ConfigurationState.UNCONFIGURED:
            # What the adapter said was about another one.
            adapter = replace(adapter, configuration_state=ConfigurationState.PENDING)
        runs_differently = not same or any(getattr(adapter, name) != getattr(self, name) for name in RUNTIME_FIELDS)
        if not (self.wanted and runs_differently and pool):
            return adapter
        return adapter._wishing(now, wanted=True, message=pool.waiting_for)

    # What users wish

    def deploy(self, now: datetime, pool: Pool | None) -> Self:
        """Wished to run. Once more after an error is a new try; otherwise a wish that stands is left alone."""
        if pool is None:
            raise Refused(
                AdapterNotInPool(
                    message=f"The {self} is in no pool, so there is no place to deploy it. Add it to a pool first.",
                    adapter=self,
                )
            )
        pool.changeable()
        if self.wanted and self.deployment_state is not DeploymentState.ERROR:
            return self
        return self._wishing(now, wanted=True, message=pool.waiting_for)

    def undeploy(self, now: datetime, pool: Pool | None) -> Self:
        """Wished to be gone. Where nothing of it can exist it is gone at once."""
        if not self.wanted and self.deployment_state is not DeploymentState.ERROR:
            return self
        if pool is None or not self.may_run(pool):
            message = "Nothing of it was deployed, and no operator serves its pool."
            return self._wishing(now, wanted=False, message=message)._gone(now, message)
        return self._wishing(now, wanted=False, message=pool.waiting_for)

    def may_run(self, pool: Pool) -> bool:
        """Whether something of it may be in the cluster of its pool, as far as anybody here can know."""
        return pool.operator is not None or self.phase not in (None, Phase.GONE)

    def _wishing(self, now: datetime, *, wanted: bool, message: str) -> Self:
        return self.touched(
            now,
            wanted=wanted,
            generation=self.generation + 1,
            deployment_state=DeploymentState.PENDING,
            status_message=message,
        )

    # Where it belongs

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it is deployed and nothing is wished to be."""
        return not self.wanted and self.deployment_state is DeploymentState.UNDEPLOYED

    def join(self, now: datetime, pool: Pool, current: Pool | None) -> Self:
        """In `pool`. Raises `Refused` with `AdapterInAnotherPool` when it is in another, `current`."""
        if self.pool_rt_id == pool.rt_id:
            return self
        if current is not None:
            raise Refused(self.in_another(current))
        return self.edited(now, pool_rt_id=pool.changeable().rt_id)

    def leave(self, now: datetime, pool: Pool) -> Self:
        """Out of `pool`. Raises `Refused` when it is not in it, or while it is deployed."""
        if self.pool_rt_id != pool.rt_id:
            raise Refused(
                AdapterNotInPool(message=f"The {self} is not in the {pool}.", path=("removeAdapters",), adapter=self)
            )
        return self.resting("removed from its pool").edited(now, pool_rt_id=None)

    def move(self, now: datetime, pool: Pool | None) -> Self:
        """In `pool`, wherever it was; None: in no pool. Raises `Refused` while it is deployed."""
        target = pool.changeable(("poolRtId",)).rt_id if pool else None
        if target == self.pool_rt_id:
            return self.edited(now)
        self.resting("moved")
        return self.edited(now, pool_rt_id=target)

    def resting(self, verb: str, path: tuple[str, ...] | None = None) -> Self:
        """Itself; raises `Refused` with `StillDeployed` when it is deployed or on its way."""
        if self.at_rest:
            return self
        raise Refused(
            StillDeployed(
                message=f"The {self} is {self._doing} and can't be {verb}. Undeploy it first.",
                path=path,
                adapters=[self],
            )
        )

    def in_another(self, pool: Pool) -> AdapterInAnotherPool:
        """The problem that it is in `pool` already."""
        return AdapterInAnotherPool(
            message=f"The {self} is in the {pool}, and an adapter can be in one pool only. "
            "Move it, or remove it there first.",
            path=("addAdapters",),
            adapter=self,
            pool=pool,
        )

    def orphaned(self, now: datetime, reason: str) -> Self:
        """Cut loose from a pool that goes: in no pool, nothing wished, nothing known to be deployed."""
        loose = self.touched(now, pool_rt_id=None)
        if self.at_rest:
            return loose
        return replace(loose._wishing(now, wanted=False, message=reason)._gone(now, reason), phase=None)

    # What agents found

    def registered(self, now: datetime, *, session: Session, reason: str) -> Self:
        """Its process is there: ONLINE. A new process has acknowledged nothing yet, whatever an earlier one did."""
        online = super().registered(now, session=session, reason=reason)
        if online.session == self.session or self.configuration_state is not ConfigurationState.CONFIGURED:
            return online
        return replace(online, configuration_state=ConfigurationState.PENDING)

    def found(self, now: datetime, *, generation: int, phase: Phase, message: str | None = None) -> Self:
        """With what an operator reported about the wish `generation`; a report about another wish is ignored."""
        if generation != self.generation:
            return self
        adapter = self._with(now, observed_generation=generation, phase=phase)
        match phase:
            case Phase.FAILED:
                return adapter._failed(now, message or "The deployment failed; the operator gave no reason.")
            case Phase.AVAILABLE if self.wanted:
                return adapter._deployed(now, message)
            case Phase.GONE if not self.wanted:
                return adapter._gone(now, message)
            case Phase.GONE:
                return adapter._pending(now, message or "Nothing of it is in the cluster yet.")
            case Phase.AVAILABLE:
                return adapter._pending(now, message or "It still runs; it is being removed.")
            case _:
                return adapter._pending(now, message or "The cluster is working on it.")

    @property
    def configuration_version(self) -> str:
        """Names the present configuration, so that an answer about an older one is recognised."""
        text = json.dumps(self.configuration, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def handed_configuration(self, now: datetime) -> Self:
        """Its configuration was given to it; what it thinks of it is not known yet."""
        return self._configuration(now, ConfigurationState.PENDING, None)

    def accepted_configuration(self, now: datetime) -> Self:
        """It acknowledged its configuration."""
        return self._configuration(now, ConfigurationState.CONFIGURED, None)

    def rejected_configuration(self, now: datetime, message: str) -> Self:
        """It can't work with its configuration."""
        return self._configuration(now, ConfigurationState.ERROR, message)

    def _deployed(self, now: datetime, message: str | None) -> Self:
        if self.configuration_state is ConfigurationState.ERROR:  # why must stay to be seen, whatever the cluster says
            return self._with(now, deployment_state=DeploymentState.DEPLOYED, status_message=self.last_error)
        return self._with(
            now,
            deployment_state=DeploymentState.DEPLOYED,
            status_message=message,
            last_error=None,
            last_error_timestamp=None,
        )

    def _pending(self, now: datetime, message: str) -> Self:
        return self._with(now, deployment_state=DeploymentState.PENDING, status_message=message)

    def _failed(self, now: datetime, message: str) -> Self:
        return self._with(
            now,
            deployment_state=DeploymentState.ERROR,
            configuration_state=ConfigurationState.UNCONFIGURED,
            **self._error(now, message),
        )

    def _gone(self, now: datetime, message: str | None) -> Self:
        return self._with(
            now,
            deployment_state=DeploymentState.UNDEPLOYED,
            configuration_state=ConfigurationState.UNCONFIGURED,
            status_message=message,
            last_error=None,
            last_error_timestamp=None,
        )

    def _configuration(self, now: datetime, state: ConfigurationState, error: str | None) -> Self:
        if self.deployment_state in (DeploymentState.UNDEPLOYED, DeploymentState.ERROR):
            return self  # configured implies deployed: what does not run has no configuration in force
        changes: dict[str, Any] = {"configuration_state": state}
        if error is not None:
            changes |= self._error(now, error)
        elif self.configuration_state is ConfigurationState.ERROR:
            changes |= {"status_message": None}
        if state is ConfigurationState.CONFIGURED and self.deployment_state is DeploymentState.DEPLOYED:
            changes |= {"last_error": None, "last_error_timestamp": None}
        return self._with(now, **changes)

    def _error(self, now: datetime, message: str) -> dict[str, Any]:
        """What tells an error. Told once more it keeps the time when it was news."""
        known = message == self.last_error
        return {
            "status_message": message,
            "last_error": message,
            "last_error_timestamp": self.last_error_timestamp if known else now,
        }

    def _with(self, now: datetime, **changes: Any) -> Self:
        changed = replace(self, **changes)
        return self if changed == self else changed.touched(now)

    # What it looks like

    @property
    def group(self) -> Group:
        """The states it is counted by."""
        return Group(
            deployment=self.deployment_state,
            configuration=self.configuration_state,
            communication=self.communication_state,
            wanted=self.wanted,
        )

    @property
    def health(self) -> Health:
        """How much attention it needs, and why."""
        return adapter_health(self.group, self.status_message)

    @property
    def _doing(self) -> str:
        if self.deployment_state is DeploymentState.DEPLOYED:
            return "deployed"
        return "being deployed" if self.wanted else "being undeployed"

    def _problems(self) -> Iterator[Problem]:
        yield from text_problems(self)
        yield from image_problems(self.image_name, self.image_version)
        yield from port_problems(self.port, self.health_path)
        if self.configuration is not None:
            yield from configuration_problems(self.configuration)


@dataclass(frozen=True, kw_only=True)
class AdapterInAnotherPool(Problem):
    """The adapter is in `pool` and can't be in a second one."""

    code: ErrorCode = ErrorCode.ADAPTER_IN_ANOTHER_POOL
    adapter: Adapter
    pool: Pool


@dataclass(frozen=True, kw_only=True)
class AdapterNotInPool(Problem):
    """The adapter is in no pool, or not in the one it was to be taken from."""

    code: ErrorCode = ErrorCode.ADAPTER_NOT_IN_POOL
    adapter: Adapter


@dataclass(frozen=True, kw_only=True)
class StillDeployed(Problem):
    """These `adapters` are deployed, or on their way, and in the way."""

    code: ErrorCode = ErrorCode.STILL_DEPLOYED
    adapters: Sequence[Adapter]
