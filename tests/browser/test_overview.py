"""The overview: each operation on pools, from the click to MongoDB and back to the row."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from octomesh_graphql.actions import clock
from octomesh_graphql.actions.arranging import DeletionMode, create_pool, delete_pool
from octomesh_graphql.actions.deploying import deploy_pool_adapters
from octomesh_graphql.domain.states import DeploymentState
from tests.browser.panel import (
    COLOGNE,
    HALL_1,
    HALL_2,
    LINZ,
    NUREMBERG,
    OVERVIEW,
    adapters_in,
    button,
    cell,
    dialog,
    item,
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
from tests.browser.visiting import Visits
from tests.builders import ALICE, a_pool, stored


async def deployed_nuremberg(page: Page, site: Site) -> None:
    """Have both adapters running, as the page says."""
    await deploy_pool_adapters(site.store, ALICE, clock.now(), rt_id=(await pool_named(site, NUREMBERG)).rt_id)
    await expect(cell(page, NUREMBERG, "Adapters")).to_contain_text("2/2 deployed")


async def test_a_row_says_how_a_pool_is_and_the_one_that_needs_somebody_comes_first(visit: Visits, demo: Site) -> None:
    page = await visit(OVERVIEW)
    await expect(cell(page, HALL_2, "Communication")).to_contain_text("Online")
    await expect(cell(page, HALL_2, "Deployment")).to_contain_text("Error")
    await expect(cell(page, HALL_2, "Adapters")).to_contain_text("2/3 deployed")
    await expect(cell(page, HALL_2, "Health")).to_contain_text("1 of 3 adapters: deployment failed")
    await expect(cell(page, HALL_2, "Operator")).to_contain_text("demo-simulated")
    await expect(cell(page, COLOGNE, "Communication")).to_contain_text("Unregistered")
    await page.reload()
    await expect(names(page).first).to_have_text(HALL_2)
    await expect(page).to_have_title("Pools – Demo – OctoMesh")


async def test_edit_leads_to_the_edit_view_and_the_back_button_back(visit: Visits, site: Site) -> None:
    page = await visit(OVERVIEW)
    await operate(page, NUREMBERG, "Edit")
    await expect(page.get_by_role("heading", name=NUREMBERG, level=1)).to_be_visible()
    assert page.url == site.url + await path_of(site, NUREMBERG)
    await page.go_back()
    await expect(row(page, NUREMBERG)).to_be_visible()


async def test_deploying_stores_the_wish_and_the_row_follows_until_everything_runs(visit: Visits, demo: Site) -> None:
    page = await visit(OVERVIEW)
    await operate(page, NUREMBERG, "Deploy Adapters")
    await expect(notices(page)).to_contain_text("Deploying 'Werk Nürnberg': 2 adapters to deploy.")
    assert all(adapter.wanted for adapter in await adapters_in(demo, NUREMBERG))
    await expect(cell(page, NUREMBERG, "Adapters")).to_contain_text("2/2 deployed")
    await expect(cell(page, NUREMBERG, "Deployment")).to_contain_text("Deployed")
    assert {each.deployment_state for each in await adapters_in(demo, NUREMBERG)} == {DeploymentState.DEPLOYED}


async def test_undeploying_asks_first_and_ends_when_nothing_is_left(visit: Visits, demo: Site) -> None:
    page = await visit(OVERVIEW)
    await deployed_nuremberg(page, demo)
    await operate(page, NUREMBERG, "Undeploy Adapters")
    asking = dialog(page, "Undeploy Adapters")
    await expect(asking).to_contain_text("2 adapters of Werk Nürnberg will be stopped")
    await button(asking, "Cancel").click()
    assert all(adapter.wanted for adapter in await adapters_in(demo, NUREMBERG))
    await operate(page, NUREMBERG, "Undeploy Adapters")
    await button(asking, "Undeploy").click()
    await expect(cell(page, NUREMBERG, "Deployment")).to_contain_text("Undeployed")
    assert all(adapter.at_rest for adapter in await adapters_in(demo, NUREMBERG))


async def test_without_an_operator_a_deployment_waits_and_says_so(visit: Visits, site: Site) -> None:
    page = await visit(OVERVIEW)
    await operate(page, NUREMBERG, "Deploy Adapters")
    await expect(cell(page, NUREMBERG, "Deployment")).to_contain_text("Pending")
    await expect(cell(page, NUREMBERG, "Adapters")).to_contain_text("0/2 deployed")


async def test_what_can_not_be_done_stays_with_the_reason_and_does_nothing(visit: Visits, site: Site) -> None:
    page = await visit(OVERVIEW)
    menu = await open_menu(page, COLOGNE)
    deploying = item(menu, "Deploy Adapters")
    await expect(deploying).to_be_disabled()
    await expect(deploying).to_contain_text("The pool has no adapters. Add one first.")
    await deploying.click(force=True)
    await expect(menu).to_be_visible()
    await expect(notices(page)).to_be_empty()


# Deleting


async def test_a_pool_with_nothing_deployed_is_deleted_and_its_adapters_stay(visit: Visits, site: Site) -> None:
    before = {adapter.rt_id for adapter in await adapters_in(site, NUREMBERG)}
    page = await visit(OVERVIEW)
    await operate(page, NUREMBERG, "Delete")
    asking = dialog(page, "Delete Werk Nürnberg")
    await expect(asking).to_contain_text("Its 2 adapters stay, in no pool.")
    await button(asking, "Delete").click()
    await expect(notices(page)).to_contain_text("'Werk Nürnberg' was deleted.")
    await expect(page.get_by_text("Deleted. It disappears when the list is loaded again.")).to_be_visible()
    assert await site.store.pool_named(NUREMBERG) is None
    after = await site.store.adapters(before)
    assert {adapter.pool_rt_id for adapter in after.values()} == {None}
    assert after.keys() == before


async def ask_to_delete_deployed(page: Page, mode: str) -> None:
    """Fill the dialog, name and all."""
    await operate(page, NUREMBERG, "Delete")
    asking = dialog(page, "Delete Werk Nürnberg")
    await expect(asking.get_by_role("listitem")).to_have_count(2)
    await asking.get_by_role("radio", name=mode).check()
    deleting = asking.get_by_role("button", name=re.compile("[Dd]elete$"))
    await expect(deleting).to_be_disabled()
    await asking.get_by_label("Type the name of the pool to confirm").fill(NUREMBERG)
    await deleting.click()


async def test_a_deployed_pool_is_undeployed_first_and_then_goes_by_itself(visit: Visits, demo: Site) -> None:
    page = await visit(OVERVIEW)
    await deployed_nuremberg(page, demo)
    adapters = [adapter.rt_id for adapter in await adapters_in(demo, NUREMBERG)]
    await ask_to_delete_deployed(page, "Undeploy first")
    await expect(notices(page)).to_contain_text("'Werk Nürnberg' goes when its adapters are undeployed.")
    await expect(page.get_by_text("Deleted. It disappears when the list is loaded again.")).to_be_visible()
    assert await demo.store.pool_named(NUREMBERG) is None
    left = (await demo.store.adapters(adapters)).values()
    assert [(adapter.at_rest, adapter.pool_rt_id) for adapter in left] == [(True, None), (True, None)]


async def test_a_pool_that_is_to_go_only_if_nothing_is_deployed_stays_and_one_learns_what_is_in_the_way(
    visit: Visits, demo: Site
) -> None:
    page = await visit(OVERVIEW)
    await deployed_nuremberg(page, demo)
    await ask_to_delete_deployed(page, "Only if nothing is deployed")
    asking = dialog(page, "Delete Werk Nürnberg")
    await expect(asking.get_by_role("alert")).to_contain_text("still deployed or on its way")
    await expect(asking.get_by_role("listitem")).to_contain_text(["BACnet Gebäudeleittechnik", "OPC UA Montagelinie"])
    assert not (await pool_named(demo, NUREMBERG)).deleting
    assert all(adapter.wanted for adapter in await adapters_in(demo, NUREMBERG))
    await asking.get_by_role("radio", name="Undeploy first").check()
    await expect(asking.get_by_role("alert")).to_have_count(0)


async def test_a_pool_deleted_at_once_leaves_behind_what_one_is_told_by_name(visit: Visits, demo: Site) -> None:
    page = await visit(OVERVIEW)
    await deployed_nuremberg(page, demo)
    await ask_to_delete_deployed(page, "Delete at once")
    told = dialog(page, "'Werk Nürnberg' was deleted")
    await expect(told).to_contain_text("in simulated, namespace werk-nurnberg")
    await expect(told.get_by_role("listitem")).to_contain_text(["BACnet Gebäudeleittechnik", "OPC UA Montagelinie"])
    assert await demo.store.pool_named(NUREMBERG) is None
    await button(told, "I have read it").click()
    await expect(told).to_be_hidden()


# Creating


async def test_a_pool_is_created_and_one_is_where_it_is_edited(visit: Visits, site: Site) -> None:
    page = await visit(OVERVIEW)
    await button(page, "Create pool").click()
    asking = dialog(page, "Create pool")
    await asking.get_by_label("Name").fill("Werk Innsbruck")
    await asking.get_by_label("Description").fill("Cutting and welding.")
    await button(asking, "Create pool").click()
    await expect(page.get_by_role("heading", name="Werk Innsbruck", level=1)).to_be_visible()
    pool = await pool_named(site, "Werk Innsbruck")
    assert pool.description == "Cutting and welding."
    assert page.url.endswith(pool.rt_id)


async def test_a_name_that_can_not_be_is_refused_where_it_was_typed(visit: Visits, site: Site) -> None:
    page = await visit(OVERVIEW)
    await button(page, "Create pool").click()
    asking = dialog(page, "Create pool")
    for name, why in (("", "name"), (NUREMBERG.upper(), "Werk Nürnberg")):
        await asking.get_by_label("Name").fill(name)
        await button(asking, "Create pool").click()
        await expect(asking.get_by_role("alert")).to_contain_text(why)
        await expect(asking.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    page.on("dialog", lambda asked: asked.accept())
    await button(asking, "Cancel").click()
    await expect(asking).to_be_hidden()


async def test_a_tenant_without_pools_says_how_to_begin(visit: Visits, site: Site) -> None:
    store = await other_tenant(site, "acme", "Acme Works")
    page = await visit("/tenants/acme/")
    await expect(page.get_by_role("heading", name="No pools yet")).to_be_visible()
    await button(page, "Create the first pool").click()
    await dialog(page, "Create pool").get_by_label("Name").fill("North")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="North", level=1)).to_be_visible()
    assert await store.pool_named("North")


# Many at once


async def test_several_pools_are_deployed_and_undeployed_at_once(visit: Visits, demo: Site) -> None:
    page = await visit(OVERVIEW)
    for name in (NUREMBERG, LINZ, COLOGNE):
        await page.get_by_role("checkbox", name=f"Select {name}").check()
    chosen = page.get_by_role("group", name="Selected pools")
    await expect(chosen).to_contain_text("3 pools selected")
    await button(chosen, "Deploy Adapters (2)").click()
    await expect(notices(page)).to_contain_text("Deploying 2 pools: 4 adapters to deploy.")
    await expect(cell(page, NUREMBERG, "Adapters")).to_contain_text("2/2 deployed")
    await expect(cell(page, LINZ, "Adapters")).to_contain_text("4/4 deployed")

    await page.get_by_role("checkbox", name="Select all pools on this page").check()
    await button(chosen, "Undeploy Adapters (4)").click()
    asking = dialog(page, "Undeploy Adapters")
    await expect(asking.get_by_role("listitem")).to_have_count(4)
    await button(asking, "Undeploy").click()
    for name in (HALL_1, HALL_2, NUREMBERG, LINZ):
        await expect(cell(page, name, "Deployment")).to_contain_text("Undeployed")
        assert all(adapter.at_rest for adapter in await adapters_in(demo, name))


# Finding


async def test_search_filters_and_order_find_pools_and_the_address_keeps_them(visit: Visits, site: Site) -> None:
    page = await visit(f"{OVERVIEW}?order=name")
    await expect(names(page)).to_have_text([COLOGNE, NUREMBERG, HALL_1, HALL_2, LINZ])
    search = page.get_by_role("searchbox", name="Search names and descriptions")
    await search.fill("schärding")
    await expect(names(page)).to_have_text([HALL_1, HALL_2])
    await page.reload()
    await expect(search).to_have_value("schärding")
    await expect(names(page)).to_have_text([HALL_1, HALL_2])
    await search.fill("")
    await page.get_by_role("combobox", name="Deployment").select_option("Undeployed")
    await expect(names(page)).to_have_text([COLOGNE, NUREMBERG])
    await button(page, "Pool").click()
    await expect(names(page)).to_have_text([NUREMBERG, COLOGNE])
    await expect(page.get_by_role("columnheader", name="Pool", exact=True)).to_have_attribute("aria-sort", "descending")
    await search.fill("nowhere")
    await expect(page.get_by_role("heading", name="No pool matches")).to_be_visible()
    await button(page, "Clear search and filters").click()
    await expect(names(page)).to_have_count(5)


async def test_pools_are_chosen_by_the_attention_they_need(visit: Visits, demo: Site) -> None:
    page = await visit(OVERVIEW)
    levels = page.get_by_role("group", name="Health")
    await expect(levels.get_by_role("button", name=re.compile(r"^Critical\s*1$"))).to_be_visible()
    await levels.get_by_role("button", name=re.compile("^Critical")).click()
    await expect(names(page)).to_have_text([HALL_2])
    await expect(levels.get_by_role("button", name=re.compile("^Critical"))).to_have_attribute("aria-pressed", "true")


# More than a page


@pytest.fixture
async def many(site: Site) -> None:
    """115 pools more, whose names begin before those of the demo."""
    await stored(site.store, *[a_pool(name=f"A {number:03}") for number in range(1, 116)])


@pytest.mark.usefixtures("many")
async def test_a_page_stays_as_it_is_while_pools_come_and_go(visit: Visits, site: Site) -> None:
    page = await visit(f"{OVERVIEW}?order=name")
    first = [f"A {number:03}" for number in range(1, 51)]
    await expect(names(page)).to_have_text(first)

    for name in ("A 002", "A 060"):
        rt_id = (await pool_named(site, name)).rt_id
        await delete_pool(site.store, ALICE, clock.now(), rt_id=rt_id, mode=DeletionMode.FORCE)
    await create_pool(site.store, ALICE, clock.now(), name="A 003 and a half")
    await expect(page.get_by_role("row", name=re.compile("^A 002 Deleted"))).to_be_visible()
    await expect(button(page, "1 new – show")).to_be_visible()
    headers = page.get_by_role("table", name="Pools").get_by_role("rowheader")
    await expect(headers).to_contain_text(first)

    pages = page.get_by_role("navigation", name="Pages of pools")
    await button(pages, "Next").click()
    second = [f"A {number:03}" for number in range(51, 102) if number != 60]
    await expect(names(page)).to_have_text(second)
    await button(pages, "Next").click()
    await expect(names(page).first).to_have_text("A 102")
    await expect(button(pages, "Next")).to_be_disabled()
    await button(pages, "Previous").click()
    await expect(names(page)).to_have_text(second)
    await button(pages, "Previous").click()
    await expect(names(page).nth(2)).to_have_text("A 003 and a half")
    await expect(names(page)).to_have_count(50)


async def test_another_order_is_offered_and_never_forced_on_somebody_who_reads(visit: Visits, site: Site) -> None:
    page = await visit(f"{OVERVIEW}?order=deployment_state")
    await expect(names(page).first).not_to_have_text(COLOGNE)
    before = await names(page).all_text_contents()
    await deploy_pool_adapters(site.store, ALICE, clock.now(), rt_id=(await pool_named(site, NUREMBERG)).rt_id)
    await expect(cell(page, NUREMBERG, "Deployment")).to_contain_text("Pending")
    await expect(names(page)).to_have_text(before)
    again = button(page, "The order has changed – sort again")
    await again.click()
    await expect(again).to_be_hidden()
    await expect(names(page)).not_to_have_text(before)
