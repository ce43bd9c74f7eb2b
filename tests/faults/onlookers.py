"""Who looks on while things break: readers, watchers like the Admin Panel, and the probe of a load balancer."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2 as httpx
import websockets

from tests.faults.history import Present
from tests.faults.users import PATIENCE_SECONDS, Users, wrong_in

WHAT_IS_WORKED_ON: Final = """query($ids: [OctoObjectId!]) {
  pools(first: 50, filter: { rtIds: $ids }) { nodes { rtId rtVersion adapters(first: 100) { nodes { rtId } } } }
  adapters(first: 100) { nodes { rtId rtVersion } }
}"""

POOL_CHANGES: Final = """subscription($after: String) {
  changes: poolChanges(after: $after) { cursor kind rtId entity: pool { rtVersion } } }"""
ADAPTER_CHANGES: Final = """subscription($after: String) {
  changes: adapterChanges(after: $after) { cursor kind rtId entity: adapter { rtVersion } } }"""

_NO_WAY_BACK: Final = (1000, *range(4000, 5000))
"""Close codes after which clients of graphql-transport-ws do not come back by themselves."""


@dataclass
class Reader:
    """Who reads everything from one server, over and over."""

    server: Callable[[], str]
    users: Users
    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)

    async def read(self) -> None:
        """Until cancelled."""
        url = f"{self.server()}/tenants/{self.users.tenant}/graphql"
        asked = {"query": WHAT_IS_WORKED_ON, "variables": {"ids": self.users.pools}}
        async with httpx.AsyncClient(timeout=30) as http:
            while True:
                acknowledged, began = self.users.to_be_read(), time.monotonic()
                try:
                    response = await http.post(url, json=asked)
                except httpx.HTTPError:
                    await asyncio.sleep(0.2)
                    continue
                if time.monotonic() - began > PATIENCE_SECONDS + self.users.forgives:
                    self.wrong.append(f"read: took {time.monotonic() - began:.1f} s")
                if why := wrong_in(response):
                    self.wrong.append(f"read: {why}")
                elif data := response.json().get("data"):
                    self._look_at(data, acknowledged)
                await asyncio.sleep(0.05)

    def _look_at(self, data: Any, acknowledged: Mapping[str, int]) -> None:
        """No adapter in two pools, nothing older than before, nor than what was acknowledged before it was asked."""
        self.answers += 1
        members = [adapter["rtId"] for pool in data["pools"]["nodes"] for adapter in pool["adapters"]["nodes"]]
        if len(members) != len(set(members)):
            self.wrong.append(f"an adapter is in two pools: {data['pools']}")
        now = {each["rtId"]: each["rtVersion"] for each in (*data["pools"]["nodes"], *data["adapters"]["nodes"])}
        for then, versions in (("was acknowledged", acknowledged), ("was seen", self._seen)):
            for rt_id in now.keys() & versions.keys():
                if now[rt_id] < versions[rt_id]:
                    where = f"by {self.server()}, version {now[rt_id]} of {rt_id}"
                    self.wrong.append(f"read after {versions[rt_id]} {then}: {where}")
        self._seen = now


@dataclass
class Watcher:
    """A subscription that, like the Admin Panel's, comes back whenever it is cut off and goes on where it was."""

    servers: Sequence[Callable[[], str]]
    tenant: str
    document: str
    dice: random.Random
    versions: dict[str, int] = field(default_factory=dict)
    """The latest rtVersion that was told of each entity."""
    kinds: list[str] = field(default_factory=list)
    """Of all that was told."""
    endings: list[str] = field(default_factory=list)
    """Why it was cut off, each time."""
    wrong: list[str] = field(default_factory=list)
    live: bool = False
    """Whether it is being told at present."""
    _cursor: str | None = None

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            url = f"{self.dice.choice(self.servers)().replace('http', 'ws', 1)}/tenants/{self.tenant}/graphql"
            try:
                async with websockets.connect(
                    url,
                    subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
                    open_timeout=12,
                    ping_interval=2,
                    ping_timeout=3,
                    close_timeout=1,
                ) as socket:
                    await self._listen(socket)
            except websockets.ConnectionClosed as closed:
                self._cut_off(closed.rcvd.code if closed.rcvd else None)
            except websockets.InvalidStatus as no:
                self.endings.append(f"status {no.response.status_code}")
                if no.response.status_code != 503:
                    self.wrong.append(f"{no.response.status_code}: {no.response.body!r}")
            except (OSError, TimeoutError, websockets.InvalidHandshake, EOFError) as error:
                self.endings.append(type(error).__name__)
            finally:
                self.live = False
            await asyncio.sleep(self.dice.uniform(0.2, 0.6))

    def _cut_off(self, code: int | None) -> None:
        self.endings.append(f"closed {code}")
        if code in _NO_WAY_BACK:
            self.wrong.append(f"closed with {code}, and clients do not come back")

    async def _listen(self, socket: websockets.ClientConnection) -> None:
        payload = {"query": self.document, "variables": {"after": self._cursor}}
        await socket.send('{"type": "connection_init"}')
        async for text in socket:
            match json.loads(text):
                case {"type": "connection_ack"}:
                    await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
                case {"type": "next", "payload": {"data": {"changes": change}}}:
                    self.live = True
                    self._hear(change)
                case {"type": "error", "payload": [{"extensions": {"code": "UNAVAILABLE"}}]}:
                    self.endings.append("UNAVAILABLE")
                    return
                case {"type": "next", "payload": {"errors": [{"extensions": {"code": "UNAVAILABLE"}}]}}:
                    self.live = False  # what follows tells how it ends
                case {"type": "complete"} if not self.live:
                    self.endings.append("UNAVAILABLE")
                    return
                case other:
                    self.wrong.append(f"told {other}")
                    return

    def _hear(self, change: Any) -> None:
        self._cursor = change["cursor"]
        self.kinds.append(change["kind"])
        if change["kind"] == "RESYNC":
            self.versions.clear()
        elif change["kind"] == "DELETED":
            self.versions.pop(change["rtId"], None)
        elif change["rtId"]:
            version, before = change["entity"]["rtVersion"], self.versions.get(change["rtId"], 0)
            if version < before:
                self.wrong.append(f"{change['kind']} told version {version} of {change['rtId']} after {before}")
            self.versions[change["rtId"]] = version


