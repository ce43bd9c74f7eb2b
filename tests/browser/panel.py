"""The Admin Panel as somebody uses it: everything is found by the name that a person sees or hears."""

from __future__ import annotations

import re
from typing import Final

from playwright.async_api import Locator, Page

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.store.entities import TenantStore
from tests.browser.site import Site

OVERVIEW: Final = "/tenants/demo/"
NUREMBERG: Final = "Werk Nürnberg"
"""Two adapters at rest."""
HALL_1: Final = "Werk Schärding – Halle 1"
"""Three adapters, two of which are wanted."""
HALL_2: Final = "Werk Schärding – Halle 2"
"""Three adapters that are wanted, one of which fails."""
LINZ: Final = "Zentrale Linz"
"""Four adapters, two of which are wanted."""
COLOGNE: Final = "Umspannwerk Köln-Süd"
"""No adapters, and no operator ever serves it."""


# What the database has


async def pool_named(site: Site, name: str) -> Pool:
    """The pool, as it is now."""
    pool = await site.store.pool_named(name)
    assert pool, name
    return pool


async def adapter_named(site: Site, name: str) -> Adapter:
    """The adapter, as it is now."""
    adapter = await site.store.adapter_named(name)
    assert adapter, name
    return adapter


async def adapters_in(site: Site, pool: str) -> list[Adapter]:
    """The adapters of a pool, as they are now."""
    return [*await site.store.adapters_of((await pool_named(site, pool)).rt_id)]


async def path_of(site: Site, pool: str) -> str:
    """Where the edit view of a pool is."""
    return f"{OVERVIEW}pools/{(await pool_named(site, pool)).rt_id}"


async def other_tenant(site: Site, tenant_id: str, name: str) -> TenantStore:
    """Another tenant of the same server, empty."""
    registry = site.sessions.registry
    await registry.create(tenant_id, name, (await pool_named(site, COLOGNE)).rt_creation_date_time)
    return await registry.open(tenant_id)


# What the page has


def row(page: Page, name: str) -> Locator:
    """The row of a pool or of an adapter that is there."""
    operations = page.get_by_role("button", name=f"Operations on {name}", exact=True)
    return page.get_by_role("row").filter(has=operations)


def names(page: Page) -> Locator:
    """The pools of the overview, in their order, without those that are gone."""
    return page.get_by_role("table", name="Pools").get_by_role("rowheader").get_by_role("link")


def cell(page: Page, name: str, column: str) -> Locator:
    """A cell of a row."""
    return row(page, name).locator(f"[data-label='{column}']")


def button(within: Page | Locator, name: str) -> Locator:
    """The button of exactly this name."""
    return within.get_by_role("button", name=name, exact=True)


def notices(page: Page) -> Locator:
    """What the panel says came of something."""
    return page.get_by_role("region", name="Notices")


def dialog(page: Page, title: str) -> Locator:
    """The dialog of this title."""
    return page.get_by_role("dialog", name=title, exact=True)


async def open_menu(page: Page, name: str) -> Locator:
    """The operations on a pool or an adapter."""
    await button(page, f"Operations on {name}").click()
    return page.get_by_role("menu", name=f"Operations on {name}", exact=True)


def item(menu: Locator, operation: str) -> Locator:
    """One of them; the reason why it can't be used now would be a part of its name."""
    return menu.get_by_role("menuitem", name=re.compile(f"^{operation}"))


async def operate(page: Page, name: str, operation: str) -> None:
    """Choose one of them."""
    await item(await open_menu(page, name), operation).click()
