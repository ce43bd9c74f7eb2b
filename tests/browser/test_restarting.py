"""A server that is killed under open pages: they say so and how old they are, and come back with what was missed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Locator, Page, expect

from octomesh_graphql.actions import clock
from octomesh_graphql.actions.arranging import create_pool, edit_pool
from octomesh_graphql.actions.seeding import DEMO, seed_demo
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from tests.browser.panel import (
    LINZ,
    NUREMBERG,
    OVERVIEW,
    button,
    names,
    notices,
    operate,
    path_of,
    pool_named,
    row,
)
from tests.browser.site import Site
from tests.browser.visiting import Visits
from tests.builders import ALICE

SOURCES: Final = Path(__file__).parents[2]
CUT: Final = "WebSocket connection to|net::ERR_|WebSocket is closed"
"""What a browser itself writes into its console when a server is gone."""


@dataclass
class Server:
    """`octomesh serve` as a process of its own, always on the same port."""

    mongo_uri: str
    prefix: str
    port: int
    directory: Path
    process: asyncio.subprocess.Process | None = None
    draining: asyncio.Task[bytes] | None = None

    async def start(self) -> None:
        """Return when it answers."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OCTOMESH_")}
        given = {"OCTOMESH_MONGO_URI": self.mongo_uri, "OCTOMESH_DATABASE_PREFIX": self.prefix}
        self.process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "octomesh_graphql", "serve", "--port", str(self.port)],
            cwd=self.directory,
            env=inherited | given | {"PYTHONPATH": str(SOURCES), "OCTOMESH_LOG_FORMAT": "json"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self.process.stderr
        async with asyncio.timeout(30):
            said = b""
            while b'"listening"' not in said:
                line = await self.process.stderr.readline()
                assert line, f"the server ended before it listened:\n{said.decode()}"
                said += line
        # A pipe that nobody reads would stop it.
        self.draining = asyncio.create_task(self.process.stderr.read())

    async def stop(self, number: int = signal.SIGKILL) -> None:
        """End it: at once and without a word, unless it is asked to."""
        assert self.process
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        await self.process.wait()
        if self.draining:
            await self.draining


@pytest.fixture
async def server(mongo_uri: str, sessions: Sessions, tmp_path: Path) -> AsyncIterator[Server]:
    """The server, started."""
    await seed_demo(sessions.registry, clock.now())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(mongo_uri, sessions.registry.prefix, port, tmp_path)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def site(server: Server, sessions: Sessions, feed: Feed) -> Site:
    """What that server shows, instead of one within the tests."""
    url = f"http://127.0.0.1:{server.port}"
    return Site(url=url, store=await sessions.registry.open(DEMO), sessions=sessions, feed=feed)


def banner(page: Page) -> Locator:
    """What is said while the connection is cut."""
    return page.get_by_role("region", name="Connection")


def live(page: Page) -> Locator:
    """The word for a page that follows."""
    return page.get_by_role("banner").get_by_text("Live")


async def test_a_killed_server_is_noticed_and_its_successor_tells_what_was_missed(
    visit: Visits, site: Site, server: Server
) -> None:
    overview = await visit(OVERVIEW, tolerating=CUT)
    editing = await visit(await path_of(site, NUREMBERG), tolerating=CUT)
    for page in (overview, editing):
        await page.clock.install()
        await page.reload()
        await expect(live(page)).to_be_visible()
    await server.stop()
    for page in (overview, editing):
        await expect(banner(page)).to_contain_text("Reconnecting…")
        await expect(banner(page)).to_contain_text(re.compile(r"showing data of \d+:\d\d:\d\d"))
        await expect(live(page)).to_be_hidden()
        # The page does not try again by itself now: that would come before the button.
        await page.clock.pause_at(await page.evaluate("Date.now() / 1000 + 10"))
    # What was there can still be read, and typing goes on.
    await expect(row(overview, LINZ)).to_be_visible()
    await editing.get_by_role("textbox", name="Name").fill("Typed in the dark")

    rt_id = (await pool_named(site, NUREMBERG)).rt_id
    await edit_pool(site.store, ALICE, clock.now(), rt_id=rt_id, given={"description": "Edited in the dark."})
    await create_pool(site.store, ALICE, clock.now(), name="Werk Graz")
    await server.start()
    for page in (overview, editing):
        await button(banner(page), "Try now").click()
        await expect(live(page)).to_be_visible()
        await page.clock.resume()
        await expect(banner(page)).to_be_hidden()
    await expect(row(overview, NUREMBERG)).to_contain_text("Edited in the dark.")
    await button(overview, "1 new – show").click()
    await expect(names(overview).filter(has_text="Werk Graz")).to_be_visible()
    form = editing.get_by_role("form", name="Name and description")
    await expect(form.get_by_role("textbox", name="Description")).to_have_value("Edited in the dark.")
    await expect(form.get_by_role("textbox", name="Name")).to_have_value("Typed in the dark")
    await button(form, "Save").click()
    await expect(notices(editing)).to_contain_text("Saved.")
    assert (await pool_named(site, "Typed in the dark")).description == "Edited in the dark."


async def test_on_a_narrow_screen_a_notice_does_not_cover_what_is_said_of_the_connection(
    visit: Visits, site: Site, server: Server
) -> None:
    page = await visit(OVERVIEW, tolerating=CUT, viewport={"width": 390, "height": 844})
    await expect(live(page)).to_be_visible()
    await server.stop()
    await expect(banner(page)).to_be_visible()
    await operate(page, NUREMBERG, "Deploy Adapters")
    await expect(notices(page)).to_contain_text("failed")
    shown, said = await notices(page).bounding_box(), await banner(page).bounding_box()
    assert shown
    assert said
    assert shown["y"] + shown["height"] <= said["y"]


async def test_what_is_saved_while_the_server_is_gone_stays_typed_and_is_said_not_to_be_saved(
    visit: Visits, site: Site, server: Server
) -> None:
    page = await visit(await path_of(site, NUREMBERG), tolerating=CUT)
    await expect(live(page)).to_be_visible()
    await server.stop(signal.SIGTERM)
    form = page.get_by_role("form", name="Name and description")
    await form.get_by_role("textbox", name="Name").fill("Werk Fürth")
    await button(form, "Save").click()
    await expect(form.get_by_role("alert")).to_contain_text("It was not saved: The server can't be reached.")
    await expect(form.get_by_role("textbox", name="Name")).to_have_value("Werk Fürth")
    await expect(banner(page)).to_be_visible()
    await server.start()
    # Nobody has to do anything for that.
    await expect(live(page)).to_be_visible(timeout=30_000)
    await button(form, "Save").click()
    await expect(notices(page)).to_contain_text("Saved.")
    assert await site.store.pool_named("Werk Fürth")


async def test_a_pool_one_goes_to_while_the_server_is_gone_comes_when_the_server_does(
    visit: Visits, site: Site, server: Server
) -> None:
    page = await visit(OVERVIEW, tolerating=CUT)
    await expect(row(page, NUREMBERG)).to_be_visible()
    await server.stop()
    await page.get_by_role("link", name=NUREMBERG, exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("could not be loaded: The server can't be reached.")
    await server.start()
    await expect(page.get_by_role("heading", name=NUREMBERG, level=1)).to_be_visible(timeout=30_000)
    await expect(page.get_by_role("alert")).to_be_hidden()
