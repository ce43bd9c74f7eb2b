"""Who may come in: a server that asks for tokens, people who may only look, logins that end, tenants of others."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from octomesh_graphql.api.admitting import Gate
from octomesh_graphql.api.issuer import Issuer
from octomesh_graphql.api.tokens import LEEWAY_SECONDS, Tokens
from tests.browser.panel import (
    NUREMBERG,
    OVERVIEW,
    button,
    dialog,
    item,
    names,
    notices,
    open_menu,
    other_tenant,
    path_of,
    pool_named,
    row,
)
from tests.browser.site import Site
from tests.browser.visiting import Visits
from tests.issuing import AUDIENCE, TestIssuer

REFUSED = "status of 40[134]|WebSocket connection to"
"""What a browser itself writes into its console when somebody is not let in."""


@pytest.fixture
def gate(issuer: TestIssuer) -> Gate:
    """Lets in whom the issuer knows."""
    return Gate(Tokens(Issuer(issuer.url), AUDIENCE))


def token(issuer: TestIssuer, **claims: Any) -> str:
    """A token of alice for the demo."""
    return issuer.token(**{"tenant_id": "demo", **claims})


async def use(page: Page, text: str) -> None:
    """Paste a token."""
    await page.get_by_label("Access token").fill(text)
    await button(page, "Use this token").click()


async def test_a_stranger_is_asked_for_a_token_and_is_in_with_a_good_one(
    visit: Visits, site: Site, issuer: TestIssuer
) -> None:
    page = await visit(OVERVIEW, tolerating=REFUSED)
    await expect(page.get_by_role("heading", name="The server asks who you are")).to_be_visible()
    await expect(row(page, NUREMBERG)).to_be_hidden()
    await use(page, "nonsense")
    await expect(page.get_by_text("no JSON Web Token")).to_be_visible()
    await use(page, token(issuer))
    await expect(names(page)).to_have_count(5)
    await expect(page.get_by_role("banner").get_by_text("Live")).to_be_visible()
    await button(page, "Account: alice").click()
    await expect(page.get_by_role("banner")).to_contain_text("look and change")
    await page.reload()
    await expect(names(page)).to_have_count(5)

    await button(page, "Account: alice").click()
    await button(page, "Forget the token").click()
    await expect(page.get_by_role("heading", name="The server asks who you are")).to_be_visible()


async def test_a_token_goes_to_no_place_that_outlives_the_tab(visit: Visits, site: Site, issuer: TestIssuer) -> None:
    page = await visit(OVERVIEW, tolerating=REFUSED)
    given = token(issuer)
    await use(page, given)
    await expect(names(page)).to_have_count(5)
    kept: str = await page.evaluate("JSON.stringify(localStorage) + document.cookie + location.href")
    assert given not in kept
    another = await page.context.new_page()
    await another.goto(OVERVIEW)
    await expect(another.get_by_role("heading", name="The server asks who you are")).to_be_visible()


async def test_who_may_only_look_sees_everything_and_is_told_why_nothing_can_be_changed(
    visit: Visits, site: Site, issuer: TestIssuer
) -> None:
    page = await visit(OVERVIEW, tolerating=REFUSED)
    await use(page, token(issuer, scope="octo_api.read_only", preferred_username="rita"))
    await expect(names(page)).to_have_count(5)
    why = "rita may look, but not change anything here."
    await expect(page.get_by_role("region", name="What you may do")).to_contain_text(why)
    await expect(button(page, "Create pool")).to_be_disabled()
    await expect(button(page, "Create pool")).to_have_accessible_description(why)
    await expect(page.get_by_role("checkbox", name=f"Select {NUREMBERG}")).to_be_disabled()
    menu = await open_menu(page, NUREMBERG)
    for operation in ("Deploy Adapters", "Undeploy Adapters", "Delete"):
        await expect(item(menu, operation)).to_be_disabled()
        await expect(item(menu, operation)).to_contain_text(why)
    await item(menu, "Edit").click()

    form = page.get_by_role("form", name="Name and description")
    await expect(form.get_by_role("textbox", name="Name")).not_to_be_editable()
    for name in ("Save", "Deploy Adapters", "Undeploy Adapters", "Delete", "Add adapter", "Create adapter"):
        await expect(button(page, name)).to_be_disabled()
    await button(page, "OPC UA Montagelinie").click()
    showing = dialog(page, "OPC UA Montagelinie")
    await expect(showing.get_by_label("Configuration")).not_to_be_editable()
    await expect(button(showing, "Save")).to_be_disabled()


async def test_a_right_that_was_taken_away_meanwhile_is_said_where_it_was_needed(
    visit: Visits, site: Site, issuer: TestIssuer
) -> None:
    page = await visit(await path_of(site, NUREMBERG), tolerating=REFUSED)
    await use(page, token(issuer))
    form = page.get_by_role("form", name="Name and description")
    await form.get_by_role("textbox", name="Name").fill("Werk Fürth")
    reader = token(issuer, scope="octo_api.read_only")
    await page.evaluate("(token) => sessionStorage.setItem('octomesh.token', token)", reader)
    await button(form, "Save").click()
    await expect(form.get_by_role("alert")).to_contain_text("may read only")
    await expect(form.get_by_role("textbox", name="Name")).to_have_value("Werk Fürth")
    assert await pool_named(site, NUREMBERG)


async def test_a_login_that_ends_costs_nothing_of_what_was_typed(visit: Visits, site: Site, issuer: TestIssuer) -> None:
    page = await visit(await path_of(site, NUREMBERG), tolerating=REFUSED)
    await use(page, token(issuer, exp=int(time.time()) - LEEWAY_SECONDS + 4))
    name = page.get_by_role("textbox", name="Name")
    await name.fill("Werk Fürth")
    ended = dialog(page, "Your login has ended")
    await expect(ended).to_contain_text("expired")
    await use(page, token(issuer))
    await expect(ended).to_be_hidden()
    await expect(page.get_by_role("banner").get_by_text("Live")).to_be_visible()
    await expect(name).to_have_value("Werk Fürth")
    await button(page, "Save").click()
    await expect(notices(page)).to_contain_text("Saved.")
    assert await site.store.pool_named("Werk Fürth")


async def test_what_is_refused_to_the_token_before_comes_too_late(
    visit: Visits, site: Site, issuer: TestIssuer
) -> None:
    page = await visit(await path_of(site, NUREMBERG), tolerating=REFUSED)
    refusals, held, release = 0, asyncio.Event(), asyncio.Event()

    async def hold_all_but_the_first(route: Route) -> None:
        nonlocal refusals
        answer = await route.fetch()
        refusals += answer.status == 401
        if answer.status == 401 and refusals > 1:
            held.set()
            await release.wait()
        await route.fulfill(response=answer)

    await use(page, token(issuer, exp=int(time.time()) - LEEWAY_SECONDS + 4))
    await page.get_by_role("textbox", name="Name").fill("Werk Fürth")
    await page.route("**/graphql", hold_all_but_the_first)
    ended = dialog(page, "Your login has ended")
    await expect(ended).to_be_visible()
    async with asyncio.timeout(10):
        await held.wait()
    await use(page, token(issuer))
    await expect(ended).to_be_hidden()
    async with page.expect_event("requestfinished", lambda request: request.failure is None):
        release.set()
    await button(page, "Save").click()
    await expect(notices(page)).to_contain_text("Saved.")


async def test_a_tenant_of_somebody_else_looks_like_one_that_does_not_exist(
    visit: Visits, site: Site, issuer: TestIssuer
) -> None:
    await other_tenant(site, "acme", "Acme Works")
    for tenant_id in ("acme", "nobody"):
        page = await visit(f"/tenants/{tenant_id}/", tolerating=REFUSED)
        await use(page, token(issuer))
        await expect(page.get_by_role("heading", name=f"There is no tenant '{tenant_id}' here")).to_be_visible()
        await expect(page.get_by_text("Acme Works")).to_be_hidden()
        await expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    page = await visit("/tenants/acme/", tolerating=REFUSED)
    await use(page, token(issuer))
    await use(page, token(issuer, tenant_id="acme"))
    await expect(page.get_by_role("heading", name="No pools yet")).to_be_visible()
    await expect(page).to_have_title("Pools – Acme Works – OctoMesh")


async def test_who_has_no_right_here_at_all_learns_which_one_to_ask_for(
    visit: Visits, site: Site, issuer: TestIssuer
) -> None:
    page = await visit(OVERVIEW, tolerating=REFUSED)
    await use(page, token(issuer, scope="openid"))
    await expect(page.get_by_role("heading", name="You may not look at this tenant")).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text("octo_api.read_only")


async def test_what_one_did_is_in_the_history_under_ones_name(visit: Visits, site: Site, issuer: TestIssuer) -> None:
    page = await visit(await path_of(site, NUREMBERG), tolerating=REFUSED)
    await use(page, token(issuer, preferred_username="änne"))
    await button(page, "Deploy Adapters").click()
    wishes = page.get_by_role("region", name="History").get_by_role("row").filter(has_text="Wish")
    await expect(wishes).to_have_count(2)
    await expect(wishes.first).to_contain_text("änne")


# The front page, which asks nobody for anything


async def test_the_front_page_leads_to_a_tenant_and_remembers_it(visit: Visits, site: Site, issuer: TestIssuer) -> None:
    page = await visit("/?choose", tolerating=REFUSED)
    await page.get_by_label("Tenant").fill("De mo!")
    await button(page, "Open").click()
    await expect(page.get_by_role("alert")).to_contain_text("lower-case letters, digits and hyphens")
    await page.get_by_label("Tenant").fill("demo")
    await expect(page.get_by_role("alert")).to_have_count(0)
    await button(page, "Open").click()
    await use(page, "no tökén")
    await expect(page.get_by_role("alert")).to_contain_text("That is no token")
    await page.get_by_label("Access token").fill("")
    await expect(page.get_by_role("alert")).to_have_count(0)
    await use(page, token(issuer))
    await expect(names(page)).to_have_count(5)
    await page.goto("/?choose")
    await page.get_by_role("link", name="Demo demo").click()
    await expect(names(page)).to_have_count(5)
