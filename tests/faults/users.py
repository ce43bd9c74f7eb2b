"""Users who go on working while things break, and remember each thing they did with its outcome."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2 as httpx

PATIENCE_SECONDS: Final = 13.0
"""Within that every request is answered or refused: ten are promised, the rest is for a busy machine."""

STANDSTILL_SECONDS: Final = 25.0
"""How long a user waits for an answer, before it counts as none."""

ALL_WELL_SECONDS: Final = 15.0
"""Within that after the last fault, writes are acknowledged again."""

HEARING_SECONDS: Final = 4.0
"""Two heartbeats of servers: until they have heard of a primary that others had heard of before."""

POOLS, ADAPTERS, WRITERS = 6, 12, 8


def _mutation(name: str, it: str) -> str:
    kind = f"{name[0].upper()}{name[1:]}Input"
    return f"mutation($i: {kind}!) {{ done: {name}(input: $i) {{ it: {it} {{ rtId rtVersion }} errors {{ code }} }} }}"


CREATE_POOL, EDIT = _mutation("createPool", "pool"), _mutation("editPool", "pool")
CREATE_ADAPTER, MOVE = _mutation("createAdapter", "adapter"), _mutation("moveAdapter", "adapter")


@dataclass
class Done:
    """Something a user asked for, and what came of it."""

    kind: str
    input: dict[str, Any]
    asked: float
    """When it was asked for the first time under this id."""
    seconds: float = 0.0
    """Of the last attempt."""
    ended: float = 0.0
    outcome: str = "unknown"
    """ok, refused, unavailable, unknown (no answer), or wrong: what no answer may be."""
    rt_id: str | None = None
    version: int | None = None


@dataclass
class Users:
    """Who asks whichever of the servers, and again under the same id until there is an answer."""

    servers: Sequence[Callable[[], str]]
    """Base URLs."""
    tenant: str
    dice: random.Random
    forgives: float = 0.0
    """Seconds that servers stood still, so that nobody could be answered meanwhile."""
    history: list[Done] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What no answer may ever be."""
    pools: list[str] = field(default_factory=list)
    adapters: list[str] = field(default_factory=list)
    _resting: bool = False
    _before_the_cut: Mapping[str, int] | None = None

    async def settle_in(self) -> None:
        """Create what is then worked on."""
        async with _client() as http:
            for number in range(POOLS):
                done = await self._insist(http, CREATE_POOL, "create pool", {"name": f"Pool {number}"})
                self.pools.append(str(done.rt_id))
            for number in range(ADAPTERS):
                given = {"name": f"Adapter {number}", "type": "EDGE", "imageName": "a/b", "imageVersion": "1"}
                done = await self._insist(http, CREATE_ADAPTER, "create adapter", given)
                self.adapters.append(str(done.rt_id))

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Edit, move and create, until the block ends; nobody was answered what may not be."""
        self._resting = False
        self._work = asyncio.create_task(self._write_all())
        try:
            yield
            await self.rest()
        finally:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        assert self.wrong == []

    async def rest(self) -> None:
        """Begin nothing new, and wait for what was begun: nobody's entity stays locked."""
        self._resting = True
        async with asyncio.timeout(STANDSTILL_SECONDS + ALL_WELL_SECONDS):
            await self._work

    async def got_on(self) -> None:
        """Wait until ten more things were acknowledged."""
        enough = self.acknowledged + 10
        async with asyncio.timeout(ALL_WELL_SECONDS):
            while self.acknowledged < enough:
                assert not self._work.done(), self._work
                await asyncio.sleep(0.05)

    @property
    def acknowledged(self) -> int:
        """How much was done."""
        return sum(done.outcome == "ok" for done in self.history)

    def to_be_read(self) -> Mapping[str, int]:
        """The version of each entity that whoever asks now must be told, or a later one: the latest acknowledged."""
        return self._versions() if self._before_the_cut is None else self._before_the_cut

    @asynccontextmanager
    async def cut_in_two(self) -> AsyncIterator[None]:
        """In this block the primary is cut off from the other members of the database, and not from servers.

        Until two heartbeats after that, reads may be as old as the cut; MongoDB promises no more.
        """
        self._before_the_cut = self._versions()
        try:
            yield
            await asyncio.sleep(HEARING_SECONDS)
        finally:
            self._before_the_cut = None

    def _versions(self) -> Mapping[str, int]:
        versions: dict[str, int] = {}
        for done in self.history:
            if done.outcome == "ok" and done.rt_id:
                versions[done.rt_id] = max(versions.get(done.rt_id, 0), done.version or 0)
        return versions

    async def _write_all(self) -> None:
        async with asyncio.TaskGroup() as writers:
            for number in range(WRITERS):
                writers.create_task(self._write(number))

    async def _write(self, number: int) -> None:
        count = 0
        async with _client() as http:
            while not self._resting:
                count += 1
                await self._some(http, f"{number}-{count}")
                await asyncio.sleep(self.dice.uniform(0, 0.05))

    async def _some(self, http: httpx.AsyncClient, mark: str) -> None:
        match self.dice.randrange(8):
            case 0:
                await self._insist(http, CREATE_POOL, "create pool", {"name": f"New {mark}"})
            case 1 | 2 | 3:
                pool = self.dice.choice([*self.pools, None])
                given = {"rtId": self.dice.choice(self.adapters), "poolRtId": pool}
                await self._insist(http, MOVE, "move", given)
            case _:
                given = {"rtId": self.dice.choice(self.pools), "description": mark}
                await self._insist(http, EDIT, "edit", given)

    async def _insist(self, http: httpx.AsyncClient, document: str, kind: str, given: dict[str, Any]) -> Done:
        """Ask, and again under the same id while it is not known what came of it."""
        given = {**given, "requestId": str(uuid.UUID(int=self.dice.getrandbits(128)))}
        asked = time.monotonic()
        while True:
            done = await self._ask(http, document, Done(kind, given, asked))
            self.history.append(done)
            if done.outcome not in ("unknown", "unavailable"):
                return done
            await asyncio.sleep(0.2)

    async def _ask(self, http: httpx.AsyncClient, document: str, done: Done) -> Done:
        url = f"{self.dice.choice(self.servers)()}/tenants/{self.tenant}/graphql"
        began = time.monotonic()
        try:
            response = await http.post(url, json={"query": document, "variables": {"i": done.input}})
        except httpx.HTTPError:
            response = None
        done.ended = time.monotonic()
        done.seconds = done.ended - began
        if done.seconds > PATIENCE_SECONDS + self.forgives:
            self.wrong.append(f"{done.kind} took {done.seconds:.1f} s")
        if response is not None:
            if why := wrong_in(response):
                self.wrong.append(f"{done.kind}: {why}")
            _take(done, response)
        return done


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=STANDSTILL_SECONDS)


def wrong_in(response: httpx.Response) -> str | None:
    """What an answer may not be, even while something is broken, if it is that."""
    try:
        codes = {error["extensions"]["code"] for error in response.json().get("errors", [])}
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{response.status_code}, and no answer with codes: {response.text!r}"
    if response.status_code not in (200, 503) or codes - {"UNAVAILABLE"}:
        return f"{response.status_code}: {response.text}"
    if response.status_code == 503 and "retry-after" not in response.headers:
        return f"503 without Retry-After: {response.text}"
    return None


def _take(done: Done, response: httpx.Response) -> None:
    try:
        answer = response.json()
    except ValueError:
        done.outcome = "wrong"
        return
    if answer.get("errors"):
        codes = {error.get("extensions", {}).get("code") for error in answer["errors"]}
        done.outcome = "unavailable" if codes == {"UNAVAILABLE"} else "wrong"
    elif answer["data"]["done"]["errors"]:
        done.outcome = "refused"
    else:
        done.outcome = "ok"
        it = answer["data"]["done"]["it"]
        done.rt_id, done.version = it["rtId"], it["rtVersion"]
