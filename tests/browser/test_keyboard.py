"""The seed of it all walked through without a mouse: every operation, by Tab, arrows, Enter, Space and Esc alone."""

from __future__ import annotations

from playwright.async_api import Dialog, Page, expect

from octomesh_graphql.domain.states import DeploymentState
from tests.browser.panel import (
    COLOGNE,
    HALL_1,
    NUREMBERG,
    OVERVIEW,
    adapter_named,
    adapters_in,
    button,
    cell,
    dialog,
    names,
    notices,
    path_of,
    pool_named,
    row,
)
from tests.browser.site import Site
from tests.browser.visiting import Visits

FOCUSED = """() => {
    const element = document.activeElement;
    const label = element.labels?.[0]?.textContent ?? "";
    return (element.ariaLabel || label || element.textContent || "").trim();
}"""
MOST_TABS = 90
"""Beyond that something can't be reached."""


async def tab_to(page: Page, name: str, *, back: bool = False) -> None:
    """Press Tab until what is called so has the focus."""
    met = []
    for _ in range(MOST_TABS):
        await page.keyboard.press("Shift+Tab" if back else "Tab")
        met.append(str(await page.evaluate(FOCUSED)))
        if met[-1] == name:
            return
    raise AssertionError(f"{name!r} can't be reached with Tab; these can: {met}")


async def choose(page: Page, name: str, operation: str) -> None:
    """Open the menu of a pool or an adapter, go down to an operation, and choose it."""
    await tab_to(page, f"Operations on {name}")
    await page.keyboard.press("Enter")
    menu = page.get_by_role("menu", name=f"Operations on {name}", exact=True)
    await expect(menu.get_by_role("menuitem").first).to_be_focused()
    for _ in range(await menu.get_by_role("menuitem").count()):
        if str(await page.evaluate(FOCUSED)).startswith(operation):
            await page.keyboard.press("Enter")
            return
        await page.keyboard.press("ArrowDown")
    raise AssertionError(f"there is no {operation!r}")


