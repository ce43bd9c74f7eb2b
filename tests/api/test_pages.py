"""The pages for browsers: where they are served, with which headers, and what is there before they are built."""

import gzip
import re
from pathlib import Path

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.testclient import TestClient

from octomesh_graphql.api import pages
from octomesh_graphql.api.pages import Pages

PANEL = "<!doctype html><title>the panel</title>"
GRAPHIQL = "<!doctype html><title>graphiql</title>"
SCRIPT = "export const adapters = 3;\n" * 40
PANEL_PATHS = [
    "/",
    "/tenants/demo/",
    "/tenants/demo/pools",
    "/tenants/demo/pools/6b040a2eb15738eecd8e6503",
    "/tenants/demo/?state=ERROR&search=halle",
    "/tenants/%22%3E%3Cscript%3E/",
]


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(PANEL)
    (tmp_path / "graphiql.html").write_text(GRAPHIQL)
    (tmp_path / "third-party-notices.md").write_text("# Licences\n")
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "panel-Ab3.js").write_text(SCRIPT)
    (assets / "panel-Ab3.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (assets / "panel-Ab3.css").write_text("body { margin: 0 }")
    (assets / "icon-Ab3.svg").write_text("<svg/>")
    return tmp_path


def browsing(served: Pages) -> TestClient:
    return TestClient(Starlette(routes=served.routes()), follow_redirects=False)


@pytest.fixture
def browser(built: Path) -> TestClient:
    return browsing(Pages(built))


def policy_of(response: Response | httpx.Response) -> dict[str, str]:
    directives = response.headers["content-security-policy"].split("; ")
    return {name: sources for name, _, sources in (directive.partition(" ") for directive in directives)}


@pytest.mark.parametrize("path", PANEL_PATHS)
def test_every_address_of_the_panel_gets_the_same_page_whatever_the_tenant(browser: TestClient, path: str) -> None:
    response = browser.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text == PANEL


def test_the_panel_has_a_strict_policy(browser: TestClient) -> None:
    response = browser.get("/tenants/demo/")
    policy = policy_of(response)
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_graphiql_may_write_style_elements_and_nothing_more_inline(built: Path) -> None:
    response = Pages(built).graphiql()
    policy = policy_of(response)
    assert policy.pop("style-src") == "'self' 'unsafe-inline'"
    assert not [sources for sources in policy.values() if "unsafe" in sources or "http" in sources or "*" in sources]
    assert policy["script-src"] == policy["worker-src"] == policy["connect-src"] == "'self'"


def test_a_page_is_never_cached_and_what_it_loads_for_ever(browser: TestClient) -> None:
    assert browser.get("/tenants/demo/").headers["cache-control"] == "no-store"
    assert browser.get("/assets/panel-Ab3.js").headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/", "/tenants/demo/", "/assets/panel-Ab3.js", "/third-party-notices.md"])
def test_head_says_what_get_would(browser: TestClient, path: str) -> None:
    head, get = browser.head(path), browser.get(path)
    assert head.status_code == get.status_code == 200
    assert head.headers == get.headers
    assert head.content == b""


@pytest.mark.parametrize(
    ("name", "kind"),
    [("panel-Ab3.js", "text/javascript"), ("panel-Ab3.css", "text/css"), ("icon-Ab3.svg", "image/svg+xml")],
)
def test_assets_have_the_type_that_nosniff_demands(browser: TestClient, name: str, kind: str) -> None:
    response = browser.get(f"/assets/{name}")
    assert response.headers["content-type"].startswith(kind)
    assert response.headers["x-content-type-options"] == "nosniff"


def test_an_asset_comes_compressed_to_whoever_takes_that(browser: TestClient) -> None:
    compressed = browser.get("/assets/panel-Ab3.js", headers={"accept-encoding": "gzip, br"})
    plain = browser.get("/assets/panel-Ab3.js", headers={"accept-encoding": "identity"})
    assert compressed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert compressed.text == plain.text == SCRIPT
    assert compressed.headers["content-type"] == plain.headers["content-type"]
    assert compressed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert int(compressed.headers["content-length"]) < len(SCRIPT) / 10
    assert compressed.headers["etag"] != plain.headers["etag"]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_an_asset_that_one_has_already_is_not_sent_again(browser: TestClient, encoding: str) -> None:
    accepted = {"accept-encoding": encoding}
    etag = browser.get("/assets/panel-Ab3.js", headers=accepted).headers["etag"]
    again = browser.get("/assets/panel-Ab3.js", headers=accepted | {"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/assets/old-Xy9.js", "/assets/", "/assets/../index.html", "/assets/%2e%2e/index.html", "/assets/%00"]
)
def test_what_is_no_asset_is_not_found(browser: TestClient, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_a_default_tenant_is_shown_at_once_and_others_can_still_be_chosen(built: Path) -> None:
    browser = browsing(Pages(built, default_tenant="demo"))
    led = browser.get("/")
    assert (led.status_code, led.headers["location"]) == (307, "/tenants/demo/")
    assert led.headers["cache-control"] == "no-store"
    assert browser.get("/?choose").text == PANEL


def test_whose_code_is_in_the_pages_can_be_read(browser: TestClient) -> None:
    notices = browser.get("/third-party-notices.md")
    assert notices.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Licences" in notices.text


@pytest.mark.parametrize("path", PANEL_PATHS)
def test_before_they_are_built_a_plain_page_says_how(tmp_path: Path, path: str) -> None:
    response = browsing(Pages(tmp_path / "nothing")).get(path)
    assert response.status_code == 200
    assert "make web" in response.text
    assert policy_of(response)["default-src"] == "'none'"


def test_before_they_are_built_nothing_else_is_found(tmp_path: Path) -> None:
    browser = browsing(Pages(tmp_path / "nothing"))
    assert browser.get("/assets/panel-Ab3.js").status_code == 404
    assert browser.get("/third-party-notices.md").status_code == 404


def test_pages_built_while_the_server_runs_are_served(tmp_path: Path) -> None:
    browser = browsing(Pages(tmp_path))
    assert "make web" in browser.get("/tenants/demo/").text
    (tmp_path / "index.html").write_text(PANEL)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "panel-Cd4.js").write_text(SCRIPT)
    assert browser.get("/tenants/demo/").text == PANEL
    assert browser.get("/assets/panel-Cd4.js").text == SCRIPT


def test_the_plain_page_needs_nothing_from_anywhere() -> None:
    text = (Path(pages.__file__).parent / "files" / "not_built.html").read_text()
    assert not re.findall(r"://|<script|<style|<link| style=| on\w+=", text)


async def test_a_browser_gets_graphiql_for_every_tenant_and_learns_there_if_it_is_none(http: httpx.AsyncClient) -> None:
    path = "/tenants/nobody/graphql"
    page = await http.get(path, headers={"accept": "text/html,application/xhtml+xml"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "nobody" not in page.text
    no_browser = await http.get(path, headers={"accept": "text/html;q=0, application/json"})
    assert no_browser.headers["content-type"] == "application/json; charset=utf-8"
    asked = await http.post(path, json={"query": "{ viewer { name } }"})
    assert asked.json()["errors"][0]["extensions"]["code"] == "TENANT_NOT_FOUND"


async def test_the_pages_are_part_of_the_server(http: httpx.AsyncClient) -> None:
    page = await http.get("/tenants/acme/pools/6b040a2eb15738eecd8e6503")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (await http.get("/assets/no-such-file.js")).status_code == 404


async def test_people_who_are_nowhere_are_led_back_and_programs_told(http: httpx.AsyncClient) -> None:
    page = await http.get("/tenants/demo/whatever", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    for path, accept in (("/tenants/demo/whatever", "*/*"), ("/whatever", "text/html")):
        told = await http.get(path, headers={"accept": accept})
        assert (told.status_code, told.text) == (404, "Not Found")
