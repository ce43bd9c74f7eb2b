"""A database, two servers, and everybody who works with them or looks on; and what must be true in the end."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx

from tests.cli.conftest import Octomesh, Started
from tests.faults.database import Database
from tests.faults.history import Present, check, present
from tests.faults.onlookers import ADAPTER_CHANGES, POOL_CHANGES, Probe, Reader, Watcher, all_told, watching
from tests.faults.users import Users
from tests.ports import reserved_port

TENANT: Final = "acme"

DESCRIPTORS_TO_SPARE: Final = 20
"""By how many open files a server may have grown: its connections to MongoDB stay open once they were needed."""


class Server:
    """`octomesh serve`, always on the same port, that can be started again."""

    def __init__(self, directory: Path, uri: str | None, **variables: str) -> None:
        self._stack = ExitStack()
        self.port = self._stack.enter_context(reserved_port())
        self.programs: list[Started] = []
        self._directory = directory
        self._variables = {"LOG_FORMAT": "json", **({"MONGO_URI": uri} if uri else {}), **variables}

    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Return when it listens."""
        octomesh = self._octomesh(f"start-{len(self.programs) + 1}")
        self.programs.append(self._stack.enter_context(octomesh.started("serve", "--port", str(self.port))))
        await asyncio.to_thread(self.programs[-1].until_logged, "listening")

    @property
    def pid(self) -> int:
        """Of the program that runs now."""
        return self.programs[-1].process.pid

    def send(self, number: int) -> None:
        """A signal."""
        self.programs[-1].process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, which comes soon."""
        return await asyncio.to_thread(self.programs[-1].process.wait, 25)

    def close(self) -> None:
        """End it, whatever it does."""
        self._stack.close()

    async def create_tenant(self, tenant: str = TENANT) -> None:
        """A tenant to work in."""
        octomesh = self._octomesh(f"create-{tenant}")
        told = await asyncio.to_thread(octomesh.run, "tenants", "create", tenant)
        assert told.exit_code == 0, told.errors

    @property
    def descriptors(self) -> int:
        """How many files and connections it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    async def subscriptions(self) -> int:
        """How many it serves, by its own account."""
        async with httpx.AsyncClient(timeout=10) as http:
            text = (await http.get(f"{self.url()}/metrics")).text
        found = re.search(r"^octomesh_subscriptions_active (\d+)", text, re.MULTILINE)
        assert found
        return int(found[1])

    def complaints(self, expected: Collection[str] = ()) -> list[str]:
        """Lines of its logs that tell of a fault of its own: no tracebacks, no errors, nothing but JSON."""
        whole = [program.errors.rpartition("\n")[0] for program in self.programs]  # a kill may cut the last line
        lines = [line for text in whole for line in text.splitlines()]
        return [line for line in lines if _complains(line) and not any(text in line for text in expected)]

    def _octomesh(self, name: str) -> Octomesh:
        directory = self._directory / name
        directory.mkdir(parents=True)
        return Octomesh(directory=directory, variables=self._variables)


def _complains(line: str) -> bool:
    try:
        told: dict[str, Any] = json.loads(line)
    except ValueError:
        return True
    return told["level"] in ("error", "critical") or "Traceback" in line


@dataclass
class Installation:
    """A database and servers."""

    database: Database
    servers: list[Server]
    dice: random.Random
    expected: list[str] = field(default_factory=list)
    """Parts of lines of level error that servers may log, because a test made them."""

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Users]:
        """Users work and others look on, while the block breaks something; in the end everything is as it must be."""
        users = Users([server.url for server in self.servers], TENANT, self.dice)
        await users.settle_in()
        readers = [Reader(server.url, users) for server in self.servers]
        watchers = [*self.watchers(), *self.watchers()]
        reading = [asyncio.create_task(reader.read()) for reader in readers]
        try:
            async with watching(watchers), users.working():
                await asyncio.sleep(1.5)
                before = [server.descriptors for server in self.servers]
                yield users
                await users.got_on()
                await users.rest()
                await all_told(watchers, await self._checked(users))
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
        assert [wrong for reader in readers for wrong in reader.wrong] == []
        assert all(reader.answers for reader in readers)
        print(_told(users, watchers))
        await self._nothing_left(before)

    def watchers(self) -> list[Watcher]:
        """Who watches pools, and who watches adapters; each by whichever server."""
        urls = [server.url for server in self.servers]
        return [
            Watcher(urls, TENANT, document, random.Random(self.dice.random()))
            for document in (POOL_CHANGES, ADAPTER_CHANGES)
        ]

    async def _checked(self, users: Users) -> Present:
        now = await present(users)
        check(users, now)
        return now

    async def _nothing_left(self, before: Sequence[int]) -> None:
        """No subscription, no connection more than before, nothing to complain of in the logs."""
        await asyncio.sleep(5)
        for server, had in zip(self.servers, before, strict=True):
            assert await server.subscriptions() == 0
            assert server.descriptors <= had + DESCRIPTORS_TO_SPARE
        self.nothing_to_complain_of()

    def nothing_to_complain_of(self) -> None:
        """No server logged a fault of its own."""
        assert [line for server in self.servers for line in server.complaints(self.expected)] == []

    @asynccontextmanager
    async def probed(self) -> AsyncIterator[list[Probe]]:
        """Somebody asks each server whether it is ready."""
        probes = [Probe(server.url) for server in self.servers]
        asking = [asyncio.create_task(probe.ask()) for probe in probes]
        try:
            for probe in probes:
                await probe.until(True, 5)
            yield probes
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)


@asynccontextmanager
async def installed(
    directory: Path, dice: random.Random, database: Database | None = None, servers: int = 2
) -> AsyncIterator[Installation]:
    """Everything up, with a tenant in it."""
    async with (database or Database(directory)).running() as running:
        there = [Server(directory / f"server-{number}", running.uri) for number in range(servers)]
        await there[0].create_tenant()
        try:
            await asyncio.gather(*(server.start() for server in there))
            yield Installation(running, there, dice)
        finally:
            for server in there:
                server.close()


def _told(users: Users, watchers: Sequence[Watcher]) -> str:
    """What happened, for who looks at the output of a test."""
    endings = sorted({ending for watcher in watchers for ending in watcher.endings})
    resyncs = sum(watcher.kinds.count("RESYNC") for watcher in watchers)
    asked, slowest = len(users.history), max(done.seconds for done in users.history)
    return f"{users.acknowledged} of {asked} acknowledged, {slowest:.1f} s at most; {endings}, {resyncs} RESYNC"
