"""GraphiQL on the URL of the API: a first visitor reads the schema, runs every example and watches states change."""

import asyncio
import json
import re

import pytest
from playwright.async_api import Locator, Page, WebSocket, expect

from octomesh_graphql.actions import clock
from octomesh_graphql.actions.arranging import edit_pool
from octomesh_graphql.domain.states import DeploymentState
from octomesh_graphql.store.paging import PageRequest
from tests.browser.site import Site, operating
from tests.browser.visiting import Visits, axe
from tests.builders import ALICE

PATH = "/tenants/demo/graphql"
EXAMPLES = ["Pools", "EditPool", "DeployAdapters", "PoolChanges", "CommunicationStates"]
RUN = re.compile("^Execute query")
STOP = re.compile("^Stop query")
OPERATION = """() => {
    const { tabs, activeTabIndex } = JSON.parse(localStorage["octomesh:demo:graphiql:tabState"] ?? '{"tabs": []}');
    return tabs[activeTabIndex]?.operationName;
}"""


async def show(page: Page, example: str) -> None:
    """Go to a tab, and wait until GraphiQL knows what is in it: for half a second it would run what it had before."""
    await page.get_by_role("tab", name=example).click()
    await page.wait_for_function(f"(name) => ({OPERATION})() === name", arg=example)


async def run(page: Page, example: str | None = None) -> None:
    """Run what is in a tab."""
    if example:
        await show(page, example)
    await page.get_by_role("button", name=RUN).click()


async def stop(page: Page) -> None:
    """Stop a subscription."""
    await page.get_by_role("button", name=STOP).click()
    await expect(page.get_by_role("button", name=RUN)).to_be_visible()


async def write_headers(page: Page, text: str) -> None:
    """Put something into the empty headers editor, which is the one that shows."""
    await page.locator(".graphiql-editor-tool .monaco-editor:visible").click()
    await page.keyboard.insert_text(text)


async def is_deployed(site: Site, name: str) -> bool:
    """Whether an adapter is."""
    adapter = await site.store.adapter_named(name)
    return adapter is not None and adapter.deployment_state is DeploymentState.DEPLOYED


def answer(page: Page) -> Locator:
    """What is shown of the answer: the lines that fit."""
    return page.locator(".result-window .view-lines")


async def test_a_first_visitor_finds_the_examples_in_a_page_that_names_the_tenant(visit: Visits, site: Site) -> None:
    page = await visit(PATH)
    await expect(page.get_by_role("tab")).to_have_text(EXAMPLES, use_inner_text=True)
    await expect(page).to_have_title("GraphiQL – demo – OctoMesh")


async def test_pools_are_listed_with_their_adapters(visit: Visits, site: Site) -> None:
    page = await visit(PATH)
    await run(page, "Pools")
    await expect(answer(page)).to_contain_text('"totalCount": 5')
    await expect(answer(page)).to_contain_text('"adapters"')


async def test_the_example_edits_a_pool_that_is_there_and_the_second_time_meets_a_newer_version(
    visit: Visits, site: Site
) -> None:
    page = await visit(PATH)
    await run(page, "EditPool")
    await expect(answer(page)).to_contain_text('"description": "Edited in GraphiQL."')
    await expect(answer(page)).to_contain_text('"errors": []')
    await run(page)
    await expect(answer(page)).to_contain_text('"__typename": "VersionConflict"')


async def test_the_example_deploys_and_the_operator_does_it(visit: Visits, demo: Site) -> None:
    page = await visit(PATH)
    await run(page, "DeployAdapters")
    await expect(answer(page)).to_contain_text('"deployPoolAdapters"')
    await expect(answer(page)).to_contain_text('"name": "Werk Nürnberg"')
    async with asyncio.timeout(10):
        while not await is_deployed(demo, "OPC UA Montagelinie"):
            await asyncio.sleep(0.05)


