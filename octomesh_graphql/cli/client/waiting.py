"""Waiting: adapters are followed until all of them are as wished, or it is certain that some are not.

Only what is seen is told: a change is a reason to look, and whoever is cut off begins with the present again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from octomesh_graphql.cli.client.connection import Api, Interrupted
from octomesh_graphql.cli.client.telling import hint
from octomesh_graphql.cli.running import CommandFailed
from octomesh_graphql.domain.text import shown

PAUSE_SECONDS: Final = 1.0
"""Between two tries to follow a server that is away."""

STAYS: Final = "The wish stays: as long as an operator serves the pool, it goes on working on it."

_ADAPTERS: Final = """subscription ($pools: [OctoObjectId!], $adapters: [OctoObjectId!]) {
  adapterChanges(poolRtIds: $pools, rtIds: $adapters) {
    kind rtId
    adapter { rtId name wanted deploymentState configurationState communicationState statusMessage pool { rtId } }
  }
}"""
_POOL: Final = """subscription ($pools: [OctoObjectId!]) {
  poolChanges(rtIds: $pools) {
    kind rtId
    pool {
      deploymentState statusMessage summary { deploymentPending }
      adapters(first: 20, filter: { deploymentState: ERROR }) { nodes { name statusMessage } }
    }
  }
}"""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is waited for."""

    wanted: bool
    """Whether deployed, or undeployed."""
    pool_rt_id: str | None = None
    adapter_rt_id: str | None = None
    """All adapters of this pool, or this one."""

    @property
    def state(self) -> str:
        """As the API calls it."""
        return "DEPLOYED" if self.wanted else "UNDEPLOYED"

    @property
    def variables(self) -> dict[str, list[str]]:
        """Of whom one wants to hear."""
        given = {"pools": self.pool_rt_id, "adapters": self.adapter_rt_id}
        return {name: [rt_id] for name, rt_id in given.items() if rt_id}


