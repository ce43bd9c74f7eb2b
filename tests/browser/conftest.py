"""A server with the demo tenant for each test, and one Chromium for all; and all of it only when it is asked for.

Nothing here imports Playwright before a test needs it: `make test` reads this file too.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octomesh_graphql.actions import clock
from octomesh_graphql.actions.seeding import DEMO, seed_demo
from octomesh_graphql.api.admitting import OPEN, Gate
from octomesh_graphql.api.app import create_app
from octomesh_graphql.api.listening import listening
from octomesh_graphql.api.pages import BUILT
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from tests.browser.site import Site, operating
from tests.collecting import asked_for

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.browser.visiting import Visits

HERE = Path(__file__).parent
PATIENCE_MS = 15_000
"""How long a test waits for what shall come. Nothing is measured by it, so a busy machine may take its time."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what nobody asked for. Called for what is in this directory only."""
    return None if asked_for(HERE, config) else True


def pytest_configure(config: pytest.Config) -> None:
    """Where pages or browser are missing nothing here can be told: the run ends at once, with what would help."""
    if not asked_for(HERE, config) or hasattr(config, "workerinput"):
        return
    from tests.browser.visiting import NoChromium, find_chromium

    if not (BUILT / "index.html").exists():
        raise pytest.UsageError("THE PAGES ARE NOT BUILT: make web")
    try:
        find_chromium()
    except NoChromium as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this directory, so that no file can forget to."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A running Chromium."""
    from playwright.async_api import async_playwright, expect

    from tests.browser.visiting import FLAGS, find_chromium

    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def gate() -> Gate:
    """Who is let in: everybody, where nothing else is said."""
    return OPEN


@pytest.fixture
async def site(sessions: Sessions, feed: Feed, gate: Gate) -> AsyncIterator[Site]:
    """A server that shows the demo tenant first, filled as the demo is; no operator serves it."""
    await seed_demo(sessions.registry, clock.now())
    app = create_app(sessions, feed, gate=gate, default_tenant=DEMO)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        async with listening(app, sock, leaving=feed.leave, closing=feed.close_all):
            url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            yield Site(url=url, store=await sessions.registry.open(DEMO), sessions=sessions, feed=feed)


@pytest.fixture
async def demo(site: Site) -> AsyncIterator[Site]:
    """The same with the demo's operator at work, whose cluster is simulated."""
    async with operating(site):
        yield site


@pytest.fixture
async def visit(browser: Browser, site: Site) -> AsyncIterator[Visits]:
    """Opens pages of the site: `page = await visit("/tenants/demo/")`. Fails the test for what went wrong in them."""
    from tests.browser.visiting import Visits

    visits = Visits(browser, site.url)
    yield visits
    await visits.end()
    assert visits.troubles == []
