"""A visit: one HTTP request or one WebSocket, from its door to what each of its operations finds."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from octomesh_graphql.actions.clock import now
from octomesh_graphql.api.admitting import Gate
from octomesh_graphql.api.agents import AgentContext
from octomesh_graphql.api.context import Context
from octomesh_graphql.api.tokens import Unauthenticated
from octomesh_graphql.domain.caller import Caller
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.domain.tenant import no_tenant
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.mongo import patience
from octomesh_graphql.store.sessions import Sessions

C = TypeVar("C", Context, AgentContext)


@dataclass
class Visit(ABC, Generic[C]):
    """Somebody at an endpoint. They may do nothing before they have entered."""

    gate: Gate
    sessions: Sessions
    feed: Feed
    request_id: str
    caller: Caller | None = None

    async def enter(self, token: str | None) -> C:
        """Let them in, if they may be here; returns what their first operation finds. Raises what the gate raises, and
        `Refused` for an unknown tenant."""
        self.caller = await self._admitted(token)
        return await self.context()

    async def context(self) -> C:
        """What their next operation finds. Raises `Unauthenticated` when their time is over, and `Refused` when the
        tenant is gone."""
        if self.caller is None or self.caller.is_over(now()):
            raise Unauthenticated("The token has expired.")
        with patience():
            return await self._context(self.caller)

    @abstractmethod
    async def _admitted(self, token: str | None) -> Caller:
        """Who that is."""

    @abstractmethod
    async def _context(self, caller: Caller) -> C:
        """What they find."""


@dataclass
class TenantVisit(Visit[Context]):
    """A user, in a tenant."""

    tenant_id: str = ""
    _created: datetime | None = None
    _line: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def _admitted(self, token: str | None) -> Caller:
        return await self.gate.user(token, self.tenant_id)

    async def _context(self, caller: Caller) -> Context:
        store = await self.sessions.registry.open(self.tenant_id)
        self._created = self._created or store.tenant.created
        if store.tenant.created != self._created:  # a namesake that is there by now
            raise Refused(no_tenant(self.tenant_id))
        return Context(self.gate, caller, self.sessions, store, self.feed, self.request_id, self._line)


@dataclass
class AgentVisit(Visit[AgentContext]):
    """An operator, or the process of an adapter."""

    async def _admitted(self, token: str | None) -> Caller:
        return await self.gate.agent(token)

    async def _context(self, caller: Caller) -> AgentContext:
        return AgentContext(self.gate, caller, self.sessions, self.feed, self.request_id)
