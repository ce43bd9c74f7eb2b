"""A server of its own for each module, and a witness: a well-behaved client, the log, and the memory."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from octomesh_graphql.actions.seeding import DEMO, seed_demo
from octomesh_graphql.store.mongo import Driver, Mongo
from octomesh_graphql.store.tenants import Registry
from tests.builders import NOW
from tests.cli.conftest import Octomesh, Started
from tests.collecting import asked_for

HERE = Path(__file__).parent
GROWTH_BYTES = 50 * 1024 * 1024
"""By how much the server's memory may grow: its caches fill, and Python gives little back."""
PATIENCE_SECONDS = 5.0
"""How long the well-behaved client ever waits; on a quiet machine some hundredths."""
SOON_SECONDS = 2.0
"""How long anybody else may wait while much is asked or told; on a quiet machine half a second."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what nobody asked for: `make test-hostile`."""
    return None if asked_for(HERE, config) else True


@dataclass
class Target:
    """A server with the tenant `demo`, and what is seen of it from beside."""

    program: Started
    base: str
    http: httpx.AsyncClient
    slowest: float = 0.0
    unserved: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The endpoint."""
        return f"/tenants/{DEMO}/graphql"

    async def post(
        self, query: str, variables: dict[str, Any] | None = None, path: str | None = None
    ) -> httpx.Response:
        """Ask, and check that the answer is one."""
        answer = await self.http.post(path or self.path, json={"query": query, "variables": variables or {}})
        assert answer.status_code < 500, answer.text
        codes = [error["extensions"]["code"] for error in answer.json().get("errors", [])]
        assert "INTERNAL" not in codes, (query, variables, answer.text)
        return answer

    def memory(self) -> int:
        """Bytes that the server has in memory."""
        status = Path(f"/proc/{self.program.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) * 1024

    async def behave(self) -> None:
        """Be the well-behaved client, again and again."""
        async with httpx.AsyncClient(base_url=f"http://{self.base}", timeout=30) as http:
            while True:
                began = time.monotonic()
                try:
                    answer = await http.post(self.path, json={"query": "{ pools(first: 1) { totalCount } }"})
                    if answer.status_code != 200 or "errors" in answer.json():
                        self.unserved.append(answer.text)
                except httpx.HTTPError as error:
                    self.unserved.append(repr(error))
                self.slowest = max(self.slowest, time.monotonic() - began)
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
async def program(
    mongo_uri: str, connections: dict[Driver, Mongo], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Started]:
    """A server in a process of its own, with the demo's data."""
    registry = Registry(connections[Driver.PYMONGO], prefix=f"t{secrets.token_hex(6)}_")
    await registry.prepare()
    await seed_demo(registry, NOW)
    variables = {"MONGO_URI": mongo_uri, "DATABASE_PREFIX": registry.prefix, "LOG_FORMAT": "json"}
    octomesh = Octomesh(directory=tmp_path_factory.mktemp("server"), variables=variables)
    with octomesh.started("serve", "--port", "0") as program:
        await asyncio.to_thread(program.until_logged, "listening")
        yield program


@pytest.fixture
async def target(program: Started) -> AsyncIterator[Target]:
    """The server, warm, that is as well after the test as it was before."""
    async with httpx.AsyncClient(base_url=program.url, timeout=30) as http:
        target = Target(program, urlsplit(program.url).netloc, http)
        for _ in range(50):
            await target.post("{ pools { nodes { name adapters { nodes { name } } } } }")
        before, logged = target.memory(), len(program.errors)
        witness = asyncio.create_task(target.behave())
        yield target
        await asyncio.sleep(0.2)
        witness.cancel()
        with suppress(asyncio.CancelledError):
            await witness
        assert program.process.poll() is None
        assert target.unserved == []
        assert target.slowest < PATIENCE_SECONDS
        assert target.memory() - before < GROWTH_BYTES
        told = program.errors[logged:]
        assert "Traceback" not in told
        assert [line for line in told.splitlines() if '"level": "error"' in line or '"level": "critical"' in line] == []
