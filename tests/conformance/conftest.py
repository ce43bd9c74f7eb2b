"""Programs of others, run by Node against a server of ours; only when they are asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from tests.api.conftest import serving
from tests.collecting import asked_for

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what nobody asked for: it takes Node, which the everyday tests must not."""
    return None if asked_for(HERE, config) else True


async def told_by_node(script: str, *arguments: str) -> list[dict[str, Any]]:
    """The outcomes that a script of this directory prints."""
    process = await asyncio.create_subprocess_exec(
        "node", str(HERE / script), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    outcomes: list[dict[str, Any]] = json.loads(output)
    return outcomes


@pytest.fixture
async def base(sessions: Sessions, feed: Feed, store: TenantStore) -> AsyncIterator[str]:
    """Host and port of a running server that has the tenant `acme`."""
    async with serving(sessions, feed) as address:
        yield address
