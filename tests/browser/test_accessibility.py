"""axe on every view, in both themes, and what axe does not know: narrow screens, and what screen readers are told."""

from __future__ import annotations

from typing import Final, Literal

import pytest
from playwright.async_api import Page, expect

from octomesh_graphql.actions import clock
from octomesh_graphql.actions.arranging import edit_pool
from octomesh_graphql.actions.deploying import deploy_pool_adapters
from tests.browser.panel import (
    COLOGNE,
    HALL_2,
    NUREMBERG,
    OVERVIEW,
    button,
    cell,
    dialog,
    names,
    notices,
    open_menu,
    operate,
    other_tenant,
    path_of,
    pool_named,
    row,
)
from tests.browser.site import Site
from tests.browser.visiting import Visits, axe
from tests.builders import ALICE

STILL: Final = {"reduced_motion": "reduce"}
"""What moves or fades has another contrast at each moment."""

THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


async def look(page: Page) -> None:
    """Both themes of what is shown now."""
    for scheme in THEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await axe(page)


async def test_the_overview_keeps_nobody_out(visit: Visits, demo: Site) -> None:
    page = await visit(OVERVIEW, **STILL)
    await expect(cell(page, HALL_2, "Deployment")).to_contain_text("Error")
    await look(page)
    menu = await open_menu(page, COLOGNE)
    await look(page)
    await page.keyboard.press("Escape")
    await expect(menu).to_be_hidden()
    await page.get_by_role("checkbox", name="Select all pools on this page").check()
    await look(page)
    await button(page, "Account: anonymous").click()
    await look(page)


async def test_the_dialogs_of_the_overview_keep_nobody_out(visit: Visits, demo: Site) -> None:
    page = await visit(OVERVIEW, **STILL)
    await expect(cell(page, HALL_2, "Deployment")).to_contain_text("Error")
    await button(page, "Create pool").click()
    await button(dialog(page, "Create pool"), "Create pool").click()
    await expect(dialog(page, "Create pool").get_by_role("alert")).to_be_visible()
    await look(page)
    await page.keyboard.press("Escape")
    await operate(page, HALL_2, "Undeploy Adapters")
    await expect(dialog(page, "Undeploy Adapters")).to_be_visible()
    await look(page)
    await page.keyboard.press("Escape")
    await operate(page, HALL_2, "Delete")
    deleting = dialog(page, f"Delete {HALL_2}")
    await expect(deleting.get_by_role("listitem")).to_have_count(3)
    await deleting.get_by_role("radio", name="Only if nothing is deployed").check()
    await deleting.get_by_label("Type the name").fill(HALL_2)
    await button(deleting, "Delete").click()
    await expect(deleting.get_by_role("alert")).to_be_visible()
    await look(page)
    await deleting.get_by_role("radio", name="Delete at once").check()
    await button(deleting, "Delete").click()
    await expect(dialog(page, f"'{HALL_2}' was deleted")).to_be_visible()
    await look(page)
    await button(page, "I have read it").click()
    await expect(page.get_by_text("Deleted. It disappears")).to_be_visible()
    await look(page)


async def test_the_page_of_a_pool_keeps_nobody_out(visit: Visits, demo: Site) -> None:
    page = await visit(await path_of(demo, HALL_2), **STILL)
    await expect(cell(page, "Kamera Oberflächenprüfung", "Deployment")).to_contain_text("Error")
    await look(page)
    await page.get_by_role("textbox", name="Description").fill("Mine")
    rt_id = (await pool_named(demo, HALL_2)).rt_id
    await edit_pool(demo.store, ALICE, clock.now(), rt_id=rt_id, given={"description": "Theirs"})
    await expect(button(page, "Keep mine")).to_be_visible()
    await look(page)


async def test_the_dialogs_of_a_pool_keep_nobody_out(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG), **STILL)
    await button(page, "Add adapter").click()
    await expect(dialog(page, f"Add adapters to {NUREMBERG}").get_by_role("listitem").first).to_be_visible()
    await look(page)
    await page.keyboard.press("Escape")
    await button(page, "OPC UA Montagelinie").click()
    editing = dialog(page, "OPC UA Montagelinie")
    await editing.get_by_label("Configuration").fill("{")
    await expect(editing.get_by_role("alert")).to_be_visible()
    await look(page)
    page.once("dialog", lambda asked: asked.accept())
    await page.keyboard.press("Escape")
    await operate(page, "OPC UA Montagelinie", "Delete")
    await expect(dialog(page, "Delete OPC UA Montagelinie")).to_be_visible()
    await look(page)
    await button(dialog(page, "Delete OPC UA Montagelinie"), "Delete").click()
    await expect(notices(page)).to_contain_text("was deleted")
    await look(page)


async def test_empty_and_missing_things_keep_nobody_out(visit: Visits, site: Site) -> None:
    await other_tenant(site, "acme", "Acme Works")
    for path, heading in (
        ("/?choose", "OctoMesh Admin Panel"),
        ("/tenants/acme/", "No pools yet"),
        (f"{OVERVIEW}?search=nowhere", "No pool matches"),
        (f"{OVERVIEW}pools/{'0' * 24}", "There is no such pool"),
        ("/tenants/nobody/", "There is no tenant 'nobody' here"),
    ):
        page = await visit(path, tolerating="status of 404|WebSocket connection to", **STILL)
        await expect(page.get_by_role("heading", name=heading)).to_be_visible()
        await look(page)


@pytest.mark.parametrize("scheme", THEMES)
async def test_the_panel_is_light_or_dark_as_the_system_is(visit: Visits, site: Site, scheme: str) -> None:
    page = await visit(OVERVIEW, color_scheme=scheme)
    await expect(row(page, NUREMBERG)).to_be_visible()
    background = "getComputedStyle(document.documentElement).backgroundColor"
    red: float = await page.evaluate(f"Number(/[\\d.]+/.exec({background})[0])")
    assert (red < 128) is (scheme == "dark")


@pytest.mark.parametrize("width", [360, 1280])
async def test_no_page_is_wider_than_its_window(visit: Visits, demo: Site, width: int) -> None:
    for path in (OVERVIEW, await path_of(demo, HALL_2), "/?choose"):
        page = await visit(path, viewport={"width": width, "height": 740}, **STILL)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        if path != "/?choose":
            await expect(page.get_by_role("banner").get_by_text("Live")).to_be_attached()
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await axe(page)


@pytest.mark.parametrize("width", [390, 1024, 1200])
async def test_the_names_of_pools_are_shown_in_full(visit: Visits, site: Site, width: int) -> None:
    page = await visit(OVERVIEW, viewport={"width": width, "height": 740})
    await expect(names(page)).to_have_count(5)
    for name in await names(page).all():
        assert await name.evaluate("link => link.scrollWidth <= link.clientWidth"), await name.inner_text()


async def test_changes_of_states_are_told_to_screen_readers(visit: Visits, site: Site) -> None:
    page = await visit(OVERVIEW)
    await expect(page.get_by_role("banner").get_by_text("Live")).to_be_visible()
    await deploy_pool_adapters(site.store, ALICE, clock.now(), rt_id=(await pool_named(site, NUREMBERG)).rt_id)
    told = page.locator("[aria-live=polite]").filter(has_text=f"{NUREMBERG}: 0 of 2 adapters deployed.")
    await expect(told).to_be_attached()
    await expect(names(page)).to_have_count(5)
