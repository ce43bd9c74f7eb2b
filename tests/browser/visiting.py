"""A person at a browser: opens pages, and notices what goes wrong in them. What they see there is for the tests."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, WebError

FLAGS: Final = [
    "--no-sandbox",  # the tests run as root in CI, where Chromium has no sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whoever asks another host finds none, even if nothing here noticed.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

_AXE: Final = Path(__file__).parents[2] / "admin" / "node_modules" / "axe-core" / "axe.min.js"

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


class NoChromium(Exception):
    """There is no browser to test with; the message says what would help."""


def find_chromium() -> str:
    """The program named by OCTOMESH_CHROMIUM, or else the first one found. Raises `NoChromium`."""
    named = os.environ.get("OCTOMESH_CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, _NAMES)), None)
    if found:
        return found
    if named:
        raise NoChromium(f"OCTOMESH_CHROMIUM names {named}, which is no program here")
    raise NoChromium(
        "NO BROWSER TO TEST WITH. On Debian: apt-get install -y chromium. Elsewhere OCTOMESH_CHROMIUM names a Chromium."
    )


class Visits:
    """The pages that one test opens, each as if by a new visitor, and what went wrong in any of them."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._host = urlsplit(url).netloc
        self._contexts: list[BrowserContext] = []
        self.troubles: list[str] = []
        """Errors and warnings in the console, uncaught exceptions, and requests to other hosts."""

    async def __call__(self, path: str, *, tolerating: str | None = None, **visitor: Any) -> Page:
        """A page, loaded. `tolerating` matches console messages that belong to the test.

        `visitor` is what Playwright's `new_context` takes: `color_scheme="dark"`, `viewport=…`, `timezone_id=…`.
        """
        context = await self._browser.new_context(base_url=self._url, **visitor)
        self._contexts.append(context)

        def said(message: ConsoleMessage) -> None:
            tolerated = tolerating and re.search(tolerating, message.text)
            if message.type in ("error", "warning") and not tolerated:
                self.troubles.append(f"console {message.type}: {message.text}")

        def failed(failure: WebError) -> None:
            self.troubles.append(f"uncaught: {failure.error}")

        context.on("console", said)
        context.on("weberror", failed)
        context.on("request", lambda request: self._asked(request.url))
        context.on("page", lambda page: page.on("websocket", lambda ws: self._asked(ws.url)))
        page = await context.new_page()
        await page.goto(path)
        return page

    async def end(self) -> None:
        """Everybody leaves."""
        for context in self._contexts:
            await context.close()

    def _asked(self, url: str) -> None:
        address = urlsplit(url)
        if address.scheme not in ("data", "blob") and address.netloc != self._host:
            self.troubles.append(f"foreign request: {url}")


async def axe(page: Page, *, without: tuple[str, ...] = ()) -> None:
    """Assert that axe finds nothing that keeps people out, except by the rules `without`.

    The browser is told to run axe as its debugger would, so that the page's Content-Security-Policy stays as it is.
    """
    assert _AXE.exists(), "axe-core is not installed: make test-browser, or npm ci in admin/"
    await page.evaluate(f"{_AXE.read_text(encoding='utf-8')}\n;0")
    rules = {rule: {"enabled": False} for rule in without}
    found: list[dict[str, Any]] = await page.evaluate("async (rules) => (await axe.run({ rules })).violations", rules)
    assert not found, "\n".join(map(_in_words, found))


def _in_words(violation: dict[str, Any]) -> str:
    places = "\n".join(f"  {' '.join(map(str, node['target']))}: {node['html'][:200]}" for node in violation["nodes"])
    return f"{violation['id']} ({violation['impact']}): {violation['help']}\n{places}"