async def choose_again(page: Page, name: str, operation: str) -> None:
    """The same where the menu's own button has kept the focus, as it must."""
    await expect(button(page, f"Operations on {name}")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await choose(page, name, operation)


async def test_pools_are_deployed_undeployed_edited_and_deleted(visit: Visits, demo: Site) -> None:
    page = await visit(f"{OVERVIEW}?order=name")
    await expect(cell(page, NUREMBERG, "Communication")).to_contain_text("Online")

    await choose(page, NUREMBERG, "Deploy Adapters")
    await expect(cell(page, NUREMBERG, "Adapters")).to_contain_text("2/2 deployed")
    assert {each.deployment_state for each in await adapters_in(demo, NUREMBERG)} == {DeploymentState.DEPLOYED}

    await choose_again(page, NUREMBERG, "Undeploy Adapters")
    await tab_to(page, "Undeploy")
    await page.keyboard.press("Enter")
    await expect(cell(page, NUREMBERG, "Deployment")).to_contain_text("Undeployed")
    assert all(adapter.at_rest for adapter in await adapters_in(demo, NUREMBERG))

    await choose_again(page, NUREMBERG, "Edit")
    await expect(page.get_by_role("heading", name=NUREMBERG, level=1)).to_be_visible()
    await tab_to(page, "Name")
    await page.keyboard.press("Control+A")
    await page.keyboard.type("Werk Fürth")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Werk Fürth", level=1)).to_be_visible()
    assert await demo.store.pool_named("Werk Fürth")

    await tab_to(page, "Delete", back=True)
    await page.keyboard.press("Enter")
    await expect(dialog(page, "Delete Werk Fürth")).to_be_visible()
    await tab_to(page, "Delete")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Pools", level=1)).to_be_visible()
    assert await demo.store.pool_named("Werk Fürth") is None


async def test_adapters_are_added_created_edited_deployed_and_removed(visit: Visits, demo: Site) -> None:
    page = await visit(await path_of(demo, COLOGNE))
    await expect(page.get_by_role("heading", name=COLOGNE, level=1)).to_be_visible()

    await tab_to(page, "Add adapter")
    await page.keyboard.press("Enter")
    picking = dialog(page, f"Add adapters to {COLOGNE}")
    await expect(picking.get_by_label("Find")).to_be_focused()
    await page.keyboard.type("kläranlage")
    await expect(picking.get_by_role("listitem")).to_have_count(1)
    await tab_to(page, "Add: Modbus Kläranlage Würzburg")
    await page.keyboard.press("Space")
    await expect(picking.get_by_role("listitem")).to_contain_text("In this pool.")
    await page.keyboard.press("Escape")
    await expect(picking).to_be_hidden()
    await expect(button(page, "Add adapter")).to_be_focused()

    await tab_to(page, "Create adapter")
    await page.keyboard.press("Enter")
    for text, label in (
        ("MQTT Trafo", "Name"),
        ("registry.example.com/mqtt-adapter", "Image"),
        ("4.1.1", "Version"),
        ('{"qos": 1}', "Configuration (optional)"),
    ):
        if label != "Name":
            await tab_to(page, label)
        await page.keyboard.type(text)
    await tab_to(page, "Create adapter")
    await page.keyboard.press("Enter")
    await expect(row(page, "MQTT Trafo")).to_be_visible()
    assert (await adapter_named(demo, "MQTT Trafo")).configuration == {"qos": 1}
    await expect(button(page, "Create adapter")).to_be_focused()

    await tab_to(page, "MQTT Trafo")
    await page.keyboard.press("Enter")
    await expect(dialog(page, "MQTT Trafo").get_by_label("Name")).to_be_visible()
    await tab_to(page, "Version")
    await page.keyboard.press("Control+A")
    await page.keyboard.type("4.2.0")
    await page.keyboard.press("Enter")
    await expect(cell(page, "MQTT Trafo", "Image")).to_contain_text("4.2.0")

    await choose(page, "MQTT Trafo", "Deploy")
    await expect(cell(page, "MQTT Trafo", "Deployment")).to_contain_text("Pending")
    assert (await adapter_named(demo, "MQTT Trafo")).wanted

    await tab_to(page, "Modbus Kläranlage Würzburg", back=True)
    await choose(page, "Modbus Kläranlage Würzburg", "Remove from pool")
    await expect(notices(page)).to_contain_text("It still exists, in no pool.")
    await expect(page.get_by_role("heading", name="Adapters", exact=True)).to_be_focused()
    assert [adapter.name for adapter in await adapters_in(demo, COLOGNE)] == ["MQTT Trafo"]


async def test_pools_are_found_sorted_selected_and_created(visit: Visits, site: Site) -> None:
    page = await visit(OVERVIEW)
    await expect(names(page)).to_have_count(5)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await tab_to(page, "Search names and descriptions")
    await page.keyboard.type("schärding")
    await expect(names(page)).to_have_count(2)
    await tab_to(page, "Pool")
    await page.keyboard.press("Enter")
    await expect(names(page).first).to_have_text(HALL_1)
    await tab_to(page, f"Select {HALL_1}")
    await page.keyboard.press("Space")
    await expect(page.get_by_role("group", name="Selected pools")).to_contain_text("1 pool selected")
    await tab_to(page, "Deploy Adapters", back=True)
    await page.keyboard.press("Enter")
    await expect(notices(page)).to_contain_text("1 adapter to deploy.")
    assert all(adapter.wanted for adapter in await adapters_in(site, HALL_1))

    await tab_to(page, "Create pool")
    await page.keyboard.press("Enter")
    await expect(dialog(page, "Create pool").get_by_label("Name")).to_be_focused()
    await page.keyboard.type("Werk Graz")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Werk Graz", level=1)).to_be_visible()
    await expect(page.get_by_role("main")).to_be_focused()
    assert await pool_named(site, "Werk Graz")


async def test_a_menu_closes_with_esc_and_gives_the_focus_back(visit: Visits, site: Site) -> None:
    page = await visit(OVERVIEW)
    await expect(row(page, NUREMBERG)).to_be_visible()
    opening = button(page, f"Operations on {NUREMBERG}")
    await opening.press("ArrowDown")
    await page.keyboard.press("End")
    await expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menu")).to_be_hidden()
    await expect(opening).to_be_focused()


async def test_a_dialog_keeps_the_focus_and_asks_before_esc_loses_what_was_typed(visit: Visits, site: Site) -> None:
    page = await visit(OVERVIEW)
    asked: list[str] = []

    async def stay(question: Dialog) -> None:
        asked.append(question.message)
        await question.dismiss()

    page.on("dialog", stay)
    await button(page, "Create pool").click()
    creating = dialog(page, "Create pool")
    await page.keyboard.type("Werk Graz")
    for _ in range(12):
        await page.keyboard.press("Tab")
        # The body, while the browser's own bars have the focus.
        assert await page.evaluate("document.activeElement.matches('body, dialog, dialog *')")
    await creating.get_by_label("Name").press("Escape")
    await expect(creating.get_by_label("Name")).to_have_value("Werk Graz")
    assert asked == ["Close without saving what you typed?"]
