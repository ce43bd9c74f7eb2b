"""The edit view of a pool: its name and description, its state, its adapters, what to install, and its history."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from playwright.async_api import Locator, Page, expect

from octomesh_graphql.actions import clock
from octomesh_graphql.actions.arranging import edit_pool
from octomesh_graphql.actions.deploying import deploy_adapter
from octomesh_graphql.domain.states import AdapterType, DeploymentState
from tests.browser.panel import (
    COLOGNE,
    HALL_1,
    HALL_2,
    LINZ,
    NUREMBERG,
    OVERVIEW,
    adapter_named,
    adapters_in,
    button,
    cell,
    dialog,
    item,
    notices,
    open_menu,
    operate,
    path_of,
    pool_named,
    row,
)
from tests.browser.site import Site
from tests.browser.visiting import Visits
from tests.builders import ALICE

OPC = "OPC UA Montagelinie"
BACNET = "BACnet Gebäudeleittechnik"
UNASSIGNED = "Modbus Kläranlage Würzburg"


async def wish(site: Site, name: str) -> None:
    """Wish an adapter deployed, as somebody else would."""
    await deploy_adapter(site.store, ALICE, clock.now(), rt_id=(await adapter_named(site, name)).rt_id)


# Name, description and state


async def test_name_and_description_are_saved(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    rt_id = (await pool_named(site, NUREMBERG)).rt_id
    form = page.get_by_role("form", name="Name and description")
    await expect(button(form, "Save")).to_have_accessible_description("Nothing to save.")
    await form.get_by_label("Name").fill("Werk Fürth")
    await form.get_by_label("Description").fill("")
    await button(form, "Save").click()
    await expect(notices(page)).to_contain_text("Saved.")
    await expect(button(form, "Save")).to_have_accessible_description("Nothing to save.")
    await expect(page.get_by_role("heading", name="Werk Fürth", level=1)).to_be_visible()
    pool = await site.store.pool(rt_id)
    assert pool
    assert (pool.name, pool.description) == ("Werk Fürth", None)


async def test_a_name_that_is_taken_is_refused_where_it_was_typed_and_nothing_is_lost(
    visit: Visits, site: Site
) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    form = page.get_by_role("form", name="Name and description")
    await form.get_by_label("Name").fill(LINZ)
    await form.get_by_label("Description").fill("Typed.")
    await button(form, "Save").click()
    await expect(form.get_by_role("alert")).to_contain_text(LINZ)
    await expect(form.get_by_label("Description")).to_have_value("Typed.")
    assert (await pool_named(site, NUREMBERG)).description != "Typed."
    await button(form, "Reset").click()
    await expect(form.get_by_label("Name")).to_have_value(NUREMBERG)
    await expect(form.get_by_role("alert")).to_have_count(0)


async def test_whoever_leaves_with_something_unsaved_is_asked_first(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    await page.get_by_role("textbox", name="Description").fill("Not finished")
    answers = iter([False, True])

    async def answer(asked: Any) -> None:
        await (asked.accept() if next(answers) else asked.dismiss())

    page.on("dialog", answer)
    crumbs = page.get_by_role("navigation", name="Where you are")
    await crumbs.get_by_role("link", name="Pools").click()
    await expect(page.get_by_role("textbox", name="Description")).to_have_value("Not finished")
    await crumbs.get_by_role("link", name="Pools").click()
    await expect(page.get_by_role("heading", name="Pools", level=1)).to_be_visible()
    assert next(answers, None) is None


async def test_the_communication_state_and_its_time_are_shown(visit: Visits, demo: Site) -> None:
    page = await visit(await path_of(demo, NUREMBERG), timezone_id="UTC", locale="de-AT")
    state = page.get_by_role("region", name="State")
    await expect(state).to_contain_text("Online")
    await expect(state).to_contain_text("demo-simulated")
    since = (await pool_named(demo, NUREMBERG)).communication_state_timestamp
    assert since
    await expect(state).to_contain_text(f"{since:%d.%m.%Y}, {since:%H:%M:%S}")


async def test_a_pool_that_never_registered_says_so_and_shows_how_to_install_it(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, COLOGNE))
    state = page.get_by_role("region", name="State")
    await expect(state).to_contain_text("Unregistered")
    await expect(state).to_contain_text("never seen")
    await expect(page.get_by_label("manifest", exact=True)).to_be_visible()


async def test_a_pool_that_is_served_says_that_there_is_nothing_to_install(visit: Visits, demo: Site) -> None:
    page = await visit(await path_of(demo, NUREMBERG))
    installing = page.get_by_role("group").filter(has_text="Install in a cluster")
    await expect(installing).to_contain_text("installed in the cluster simulated, namespace werk-nurnberg")
    await installing.get_by_text("Install in a cluster").click()
    await expect(installing).to_contain_text("There is nothing to do: demo-simulated serves this pool.")
    await expect(installing).not_to_contain_text("comes online within seconds")


async def test_the_manifest_is_copied_to_the_clipboard_as_it_is(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, COLOGNE), permissions=["clipboard-read", "clipboard-write"])
    copying = button(page, "Copy manifest")
    await copying.click()
    await expect(copying).to_have_text("Copied")
    [manifest] = yaml.safe_load_all(await page.evaluate("navigator.clipboard.readText()"))
    assert manifest["spec"]["poolRtId"] == (await pool_named(site, COLOGNE)).rt_id


async def test_an_unknown_pool_has_a_page_that_says_so(visit: Visits, site: Site) -> None:
    for rt_id, tolerated in (("0" * 24, None), ("nonsense", "status of 400")):
        page = await visit(f"{OVERVIEW}pools/{rt_id}", tolerating=tolerated)
        await expect(page.get_by_role("heading", name="There is no such pool")).to_be_visible()
        await page.get_by_role("link", name="To all pools").click()
        await expect(row(page, NUREMBERG)).to_be_visible()


# Deploying


async def test_each_adapter_shows_how_far_its_deployment_is_until_all_run(visit: Visits, demo: Site) -> None:
    page = await visit(await path_of(demo, NUREMBERG))
    await expect(page.get_by_role("region", name="State")).to_contain_text("Online")
    await button(page, "Deploy Adapters").click()
    for name in (OPC, BACNET):
        await expect(cell(page, name, "Deployment")).to_contain_text("Deployed")
        await expect(cell(page, name, "Communication")).to_contain_text("Online")
        await expect(cell(page, name, "Configuration")).to_contain_text("Configured")
    await expect(page.get_by_role("region", name="Adapters")).to_contain_text("2/2 deployed")
    assert {each.deployment_state for each in await adapters_in(demo, NUREMBERG)} == {DeploymentState.DEPLOYED}

    await button(page, "Undeploy Adapters").click()
    await button(dialog(page, "Undeploy Adapters"), "Undeploy").click()
    for name in (OPC, BACNET):
        await expect(cell(page, name, "Deployment")).to_contain_text("Undeployed")
    assert all(adapter.at_rest for adapter in await adapters_in(demo, NUREMBERG))


async def test_while_it_is_under_way_a_deployment_says_what_it_waits_for(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    await button(page, "Deploy Adapters").click()
    for name in (OPC, BACNET):
        await expect(cell(page, name, "Deployment")).to_contain_text("being deployed")
        await expect(cell(page, name, "Message")).to_contain_text("no operator serves the pool")
    await expect(page.get_by_role("region", name="Adapters")).to_contain_text("2 under way")


async def test_a_deployment_that_fails_shows_its_cause_and_can_be_tried_again(visit: Visits, demo: Site) -> None:
    page = await visit(await path_of(demo, HALL_2))
    camera = "Kamera Oberflächenprüfung"
    await expect(cell(page, camera, "Deployment")).to_contain_text("Error")
    await expect(cell(page, camera, "Message")).to_contain_text("can't be pulled: the registry does not have it")
    before = (await adapter_named(demo, camera)).generation
    await operate(page, camera, "Edit")
    editing = dialog(page, camera)
    await expect(editing).to_contain_text("It is deployed: what you change is rolled out when you save.")
    await editing.get_by_label("Image").fill("registry.example.com/octomesh/vision-adapter")
    await button(editing, "Save").click()
    await expect(cell(page, camera, "Deployment")).to_contain_text("Deployed")
    assert (await adapter_named(demo, camera)).generation == before + 1


async def test_one_adapter_is_deployed_and_undeployed_without_the_others(visit: Visits, demo: Site) -> None:
    page = await visit(await path_of(demo, NUREMBERG))
    await operate(page, OPC, "Deploy")
    await expect(cell(page, OPC, "Deployment")).to_contain_text("Deployed")
    assert (await adapter_named(demo, OPC)).deployment_state is DeploymentState.DEPLOYED
    await expect(cell(page, BACNET, "Deployment")).to_contain_text("Undeployed")
    await operate(page, OPC, "Undeploy")
    await expect(cell(page, OPC, "Deployment")).to_contain_text("Undeployed")
    assert (await adapter_named(demo, OPC)).at_rest


async def test_a_pool_is_deleted_from_its_page_and_one_is_on_the_overview(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    await button(page, "Delete").click()
    await button(dialog(page, "Delete Werk Nürnberg"), "Delete").click()
    await expect(page.get_by_role("heading", name="Pools", level=1)).to_be_visible()
    await expect(row(page, LINZ)).to_be_visible()
    await expect(row(page, NUREMBERG)).to_be_hidden()
    assert await site.store.pool_named(NUREMBERG) is None


# Adapters in and out


async def test_an_adapter_in_no_pool_is_added_and_removed_again(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, COLOGNE))
    await button(page, "Add adapter").click()
    picking = dialog(page, f"Add adapters to {COLOGNE}")
    await picking.get_by_label("Find").fill("kläranlage")
    await expect(picking.get_by_role("list", name="Adapters").get_by_role("listitem")).to_have_count(1)
    await button(picking, f"Add: {UNASSIGNED}").click()
    await expect(picking.get_by_role("listitem")).to_contain_text("In this pool.")
    await button(picking, "Done").click()
    await expect(row(page, UNASSIGNED)).to_be_visible()
    assert [adapter.name for adapter in await adapters_in(site, COLOGNE)] == [UNASSIGNED]

    await operate(page, UNASSIGNED, "Remove from pool")
    await expect(notices(page)).to_contain_text("It still exists, in no pool.")
    await expect(row(page, UNASSIGNED)).to_be_hidden()
    assert (await adapter_named(site, UNASSIGNED)).pool_rt_id is None


async def test_an_adapter_of_another_pool_is_moved_and_a_deployed_one_can_not_be_taken(
    visit: Visits, site: Site
) -> None:
    page = await visit(await path_of(site, COLOGNE))
    await button(page, "Add adapter").click()
    picking = dialog(page, f"Add adapters to {COLOGNE}")
    await picking.get_by_label("Find").fill("halle")
    taken = button(picking, "Move here: Modbus Energiezähler Halle 1")
    await expect(taken).to_be_disabled()
    await expect(taken).to_have_accessible_description(f"It is deployed in {HALL_1}. Undeploy it there first.")
    await picking.get_by_label("Find").fill("montage")
    await expect(picking.get_by_role("listitem")).to_have_count(1)
    await expect(picking.get_by_role("listitem")).to_contain_text(f"In {NUREMBERG}.")
    await button(picking, f"Move here: {OPC}").click()
    await expect(picking.get_by_role("listitem")).to_contain_text("In this pool.")
    await page.keyboard.press("Escape")
    await expect(row(page, OPC)).to_be_visible()
    assert [adapter.name for adapter in await adapters_in(site, COLOGNE)] == [OPC]
    assert [adapter.name for adapter in await adapters_in(site, NUREMBERG)] == [BACNET]


async def test_adapters_to_choose_from_stay_where_they_are_when_one_is_added(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, COLOGNE))
    await button(page, "Add adapter").click()
    choices = dialog(page, f"Add adapters to {COLOGNE}").get_by_role("listitem")
    await choices.first.wait_for()
    before = await choices.locator("strong").all_inner_texts()
    await choices.first.get_by_role("button").click()
    await expect(choices.first).to_contain_text("In this pool.")
    assert await choices.locator("strong").all_inner_texts() == before


async def test_a_move_is_refused_when_the_adapter_was_deployed_a_moment_ago(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, COLOGNE))
    await button(page, "Add adapter").click()
    picking = dialog(page, f"Add adapters to {COLOGNE}")
    await picking.get_by_label("Find").fill("montage")
    await expect(picking.get_by_role("listitem")).to_have_count(1)
    await wish(site, OPC)
    await button(picking, f"Move here: {OPC}").click()
    await expect(picking.get_by_role("alert")).to_be_visible()
    await expect(picking.get_by_role("listitem")).to_contain_text("Undeploy it there first.")
    assert (await adapter_named(site, OPC)).pool_rt_id == (await pool_named(site, NUREMBERG)).rt_id


async def test_an_adapter_is_created_once_its_configuration_is_json(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, COLOGNE))
    await button(page, "Create adapter").click()
    creating = dialog(page, f"Create an adapter in {COLOGNE}")
    await creating.get_by_label("Name").fill("MQTT Trafo")
    await creating.get_by_role("radio", name="Mesh").check()
    await creating.get_by_label("Image").fill("registry.example.com/octomesh/mqtt-adapter")
    await creating.get_by_label("Version").fill("4.1.1")
    await creating.get_by_label("Port").fill("8080")
    configuration = creating.get_by_label("Configuration")
    await configuration.fill('{\n  "broker": "mqtt://10.0.0.1",\n  "qos" 1\n}')
    saving = button(creating, "Create adapter")
    await expect(creating.get_by_role("alert")).to_have_text("Line 3, column 9: a colon should be here.")
    await expect(saving).to_be_disabled()
    await expect(saving).to_have_accessible_description("The configuration is not JSON yet.")
    await configuration.fill('{"broker":"mqtt://10.0.0.1","qos":1}')
    await button(creating, "Format").click()
    await expect(configuration).to_have_value('{\n  "broker": "mqtt://10.0.0.1",\n  "qos": 1\n}')
    await saving.click()
    await expect(row(page, "MQTT Trafo")).to_be_visible()
    adapter = await adapter_named(site, "MQTT Trafo")
    assert (adapter.type, adapter.image_version, adapter.port) == (AdapterType.MESH, "4.1.1", 8080)
    assert adapter.configuration == {"broker": "mqtt://10.0.0.1", "qos": 1}
    assert [each.name for each in await adapters_in(site, COLOGNE)] == ["MQTT Trafo"]


async def test_what_the_server_refuses_of_an_adapter_is_said_at_its_field(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, COLOGNE))
    await button(page, "Create adapter").click()
    creating = dialog(page, f"Create an adapter in {COLOGNE}")
    await creating.get_by_label("Name").fill(OPC)
    await creating.get_by_label("Image").fill("Not an image")
    await creating.get_by_label("Version").fill("1")
    await creating.get_by_label("Port").fill("99999")
    await button(creating, "Create adapter").click()
    for label in ("Image", "Port"):
        await expect(creating.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    assert await adapters_in(site, COLOGNE) == []


async def test_a_refusal_goes_from_its_field_as_soon_as_something_else_is_typed_there(
    visit: Visits, site: Site
) -> None:
    page = await visit(await path_of(site, COLOGNE))
    await button(page, "Create adapter").click()
    creating = dialog(page, f"Create an adapter in {COLOGNE}")
    await button(creating, "Create adapter").click()
    for said in ("A name is missing.", "The name of an image is missing.", "A version is missing."):
        await expect(creating.get_by_role("alert").filter(has_text=said)).to_be_visible()
    version = creating.get_by_label("Version")
    await version.fill("3.13.2")
    await expect(version).not_to_have_attribute("aria-invalid", "true")
    await expect(creating.get_by_role("alert")).to_have_text(["A name is missing.", "The name of an image is missing."])
    await version.fill("")
    await expect(creating.get_by_role("alert").filter(has_text="A version is missing.")).to_be_visible()

    health = creating.get_by_label("Health path")
    await health.fill("/healthz")
    await button(creating, "Create adapter").click()
    await expect(health).to_have_attribute("aria-invalid", "true")
    await creating.get_by_label("Port").fill("8080")
    await expect(health).not_to_have_attribute("aria-invalid", "true")


async def test_an_adapter_is_edited_and_only_what_was_changed_is_sent(visit: Visits, site: Site) -> None:
    before = await adapter_named(site, OPC)
    page = await visit(await path_of(site, NUREMBERG))
    await button(page, OPC).click()
    editing = dialog(page, OPC)
    await expect(editing.get_by_label("Configuration")).to_have_value(
        json.dumps(before.configuration, indent=2, ensure_ascii=False)
    )
    await expect(button(editing, "Save")).to_be_disabled()
    await editing.get_by_label("Version").fill("3.13.2")
    async with page.expect_request(lambda request: "EditAdapter" in (request.post_data or "")) as asking:
        await button(editing, "Save").click()
    sent = json.loads((await asking.value).post_data or "")["variables"]["input"]
    assert sent == {"rtId": before.rt_id, "expectedVersion": before.rt_version, "imageVersion": "3.13.2"}
    await expect(cell(page, OPC, "Image")).to_contain_text("3.13.2")
    assert (await adapter_named(site, OPC)).image_version == "3.13.2"


async def test_an_adapter_is_deleted_and_a_deployed_one_says_why_not(visit: Visits, site: Site) -> None:
    page = await visit(await path_of(site, NUREMBERG))
    await wish(site, OPC)
    await expect(cell(page, OPC, "Deployment")).to_contain_text("Pending")
    menu = await open_menu(page, OPC)
    await expect(item(menu, "Delete")).to_contain_text("It is deployed, or on its way. Undeploy it first.")
    await expect(item(menu, "Remove from pool")).to_be_disabled()
    await page.keyboard.press("Escape")
    await operate(page, BACNET, "Delete")
    await button(dialog(page, f"Delete {BACNET}"), "Delete").click()
    await expect(notices(page)).to_contain_text(f"'{BACNET}' was deleted.")
    await expect(row(page, BACNET)).to_be_hidden()
    assert await site.store.adapter_named(BACNET) is None


# History


def history(page: Page, *words: str) -> Locator:
    """The lines of the history that say all of this."""
    lines = page.get_by_role("region", name="History").get_by_role("row")
    for word in words:
        lines = lines.filter(has_text=re.compile(word))
    return lines


async def test_the_history_grows_with_what_happens_and_says_who_and_why(visit: Visits, demo: Site) -> None:
    page = await visit(await path_of(demo, COLOGNE))
    await expect(history(page, "This pool", "Existence", "Created", "server")).to_have_count(1)
    await button(page, "Add adapter").click()
    picking = dialog(page, f"Add adapters to {COLOGNE}")
    await picking.get_by_label("Find").fill("montage")
    await expect(picking.get_by_role("listitem")).to_have_count(1)
    await button(picking, f"Move here: {OPC}").click()
    await button(picking, "Done").click()
    await expect(history(page, OPC, "Membership", f"{NUREMBERG} → {COLOGNE}", "anonymous")).to_have_count(1)
    await operate(page, OPC, "Deploy")
    await expect(history(page, OPC, "Wish", "→ Deployed", "anonymous")).to_have_count(1)
    await expect(history(page, OPC, "Deployment", "Undeployed → Pending")).to_have_count(1)


async def test_older_history_is_shown_on_demand(visit: Visits, site: Site) -> None:
    pool = await pool_named(site, COLOGNE)
    adapter = await adapter_named(site, UNASSIGNED)
    for _ in range(12):
        await edit_pool(site.store, ALICE, clock.now(), rt_id=pool.rt_id, given={}, add=[adapter.rt_id])
        await edit_pool(site.store, ALICE, clock.now(), rt_id=pool.rt_id, given={}, remove=[adapter.rt_id])
    page = await visit(await path_of(site, COLOGNE))
    older = button(page, "Show older")
    await expect(history(page, "Membership")).to_have_count(20)
    await expect(history(page, "Created")).to_have_count(0)
    await older.click()
    await expect(history(page, "Membership")).to_have_count(24)
    await expect(history(page, "Created")).to_have_count(1)
    await expect(older).to_be_hidden()
