"""Sessions: how an agent stays known to be there.

An agent is an operator, or the process of an adapter. Registering begins a session with a new `epoch`; renewing keeps
its lease from running out; whatever the agent says afterwards carries the epoch. A session that ended (its lease ran
out, its agent signed off, or registered anew) never begins again: what still comes from it is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from octomesh_graphql.domain.states import DescribedEnum
from octomesh_graphql.domain.text import shown

LEASE_SECONDS: Final = 40
"""How long an agent counts as there without a word from it. Four renewals fit, so that three may be lost."""

RENEWALS_PER_LEASE: Final = 4

GRACE_SECONDS: Final = 5
"""How long a lease lasts once the agent's connection is seen broken: time to connect again, for instance to another
server, and OFFLINE well within 10 s if nobody does."""

_OPERATOR_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,98}[a-z0-9])?")
_SEPARATOR: Final = "/"


class AgentErrorCode(DescribedEnum):
    """Why an agent is refused, for programs."""

    STALE_SESSION = "STALE_SESSION", "The session has ended, or is none; register anew."
    POOL_SERVED_BY_ANOTHER = "POOL_SERVED_BY_ANOTHER", "Another live operator serves the pool; the message names it."
    POOL_NOT_CLAIMED = "POOL_NOT_CLAIMED", "The operator has not claimed the pool in this session; claim it first."
    NOT_FOUND = "NOT_FOUND", "There is no such tenant, pool or adapter, or it is gone."
    FORBIDDEN = "FORBIDDEN", "Who asks may not do that; the message tells why."
    BAD_USER_INPUT = "BAD_USER_INPUT", "A value can't be used; the message tells which and why."


class AgentRefused(Exception):
    """Raised when an agent asks for what it can't have; nothing has been changed. The message is for its log."""

    def __init__(self, code: AgentErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Session:
    """One stay of an agent: who, and the how-manieth time."""

    agent: str
    """The id of an operator, or tenant and rtId of an adapter as `acme/6789…`."""
    epoch: int
    holder: str = field(default="", compare=False)
    """Who began it, as the issuer of their tokens knows them; nobody else can speak in it."""

    @property
    def key(self) -> str:
        """The session in one word, as entities remember who speaks for them."""
        return f"{self.agent}#{self.epoch}"

    @property
    def of_adapter(self) -> bool:
        """Whether the agent is the process of an adapter; else it is an operator."""
        return _SEPARATOR in self.agent

    @property
    def adapter(self) -> tuple[str, str]:
        """Tenant and rtId of the adapter."""
        tenant_id, _, rt_id = self.agent.partition(_SEPARATOR)
        return tenant_id, rt_id

    def covers(self, key: str | None) -> bool:
        """Whether an entity with this `key` is spoken for by this session, or by an earlier one of the same agent."""
        agent, _, epoch = (key or "").rpartition("#")
        return agent == self.agent and int(epoch) <= self.epoch

    @property
    def words(self) -> str:
        """The agent in a sentence."""
        return "its process" if self.of_adapter else f"the operator '{self.agent}'"

    def held(self) -> AgentRefused:
        """The refusal of somebody else who wants to be this agent."""
        words = shown(self.words, 120)
        return AgentRefused(AgentErrorCode.FORBIDDEN, f"Somebody else is {words} now, with tokens of another subject.")

    def stale(self) -> AgentRefused:
        """The refusal of what comes from this session."""
        return AgentRefused(
            AgentErrorCode.STALE_SESSION,
            f"The session {self.epoch} of {shown(self.words, 120)} has ended or was never given. Register anew.",
        )


@dataclass(frozen=True, kw_only=True)
class OperatorFacts:
    """What an operator tells about itself when it registers."""

    id: str
    cluster: str
    version: str

    def checked(self) -> Self:
        """Itself; raises `AgentRefused` when the server can't know it by that."""
        if not _OPERATOR_ID.fullmatch(self.id):
            raise AgentRefused(
                AgentErrorCode.BAD_USER_INPUT,
                f"'{shown(self.id)}' can't be the id of an operator: use 1 to 100 lower-case letters, digits, dots and "
                "hyphens, with a letter or digit at both ends.",
            )
        for what, text in (("cluster", self.cluster), ("version", self.version)):
            if not 1 <= len(text) <= 100 or not text.isprintable():
                raise AgentRefused(
                    AgentErrorCode.BAD_USER_INPUT,
                    f"The {what} '{shown(text)}' must have 1 to 100 printable characters.",
                )
        return self


@dataclass(frozen=True, kw_only=True)
class RegisteredOperator(OperatorFacts):
    """An operator as it is remembered."""

    last_seen: datetime
    """When it was last heard of, by MongoDB's clock."""


def adapter_agent(tenant_id: str, rt_id: str) -> str:
    """The agent id of an adapter's process."""
    return f"{tenant_id}{_SEPARATOR}{rt_id}"
