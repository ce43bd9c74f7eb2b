"""The pages for browsers: they need nobody else's host, nothing inline, and their examples fit the schema."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, validate
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from octomesh_graphql.api import pages
from octomesh_graphql.api.limits import refusal
from octomesh_graphql.api.schema import build_schema

FOLDER = Path(pages.__file__).parent / "files"
FILES = sorted(path.name for path in FOLDER.iterdir())
PAGES = [name for name in FILES if name.endswith(".html")]
BOOK: dict[str, Any] = json.loads((FOLDER / "examples.json").read_text())
EXAMPLES = {example["title"]: example for example in BOOK["examples"]}
DOCUMENTS = {"a pool": BOOK["aPool"], **{title: example["query"] for title, example in EXAMPLES.items()}}
EXPLORER = "/tenants/demo/graphql"
SVG = "http://www.w3.org/2000/svg"
"""A name, not an address: nobody fetches it."""


async def explorer(_: Request) -> Response:
    return pages.explorer()


@pytest.fixture
def browser() -> TestClient:
    routes = [Route("/", pages.start), Route(EXPLORER, explorer), Mount("/files", pages.files())]
    return TestClient(Starlette(routes=routes))


class Markup(HTMLParser):
    """The tags of a page, and what is written inside its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._within = ""
        self.feed((FOLDER / page).read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = tag

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style"):
            self.inline += data.strip()

    def attributes(self, *names: str) -> list[str]:
        return [value for _, given in self.tags for name, value in given.items() if name in names and value]


@pytest.mark.parametrize("path", ["/", EXPLORER, *(f"/files/{name}" for name in FILES)])
def test_every_page_and_file_comes_with_a_strict_policy(browser: TestClient, path: str) -> None:
    response = browser.get(path)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("explorer.js", "text/javascript"),
        ("pages.css", "text/css"),
        ("examples.json", "application/json"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_files_have_the_type_that_nosniff_demands(browser: TestClient, name: str, kind: str) -> None:
    assert browser.get(f"/files/{name}").headers["content-type"].startswith(kind)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_has_an_inline_script_or_style(page: str) -> None:
    markup = Markup(page)
    assert markup.inline == ""
    assert not [name for _, given in markup.tags for name in given if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_a_foreign_address(name: str) -> None:
    text = (FOLDER / name).read_text().replace(SVG, "")
    assert not re.findall(r"\w+://|[\"'(=]//\w", text)


@pytest.mark.parametrize(("page", "path"), [("start.html", "/"), ("explorer.html", EXPLORER)])
def test_what_a_page_loads_is_there(browser: TestClient, page: str, path: str) -> None:
    assert browser.get(path).text == (FOLDER / page).read_text()
    loaded = [link for link in Markup(page).attributes("src", "href") if "files/" in link]
    assert len(loaded) >= 3
    for link in loaded:
        assert browser.get(str(browser.base_url.join(path).join(link))).status_code == 200


@pytest.mark.parametrize("script", [name for name in FILES if name.endswith(".js")])
def test_what_a_script_imports_and_looks_for_is_there(script: str) -> None:
    text = (FOLDER / script).read_text()
    assert {*re.findall(r'from "\./(.+?)"', text)} <= {*FILES}
    ids = {one for page in PAGES for one in Markup(page).attributes("id")}
    assert {*re.findall(r'(?:getElementById|byId)\("(\w+)"\)', text)} <= ids


@pytest.mark.parametrize("page", PAGES)
def test_every_field_has_a_label(page: str) -> None:
    markup = Markup(page)
    fields = {given["id"] for tag, given in markup.tags if tag in ("input", "textarea")}
    assert fields == {*markup.attributes("for")}


@pytest.mark.parametrize("title", DOCUMENTS)
def test_an_example_fits_the_schema_and_its_limits(title: str) -> None:
    schema = build_schema()._schema
    document = parse("\n".join(DOCUMENTS[title]))
    assert validate(schema, document) == []
    assert refusal(schema, document, {}) is None


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_gives_the_variables_it_declares(title: str) -> None:
    document = parse("\n".join(EXAMPLES[title]["query"])).to_dict()
    declared = {one["variable"]["name"]["value"] for one in document["definitions"][0]["variable_definitions"] or ()}
    assert declared == {*EXAMPLES[title].get("variables", {})}


def test_the_words_in_the_examples_variables_are_known_to_the_script() -> None:
    words = {*re.findall(r'"(\$\w+)"', json.dumps([example.get("variables") for example in BOOK["examples"]]))}
    known = {*re.findall(r"(\$\w+):", (FOLDER / "explorer.js").read_text())}
    assert words == known