@asynccontextmanager
async def watching(watchers: Sequence[Watcher]) -> AsyncIterator[None]:
    """They watch until the block ends, and have heard something when it begins."""
    tasks = [asyncio.create_task(watcher.watch()) for watcher in watchers]
    try:
        await all_live(watchers, 30)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert [wrong for watcher in watchers for wrong in watcher.wrong] == []


async def all_live(watchers: Sequence[Watcher], seconds: float) -> None:
    """Wait until each has heard something since it was last cut off."""
    async with asyncio.timeout(seconds):
        while not all(watcher.live for watcher in watchers):
            await asyncio.sleep(0.05)


async def all_told(watchers: Sequence[Watcher], now: Present) -> None:
    """Wait until each was told how everything is now, and nothing else."""
    wanted = [now.pools if watcher.document is POOL_CHANGES else now.adapters for watcher in watchers]
    versions = [{rt_id: entity["rtVersion"] for rt_id, entity in entities.items()} for entities in wanted]
    async with asyncio.timeout(30):
        while [watcher.versions for watcher in watchers] != versions:
            await asyncio.sleep(0.1)


@dataclass
class Probe:
    """What a load balancer finds out of `/readyz` of one server: each change of its mind, with the time of it."""

    server: Callable[[], str]
    changes: list[tuple[float, bool]] = field(default_factory=list)

    async def ask(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(timeout=5) as http:
            while True:
                try:
                    green = (await http.get(f"{self.server()}/readyz")).status_code == 200
                except httpx.HTTPError:
                    green = False
                if not self.changes or self.changes[-1][1] is not green:
                    self.changes.append((time.monotonic(), green))
                await asyncio.sleep(0.1)

    @property
    def green(self) -> bool:
        """What it thinks now."""
        return bool(self.changes) and self.changes[-1][1]

    async def until(self, green: bool, seconds: float) -> None:
        """Wait for it to think so."""
        async with asyncio.timeout(seconds):
            while self.green is not green:
                await asyncio.sleep(0.05)