@dataclass
class Sight:
    """What has been seen of the adapters since the last beginning, and what was told of it."""

    goal: Goal
    adapters: dict[str, dict[str, Any]] = field(default_factory=dict)
    live: bool = False
    told: dict[str, tuple[str, str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Of all that were ever seen."""

    def begin(self) -> None:
        """From the present on."""
        self.adapters, self.live = {}, False

    def take(self, change: dict[str, Any]) -> None:
        """One change."""
        match change["kind"]:
            case "LIVE":
                self.live = True
            case "RESYNC":
                self.begin()
            case kind:
                self._see(change["adapter"], gone=kind == "DELETED")

    def _see(self, adapter: dict[str, Any], *, gone: bool) -> None:
        rt_id, pool = adapter["rtId"], adapter["pool"] or {}
        elsewhere = self.goal.pool_rt_id and pool.get("rtId") != self.goal.pool_rt_id
        if gone or elsewhere:
            self.adapters.pop(rt_id, None)
            return
        self.adapters[rt_id] = adapter
        self.names[rt_id] = adapter["name"]
        news = (adapter["deploymentState"], adapter["statusMessage"] or "")
        if self.told.get(rt_id) != news:
            self.told[rt_id] = news
            hint(f"'{adapter['name']}': {': '.join(shown(part, 500) for part in news if part)}")

    @property
    def settled(self) -> bool:
        """Whether waiting longer is of no use."""
        return self.live and all(self._at_end(adapter) for adapter in self.adapters.values())

    def _at_end(self, adapter: dict[str, Any]) -> bool:
        return adapter["deploymentState"] in (self.goal.state, "ERROR") or adapter["wanted"] is not self.goal.wanted

    def problems(self) -> Iterator[str]:
        """What is not as wished, each in a line."""
        for adapter in self.adapters.values():
            message = shown(adapter["statusMessage"] or adapter["deploymentState"], 500)
            if adapter["wanted"] is not self.goal.wanted:
                word = "deployed" if adapter["wanted"] else "undeployed"
                yield f"'{adapter['name']}': it is wished to be {word} by now; somebody else said so."
            elif adapter["deploymentState"] != self.goal.state:
                yield f"'{adapter['name']}': {message}"
        if self.goal.wanted and self.live:
            yield from (f"'{name}': it is gone." for rt_id, name in self.names.items() if rt_id not in self.adapters)


@dataclass
class Leaving:
    """What has been seen of a pool that is being deleted."""

    name: str
    there: bool = False
    problems: list[str] = field(default_factory=list)
    """What it waits for, or why it can't go."""
    gone: bool = False
    stuck: bool = False

    def begin(self) -> None:
        """From the present on."""
        self.there = False

    def take(self, change: dict[str, Any]) -> None:
        """One change."""
        kind, pool = change["kind"], change["pool"]
        self.gone = kind == "DELETED" or (kind == "LIVE" and not self.there)
        if self.gone or pool is None:
            return
        self.there = True
        self.stuck = pool["deploymentState"] == "ERROR" and not pool["summary"]["deploymentPending"]
        doing = [shown(pool["statusMessage"] or pool["deploymentState"], 500)]
        if doing != self.problems:
            hint(f"'{self.name}': {doing[0]}")
        self.problems = doing
        if self.stuck:
            failed = pool["adapters"]["nodes"]
            self.problems = [f"'{each['name']}': {shown(each['statusMessage'] or 'ERROR', 500)}" for each in failed]


async def settled(api: Api, goal: Goal, what: str, timeout: float) -> tuple[list[dict[str, Any]], list[str]]:
    """The adapters as they are in the end, and in a line each what is not as wished; `what` names them in sentences.

    Raises `CommandFailed` when it takes more than `timeout` seconds.
    """
    sight = Sight(goal)

    async def look() -> None:
        async with aclosing(_followed(api, _ADAPTERS, goal.variables, sight.begin)) as changes:
            async for change in changes:
                sight.take(change)
                if sight.settled:
                    return

    still = f"{what} is not {goal.state.lower()} yet"
    await _in_time(look(), timeout, still=still, stays=STAYS, missing=lambda: list(sight.problems()))
    return list(sight.adapters.values()), list(sight.problems())


async def pool_gone(api: Api, rt_id: str, name: str, timeout: float) -> None:
    """Wait until a pool that is being deleted is gone. Raises `CommandFailed` when it can't go, or not in time."""
    leaving = Leaving(name)

    async def look() -> None:
        async with aclosing(_followed(api, _POOL, {"pools": [rt_id]}, leaving.begin)) as changes:
            async for change in changes:
                leaving.take(change)
                if leaving.gone or leaving.stuck:
                    return

    stays = "It goes by itself as soon as its adapters are undeployed; `octomesh pools delete --force` does not wait."
    still = f"the pool '{name}' is not gone yet"
    await _in_time(look(), timeout, still=still, stays=stays, missing=lambda: leaving.problems)
    if leaving.stuck:
        raise CommandFailed("\n  ".join([f"The pool '{name}' can't go yet:", *leaving.problems]) + f"\n{stays}")


async def _followed(
    api: Api, document: str, variables: dict[str, Any], begin: Callable[[], None]
) -> AsyncGenerator[dict[str, Any], None]:
    """What a subscription tells, begun anew with the present whenever it is cut."""
    trouble = ""
    while True:
        begin()
        try:
            async with aclosing(api.changes(document, **variables)) as changes:
                async for change in changes:
                    trouble = ""
                    yield change
        except Interrupted as error:
            if str(error) != trouble:
                hint(f"{error} Trying again.")
            trouble = str(error)
        await asyncio.sleep(PAUSE_SECONDS)


async def _in_time(
    look: Awaitable[None], timeout: float, *, still: str, stays: str, missing: Callable[[], Iterable[str]]
) -> None:
    """Look until that has an end. Raises `CommandFailed` when it takes too long; who is stopped is told what stays."""
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            await look
    except TimeoutError as error:
        if not limit.expired():
            raise
        lines = "\n  ".join([f"After {timeout:g} s {still}:", *missing()])
        raise CommandFailed(f"{lines}\n{stays}") from error
    except asyncio.CancelledError:
        hint(f"Not waiting any longer. {stays}")
        raise