async def test_a_subscription_shows_changes_as_they_happen(visit: Visits, site: Site) -> None:
    page = await visit(PATH)
    await run(page, "PoolChanges")
    await expect(answer(page)).to_contain_text('"kind": "LIVE"')
    [pool, *_] = (await site.store.pool_page(PageRequest(first=1))).rows
    await edit_pool(site.store, ALICE, clock.now(), rt_id=pool.rt_id, given={"name": "Werk Innsbruck"})
    await expect(answer(page)).to_contain_text('"kind": "UPDATED"')
    await expect(answer(page)).to_contain_text('"name": "Werk Innsbruck"')
    await stop(page)


async def test_communication_states_are_told_when_an_operator_comes(visit: Visits, site: Site) -> None:
    page = await visit(PATH)
    await run(page, "CommunicationStates")
    await expect(answer(page)).to_contain_text('"kind": "LIVE"')
    async with operating(site):
        await expect(answer(page)).to_contain_text('"current": "ONLINE"')
    await stop(page)


async def test_headers_go_with_requests_and_when_a_subscription_connects(visit: Visits, site: Site) -> None:
    page = await visit(PATH)
    said: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: said.append(str(frame)))

    page.on("websocket", listen)
    await page.get_by_role("button", name="Headers").click()

    await show(page, "Pools")
    await write_headers(page, '{ "Authorization": "Bearer of news" }')
    async with page.expect_request(re.compile(f"{PATH}$")) as asking:
        await run(page)
    assert await (await asking.value).header_value("authorization") == "Bearer of news"

    await show(page, "PoolChanges")
    await write_headers(page, '{ "Authorization": "Bearer of changes" }')
    await run(page)
    await expect(answer(page)).to_contain_text('"kind": "LIVE"')
    assert json.loads(said[0]) == {"type": "connection_init", "payload": {"Authorization": "Bearer of changes"}}


async def test_the_token_given_to_the_panel_is_in_the_headers_already(visit: Visits, site: Site) -> None:
    page = await visit(PATH)
    await page.evaluate("sessionStorage.setItem('octomesh.token', 'given')")
    await page.reload()
    for example in ("Pools", "EditPool"):
        await show(page, example)
        async with page.expect_request(re.compile(f"{PATH}$")) as asking:
            await run(page)
        assert await (await asking.value).header_value("authorization") == "Bearer given"
        await expect(page.get_by_role("button", name=RUN)).to_be_visible()


async def test_the_schema_can_be_read(visit: Visits, site: Site) -> None:
    page = await visit(PATH)
    await page.get_by_role("button", name="Show Documentation Explorer").click()
    docs = page.locator(".graphiql-plugin")
    await docs.get_by_role("link", name="Query").click()
    await docs.get_by_role("link", name="pools", exact=True).click()
    await expect(docs).to_contain_text("PoolConnection")


async def test_what_was_run_is_remembered_for_this_tenant_and_no_other(visit: Visits, site: Site) -> None:
    page = await visit(PATH)
    await run(page, "Pools")
    await expect(answer(page)).to_contain_text('"totalCount"')
    await page.reload()
    await page.get_by_role("button", name="Show History").click()
    await expect(page.locator(".graphiql-history-item").first).to_have_text("Pools", use_inner_text=True)
    keys: list[str] = await page.evaluate("Object.keys(localStorage)")
    assert keys
    assert not [key for key in keys if not key.startswith("octomesh:demo:")]


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
async def test_the_page_is_light_or_dark_as_the_system_is(visit: Visits, site: Site, scheme: str, dark: bool) -> None:
    page = await visit(PATH, color_scheme=scheme)
    await expect(page.locator(".graphiql-container")).to_be_visible()
    red = await page.evaluate("Number(/\\d+/.exec(getComputedStyle(document.body).backgroundColor)[0])")
    assert (red < 128) is dark


async def test_who_asks_for_a_tenant_that_is_not_there_is_told_so(visit: Visits, site: Site) -> None:
    page = await visit("/tenants/nobody/graphql", tolerating="status of 404")
    await expect(page.get_by_role("heading")).to_have_text("There is no GraphQL API here")
    await expect(page.get_by_text("octomesh tenants create nobody")).to_be_visible()
    await axe(page)
