"""Hints: what tells agents to look again. They carry no content, so that a late or doubled one is harmless."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.session import adapter_agent
from octomesh_graphql.domain.states import ConfigurationState, DeploymentState
from octomesh_graphql.store.mongo import MongoUnavailable
from octomesh_graphql.store.tenants import Registry

if TYPE_CHECKING:
    from octomesh_graphql.store.feed import Event

log = structlog.get_logger()

Place = tuple[str, str]
"""A tenant and the rtId of one of its pools, or of the adapter itself."""


@dataclass(eq=False)
class Hints:
    """What one agent has not yet looked at: each place once, so it can't grow beyond what there is."""

    everything: bool = True
    """All of it: at the beginning, and whenever something may have been missed."""
    closed: bool = False
    _places: dict[Place, None] = field(default_factory=dict)
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, place: Place) -> None:
        """Look at this again."""
        self._places[place] = None
        self._filled.set()

    def put_everything(self) -> None:
        """Look at everything again."""
        self.everything = True
        self._places.clear()
        self._filled.set()

    def close(self) -> None:
        """Nothing more will come."""
        self.closed = True
        self._filled.set()

    async def take(self) -> Sequence[Place] | None:
        """The places to look at again; None: all of them. Waits for something; empty when closed."""
        if not self.everything:
            await self._filled.wait()
        self._filled.clear()
        places = None if self.everything and not self.closed else list(self._places)
        self.everything = False
        self._places.clear()
        return places


class Switchboard:
    """Finds out of events which agents should look again, and tells those that are connected to this server."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._listening: dict[str, set[Hints]] = {}

    @contextmanager
    def listening(self, agent: str) -> Iterator[Hints]:
        """Hints for this agent, the id of an operator or of an adapter's process, until the block ends."""
        hints = Hints()
        self._listening.setdefault(agent, set()).add(hints)
        try:
            yield hints
        finally:
            remaining = self._listening[agent]
            remaining.discard(hints)
            if not remaining:
                del self._listening[agent]

    def everything(self) -> None:
        """Something may have been missed: all agents look at everything."""
        for hints in self._all():
            hints.put_everything()

    def close(self) -> None:
        """The server stops."""
        for hints in self._all():
            hints.close()

    async def tell(self, events: Sequence[Event]) -> None:
        """Tell the agents whom these events concern."""
        if not self._listening:
            return
        try:
            await self._tell(events)
        except MongoUnavailable as error:
            log.warning("events could not be told to agents, they look at everything", reason=str(error))
            self.everything()
        except Exception:
            log.exception("events could not be told to agents, they look at everything")
            self.everything()

    async def _tell(self, events: Sequence[Event]) -> None:
        if any(event.lost for event in events):
            self.everything()
            return
        concerned: dict[str, set[str]] = {}
        for event in events:
            self._tell_adapter(event)
            if _changes_a_wish(event):
                concerned.setdefault(event.tenant_id, set()).update(event.pool_rt_ids)
            if isinstance(event.before, Pool):
                self._tell_operator(event.tenant_id, event.before, if_news_to=event.after)
        for tenant_id, rt_ids in concerned.items():
            store = await self._registry.open(tenant_id)
            for pool in (await store.pools(rt_ids)).values():
                self._tell_operator(tenant_id, pool)

    def _tell_adapter(self, event: Event) -> None:
        agent = adapter_agent(event.tenant_id, event.rt_id)
        if agent in self._listening and _handover(event.before) != _handover(event.after):
            self._put(agent, (event.tenant_id, event.rt_id))

    def _tell_operator(self, tenant_id: str, pool: Pool, *, if_news_to: Any = None) -> None:
        """Tell who serves the pool; when it is that pool itself that changed, only if the operator has to know."""
        after = if_news_to if isinstance(if_news_to, Pool) else None
        same = after and (after.name, after.operator) == (pool.name, pool.operator)
        if pool.operator and not same:
            self._put(pool.operator.id, (tenant_id, pool.rt_id))

    def _put(self, agent: str, place: Place) -> None:
        for hints in self._listening.get(agent, ()):
            hints.put(place)

    def _all(self) -> list[Hints]:
        return [hints for listening in self._listening.values() for hints in listening]


def _changes_a_wish(event: Event) -> bool:
    """Whether what is wished about the event's pools became another; what agents report does not count."""
    return isinstance(event.last, Adapter) and _wish(event.before) != _wish(event.after)


def _wish(image: Any) -> Any:
    if not isinstance(image, Adapter) or image.at_rest:
        return None
    return image.pool_rt_id, image.generation, image.name


def _handover(image: Any) -> Any:
    """Changes whenever the adapter's process has to take its configuration anew."""
    if not isinstance(image, Adapter):
        return None
    runs = image.deployment_state not in (DeploymentState.UNDEPLOYED, DeploymentState.ERROR)
    asked = runs and image.configuration_state is ConfigurationState.UNCONFIGURED
    return image.configuration_version, asked
