"""The states of pools and adapters.

The numbers are what is stored; they are OctoMesh's own keys. New states are appended, never inserted.
"""

from enum import Enum
from typing import Self


class DescribedEnum(Enum):
    """An enum whose members carry the sentence that client developers read in the schema."""

    description: str

    def __new__(cls, value: object, description: str = "") -> Self:
        member = object.__new__(cls)
        member._value_ = value
        member.description = description
        return member


class CommunicationState(DescribedEnum):
    """Whether the agent behind an entity (an operator for a pool, its process for an adapter) is there."""

    UNREGISTERED = 0, "No agent has ever registered for it, or the last one signed off for good."
    ONLINE = 1, "An agent renewed its lease in time."
    OFFLINE = 2, "An agent was registered, but its connection broke or its lease ran out."


class ConfigurationState(DescribedEnum):
    """Whether an adapter works with the configuration it was given."""

    UNCONFIGURED = 0, "The adapter has not been given a configuration."
    PENDING = 1, "A configuration was handed over; the adapter has not yet said what it thinks of it."
    CONFIGURED = 2, "The adapter acknowledged its configuration and works with it."
    ERROR = 3, "The adapter rejected its configuration; the message tells why."


class DeploymentState(DescribedEnum):
    """Whether what is wished to run does run."""

    UNDEPLOYED = 0, "Nothing of it exists in the cluster."
    PENDING = (
        1,
        "The wish and the cluster differ, and work is under way; the message tells what it waits for.",
    )
    DEPLOYED = 2, "It runs in the cluster as wished."
    ERROR = 3, "It can't be brought to the wished state; the message tells why. It keeps being retried."


class AdapterType(DescribedEnum):
    """Where an adapter is at home."""

    EDGE = 0, "Near its data source; goes on working when the centre can't be reached."
    MESH = 1, "In the middle, in a central cluster."


class HealthLevel(DescribedEnum):
    """How much attention something needs, from nothing at all to now."""

    OK = 0, "As wished."
    UNKNOWN = 1, "Nobody has reported anything to judge by."
    WARN = 2, "On its way to what is wished, or waiting for something."
    CRITICAL = 3, "Not as wished, and somebody should look."
