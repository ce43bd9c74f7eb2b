"""Two browsers at once: each sees what the other does without a reload, and nobody's typing is lost or overwritten."""

from __future__ import annotations

import asyncio
import json
import re

from playwright.async_api import Locator, Page, WebSocketRoute, expect

from octomesh_graphql.actions import clock
from octomesh_graphql.actions.arranging import create_pool, edit_adapter, edit_pool
from tests.browser.panel import (
    COLOGNE,
    NUREMBERG,
    OVERVIEW,
    adapter_named,
    button,
    cell,
    dialog,
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

ADAPTER = "OPC UA Montagelinie"


def field(page: Page, label: str) -> Locator:
    """A field of the pool."""
    return page.get_by_role("form", name="Name and description").get_by_role("textbox", name=label)


async def is_live(page: Page) -> None:
    """Wait until the page hears of changes."""
    await expect(page.get_by_role("banner").get_by_text("Live")).to_be_visible()


async def edit(site: Site, pool: str, **given: str) -> None:
    """Edit a pool as alice would elsewhere."""
    await edit_pool(site.store, ALICE, clock.now(), rt_id=(await pool_named(site, pool)).rt_id, given=given)


async def test_what_one_edits_the_other_sees_on_both_views(visit: Visits, site: Site) -> None:
    path = await path_of(site, NUREMBERG)
    one, other, overview = await visit(path), await visit(path), await visit(OVERVIEW)
    for page in (other, overview):
        await is_live(page)
    await field(one, "Name").fill("Werk Fürth")
    await field(one, "Description").fill("Moved.")
    await button(one, "Save").click()
    await expect(other.get_by_role("heading", name="Werk Fürth", level=1)).to_be_visible()
    await expect(field(other, "Description")).to_have_value("Moved.")
    await expect(row(overview, "Werk Fürth")).to_contain_text("Moved.")


async def test_what_one_deploys_the_other_watches(visit: Visits, demo: Site) -> None:
    one, other = await visit(OVERVIEW), await visit(await path_of(demo, NUREMBERG))
    await is_live(other)
    await operate(one, NUREMBERG, "Deploy Adapters")
    await expect(cell(other, ADAPTER, "Deployment")).to_contain_text("Deployed")
    await button(other, "Undeploy Adapters").click()
    await button(dialog(other, "Undeploy Adapters"), "Undeploy").click()
    await expect(cell(one, NUREMBERG, "Deployment")).to_contain_text("Undeployed")


async def test_what_one_adds_moves_and_creates_the_other_sees(visit: Visits, site: Site) -> None:
    one, other = await visit(await path_of(site, COLOGNE)), await visit(await path_of(site, NUREMBERG))
    for page in (one, other):
        await is_live(page)
    await button(one, "Add adapter").click()
    picking = dialog(one, f"Add adapters to {COLOGNE}")
    await button(picking, f"Move here: {ADAPTER}").click()
    await expect(other.get_by_role("row").filter(has_text="No longer in this pool.")).to_contain_text(ADAPTER)
    await button(other, "Create adapter").click()
    creating = dialog(other, f"Create an adapter in {NUREMBERG}")
    await creating.get_by_label("Name").fill("Neuer Adapter")
    await creating.get_by_label("Image").fill("registry.example.com/new")
    await creating.get_by_label("Version").fill("1.0.0")
    await button(creating, "Create adapter").click()
    await expect(row(other, "Neuer Adapter")).to_be_visible()


async def test_a_new_pool_is_announced_and_shown_when_one_likes(visit: Visits, site: Site) -> None:
    one, other = await visit(OVERVIEW), await visit(OVERVIEW)
    await is_live(other)
    await button(one, "Create pool").click()
    await dialog(one, "Create pool").get_by_label("Name").fill("Werk Graz")
    await button(dialog(one, "Create pool"), "Create pool").click()
    await button(other, "1 new – show").click()
    await expect(names(other).filter(has_text="Werk Graz")).to_be_visible()


async def test_who_looks_at_a_pool_that_somebody_deletes_is_told(visit: Visits, site: Site) -> None:
    one, other = await visit(OVERVIEW), await visit(await path_of(site, NUREMBERG))
    await is_live(other)
    await operate(one, NUREMBERG, "Delete")
    await button(dialog(one, "Delete Werk Nürnberg"), "Delete").click()
    await expect(other.get_by_role("heading", name="'Werk Nürnberg' was deleted")).to_be_visible()


# Two who edit the same


async def test_another_field_that_somebody_edits_is_adopted_and_what_one_typed_stays(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    await is_live(page)
    await field(page, "Description").fill("Mine")
    await edit(site, NUREMBERG, name="Werk Fürth")
    await expect(field(page, "Name")).to_have_value("Werk Fürth")
    await expect(field(page, "Description")).to_have_value("Mine")
    await button(page, "Save").click()
    await expect(notices(page)).to_contain_text("Saved.")
    assert (await pool_named(site, "Werk Fürth")).description == "Mine"


async def test_the_same_field_that_somebody_edits_is_shown_and_one_may_keep_ones_own(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    await is_live(page)
    await field(page, "Description").fill("Mine")
    await edit(site, NUREMBERG, description="Theirs")
    clash = page.get_by_role("status").filter(has_text="Changed by somebody else meanwhile")
    await expect(clash).to_contain_text("theirs Theirs")
    await expect(clash).to_contain_text("yours Mine")
    await expect(field(page, "Description")).to_have_value("Mine")
    assert (await pool_named(site, NUREMBERG)).description == "Theirs"
    await button(clash, "Keep mine").click()
    await button(page, "Save").click()
    await expect(notices(page)).to_contain_text("Saved.")
    assert (await pool_named(site, NUREMBERG)).description == "Mine"


async def test_the_same_field_that_somebody_edits_can_be_taken_over(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    await is_live(page)
    await field(page, "Description").fill("Mine")
    await edit(site, NUREMBERG, description="Theirs")
    await button(page, "Take theirs").click()
    await expect(field(page, "Description")).to_have_value("Theirs")
    await expect(button(page, "Save")).to_be_disabled()


async def deafened(page: Page) -> None:
    """Have the page hear of nothing that it did not ask for, as when news are late."""

    def deaf(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def hear(message: str | bytes) -> None:
            if json.loads(message)["type"] != "next":
                socket.send(message)

        server.on_message(hear)

    await page.route_web_socket("**/graphql", deaf)
    await page.reload()


async def hesitating(page: Page) -> asyncio.Event:
    """Have the page subscribe to nothing before the returned event is set, as on a slow line."""
    may_subscribe = asyncio.Event()

    def hesitant(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        async def say(message: str | bytes) -> None:
            if json.loads(message)["type"] == "subscribe":
                await may_subscribe.wait()
            server.send(message)

        socket.on_message(say)

    await page.route_web_socket("**/graphql", hesitant)
    await page.reload()
    return may_subscribe


async def test_what_happens_between_loading_and_listening_is_not_missed(visit: Visits, site: Site) -> None:
    page = await visit(OVERVIEW)
    may_subscribe = await hesitating(page)
    unknown = page.get_by_role("group", name="Health").get_by_role("button", name=re.compile("^Unknown"))
    await expect(names(page)).to_have_count(5)
    await expect(unknown).to_have_text(re.compile("Unknown *[0-9]$"))
    counted = int((await unknown.inner_text())[-1])
    await create_pool(site.store, ALICE, clock.now(), name="Werk Innsbruck")
    may_subscribe.set()
    await expect(button(page, "1 new – show")).to_be_visible()
    await expect(unknown).to_have_text(re.compile(f"{counted + 1}$"))


async def test_a_save_over_an_edit_that_one_has_not_heard_of_is_refused_and_shows_it(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    await deafened(page)
    await field(page, "Description").fill("Mine")
    await edit(site, NUREMBERG, description="Theirs")
    await button(page, "Save").click()
    clash = page.get_by_role("status").filter(has_text="Changed by somebody else meanwhile")
    await expect(clash).to_contain_text("theirs Theirs")
    await expect(field(page, "Description")).to_have_value("Mine")
    assert (await pool_named(site, NUREMBERG)).description == "Theirs"
    # Saving once more before having chosen must not win by persistence.
    await button(page, "Save").click()
    await expect(clash).to_be_visible()
    assert (await pool_named(site, NUREMBERG)).description == "Theirs"
    await button(clash, "Keep mine").click()
    await button(page, "Save").click()
    await expect(notices(page)).to_contain_text("Saved.")
    assert (await pool_named(site, NUREMBERG)).description == "Mine"


async def test_an_adapter_that_somebody_else_edits_is_not_overwritten_either(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    await is_live(page)
    await operate(page, ADAPTER, "Edit")
    editing = dialog(page, ADAPTER)
    await editing.get_by_label("Version").fill("9.9.9")
    rt_id = (await adapter_named(site, ADAPTER)).rt_id
    given = {"image_version": "3.14.0", "description": "Described elsewhere."}
    await edit_adapter(site.store, ALICE, clock.now(), rt_id=rt_id, given=given)
    await expect(editing.get_by_role("status")).to_contain_text("theirs 3.14.0")
    await expect(editing.get_by_label("Version")).to_have_value("9.9.9")
    await expect(editing.get_by_label("Description")).to_have_value("Described elsewhere.")
    await button(editing, "Keep mine").click()
    await button(editing, "Save").click()
    await expect(cell(page, ADAPTER, "Image")).to_contain_text("9.9.9")
    adapter = await adapter_named(site, ADAPTER)
    assert (adapter.image_version, adapter.description) == ("9.9.9", "Described elsewhere.")
