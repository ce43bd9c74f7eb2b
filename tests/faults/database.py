"""A MongoDB of one mongod or several, each behind a wire, and each can be killed and started again on its data."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from octomesh_graphql.store.embedded import find_mongod
from octomesh_graphql.store.mongo import MongoCommandFailed, MongoUnavailable, run_admin_command
from tests.faults.proxy import Proxy
from tests.ports import reserved_port

ELECTION_MS: Final = 2_000
"""How long members wait for a silent primary; MongoDB's own ten seconds are long for a test."""

_FLAGS: Final = (
    "--replSet faults --bind_ip 127.0.0.1 --nounixsocket --wiredTigerCacheSizeGB 0.25 --quiet "
    "--setParameter diagnosticDataCollectionEnabled=false "
    "--setParameter enableTestCommands=1"  # a member then tells its port to whom it calls; and fail points
)


class Member:
    """One mongod, always on the same port."""

    def __init__(self, directory: Path, port: int, flags: Sequence[str]) -> None:
        self.directory = directory
        self.port = port
        self.wire = Proxy(self.port)
        self._flags = flags
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Return when it answers."""
        with self.directory.with_suffix(".log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(str(find_mongod()), *_FLAGS.split(), *self._flags),
                *("--port", str(self.port), "--dbpath", str(self.directory)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(40):
            while not await self.hello():
                assert self.process.returncode is None, f"mongod ended: see {self.directory.with_suffix('.log')}"
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """At once and without a word."""
        if self.process:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    def throw_away(self) -> None:
        """What it stored, a third of a gigabyte at least. Its log stays."""
        shutil.rmtree(self.directory, ignore_errors=True)

    async def hello(self) -> Mapping[str, Any]:
        """What it says of itself; empty if it does not."""
        try:
            return await self.command({"hello": 1})
        except (MongoUnavailable, MongoCommandFailed):
            return {}

    async def command(self, command: Mapping[str, Any], database: str = "admin") -> dict[str, Any]:
        """Run a command, not by the wire."""
        return await run_admin_command(f"mongodb://127.0.0.1:{self.port}/", command, database=database)

    def calls(self, hello: bytes) -> bool:
        """Whether it was this member that opened a connection."""
        return f":{self.port}\0".encode() in hello


class Database:
    """A replica set."""

    def __init__(self, directory: Path, members: int = 1, flags: Sequence[str] = ("--oplogSize", "990")) -> None:
        self._stack = AsyncExitStack()
        ports = [self._stack.enter_context(reserved_port()) for _ in range(members)]
        self.members = [Member(directory / f"mongod-{number}", port, flags) for number, port in enumerate(ports)]

    @property
    def wires(self) -> Sequence[Proxy]:
        """The wires to its members."""
        return [member.wire for member in self.members]

    @property
    def uri(self) -> str:
        """How servers reach it: by the wires."""
        hosts = ",".join(f"127.0.0.1:{wire.port}" for wire in self.wires)
        return f"mongodb://{hosts}/?" + ("replicaSet=faults" if len(self.members) > 1 else "directConnection=true")

    @property
    def direct_uri(self) -> str:
        """How one reaches its first member, not by the wire."""
        return f"mongodb://127.0.0.1:{self.members[0].port}/?directConnection=true"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Database]:
        """Up until the block ends."""
        async with self._stack as stack:
            for member in self.members:
                member.directory.mkdir(exist_ok=True)
                await stack.enter_async_context(member.wire.running())
                stack.callback(member.throw_away)
                stack.push_async_callback(member.kill)
            await asyncio.gather(*(member.start() for member in self.members))
            await self._initiate()
            await self.primary()
            yield self

    async def primary(self) -> Member:
        """The member that takes writes, as soon as there is one."""
        async with asyncio.timeout(40):
            while True:
                for member in self.members:
                    if (await member.hello()).get("isWritablePrimary"):
                        return member
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """All of it, at once and without a word."""
        await asyncio.gather(*(member.kill() for member in self.members))

    async def start(self) -> None:
        """Return when it takes writes."""
        await asyncio.gather(*(member.start() for member in self.members))
        await self.primary()

    async def step_down(self, seconds: int) -> None:
        """Whoever is primary, be none for so long."""
        with suppress(MongoUnavailable, MongoCommandFailed):
            await (await self.primary()).command({"replSetStepDown": seconds, "force": True})

    async def _initiate(self) -> None:
        one = len(self.members) == 1  # it finds itself before it listens, which several find out from each other
        members = [
            {"_id": number, "host": f"127.0.0.1:{member.port if one else member.wire.port}"}
            for number, member in enumerate(self.members)
        ]
        settings = {"electionTimeoutMillis": ELECTION_MS, "heartbeatIntervalMillis": 500}
        config = {"_id": "faults", "members": members, "settings": settings}
        await self.members[0].command({"replSetInitiate": config})
