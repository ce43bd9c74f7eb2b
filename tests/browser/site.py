"""The server that browsers visit, with what a test needs to change things behind a page's back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from octomesh_graphql.cli.demonstrating import plants
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions

SPEED: Final = 0.05
"""Seconds that a second of the simulated cluster takes: a deployment shows its steps, and is done in half a second."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running server, and the data of the tenant `demo`."""

    url: str
    """`http://127.0.0.1:` and the port; tenants are below it."""
    store: TenantStore
    sessions: Sessions
    feed: Feed


@asynccontextmanager
async def operating(site: Site) -> AsyncIterator[None]:
    """The demo's operator at work, whose cluster is simulated and has the pools that there are."""
    working = asyncio.create_task(plants(site.sessions, site.feed, site.url, speed=SPEED))
    try:
        yield
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
