"""Adapters of a pool, counted by state, and what their states are together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from octomesh_graphql.domain.states import CommunicationState, ConfigurationState, DeploymentState

DEPLOYMENT_RANKS: Final = (DeploymentState.ERROR, DeploymentState.PENDING, DeploymentState.DEPLOYED)
"""The first of these that any adapter has is that of its pool; UNDEPLOYED if none is."""

CONFIGURATION_RANKS: Final = (ConfigurationState.ERROR, ConfigurationState.PENDING, ConfigurationState.CONFIGURED)
"""The first of these that any adapter has is that of its pool; UNCONFIGURED if none is."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """How many adapters share exactly these states."""

    deployment: DeploymentState
    configuration: ConfigurationState
    communication: CommunicationState
    wanted: bool
    adapters: int = 1


@dataclass(frozen=True)
class Tally:
    """The adapters of one pool, in groups of equal states."""

    groups: tuple[Group, ...] = ()

    @property
    def adapters(self) -> int:
        """How many there are."""
        return self.count()

    def count(self, **states: Any) -> int:
        """How many have these states, for instance `count(deployment=DeploymentState.ERROR)`."""
        return sum(
            group.adapters
            for group in self.groups
            if all(getattr(group, name) == state for name, state in states.items())
        )

    @property
    def deployment_state(self) -> DeploymentState:
        """ERROR if any is in error, else PENDING if any is pending, else DEPLOYED if any is, else UNDEPLOYED."""
        found = {group.deployment for group in self.groups}
        return next((state for state in DEPLOYMENT_RANKS if state in found), DeploymentState.UNDEPLOYED)

    @property
    def configuration_state(self) -> ConfigurationState:
        """ERROR if any is in error, else PENDING if any is pending, else CONFIGURED if any is, else UNCONFIGURED."""
        found = {group.configuration for group in self.groups}
        return next((state for state in CONFIGURATION_RANKS if state in found), ConfigurationState.UNCONFIGURED)


def tally_of(groups: Iterable[Group]) -> Tally:
    """A tally with its groups in a fixed order, so that equal tallies are equal."""
    return Tally(
        tuple(
            sorted(
                groups,
                key=lambda g: (g.deployment.value, g.configuration.value, g.communication.value, g.wanted),
            )
        )
    )
