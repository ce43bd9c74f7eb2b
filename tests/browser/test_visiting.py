"""What the other tests here rely on: that whatever goes wrong in a page is noticed."""

from pathlib import Path

import pytest

from tests.browser.visiting import NoChromium, Visits, axe, find_chromium

PANEL = "/tenants/demo/"
POOL = f"{PANEL}pools/{'0' * 24}"
GRAPHIQL = "/tenants/demo/graphql"
INTRUDE = """async (script) => {
    const refused = [];
    document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
    const element = document.createElement("script");
    element.textContent = "window.intruded = true";
    document.head.append(element);
    await fetch("https://example.com/").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve));
    return [window.intruded ?? false, refused];
}"""


@pytest.mark.parametrize("path", [PANEL, POOL, "/?choose", GRAPHIQL])
async def test_the_policy_is_in_force_no_foreign_script_runs_and_no_foreign_host_is_asked(
    visit: Visits, path: str
) -> None:
    page = await visit(path, tolerating="Content Security Policy")
    assert await page.evaluate(INTRUDE) == [False, ["script-src-elem", "connect-src"]]


async def test_an_error_in_the_console_is_noticed(visit: Visits) -> None:
    page = await visit(PANEL)
    await page.evaluate("console.error('no such adapter')")
    assert visit.troubles == ["console error: no such adapter"]
    visit.troubles.clear()


async def test_an_uncaught_exception_is_noticed(visit: Visits) -> None:
    page = await visit(PANEL)
    async with page.context.expect_event("weberror"):
        await page.evaluate("setTimeout(() => { throw new Error('no such pool') })")
    assert visit.troubles == ["uncaught: no such pool"]
    visit.troubles.clear()


@pytest.mark.parametrize("address", ["https://example.com/font.woff2", "//127.0.0.1:1/track"])
async def test_a_request_to_another_host_is_noticed(visit: Visits, address: str) -> None:
    # The page that is not built has no script; a policy would stop this one before there is anything to notice.
    page = await visit("/healthz", tolerating="Failed to load resource|net::ERR")
    await page.evaluate("(address) => fetch(address, { mode: 'no-cors' }).catch(() => {})", address)
    assert [trouble.partition(":")[0] for trouble in visit.troubles] == ["foreign request"]
    visit.troubles.clear()


async def test_what_keeps_people_out_is_noticed_in_spite_of_the_policy(visit: Visits) -> None:
    page = await visit(PANEL)
    await page.evaluate("document.body.innerHTML = '<main><h1>Pools</h1><button></button></main>'")
    with pytest.raises(AssertionError, match="button-name"):
        await axe(page)
    await axe(page, without=("button-name",))


def test_without_a_browser_one_learns_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("OCTOMESH_CHROMIUM", raising=False)
    with pytest.raises(NoChromium, match="apt-get install -y chromium"):
        find_chromium()


def test_a_browser_elsewhere_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    browser = tmp_path / "chrome"
    browser.touch(mode=0o755)
    monkeypatch.setenv("OCTOMESH_CHROMIUM", str(browser))
    assert find_chromium() == str(browser)
    browser.unlink()
    with pytest.raises(NoChromium, match="OCTOMESH_CHROMIUM names"):
        find_chromium()
