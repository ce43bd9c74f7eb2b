"""The TypeScript in `admin/`, checked without Node: its types fit the schema, its lock names no place, it is light.

What is said about the built pages needs them built, and is skipped where they are not: `make web`.
"""

import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, parse, validate

from octomesh_graphql.api.extents import extent_of, refusal, written_in
from octomesh_graphql.api.pages import BUILT
from octomesh_graphql.api.schema import build_schema
from octomesh_graphql.limits import DEFAULT
from tests.test_house import REGISTRIES

ROOT = Path(__file__).parent.parent
ADMIN = ROOT / "admin"
SOURCES = sorted(path for path in (ADMIN / "src").rglob("*.ts*") if not path.is_relative_to(ADMIN / "src" / "gql"))
EXAMPLES = sorted((ADMIN / "src" / "graphiql" / "examples").glob("*.graphql"))
PACKAGE: dict[str, Any] = json.loads((ADMIN / "package.json").read_text())
LOCK: dict[str, Any] = json.loads((ADMIN / "package-lock.json").read_text())
PANEL_BYTES = 150_000
"""What the panel's scripts may weigh, compressed."""

needs_the_pages = pytest.mark.skipif(
    not (BUILT / "index.html").exists(), reason="THE PAGES ARE NOT BUILT, so nothing is said about them: make web"
)


def documents() -> list[str]:
    """What the panel asks: each graphql(`...`) call. The pattern is the one in admin/stamp.mjs."""
    pattern = re.compile(r"\bgraphql\(\s*(?:/\*.*?\*/\s*)?`([^`]*)`")
    return [document for path in SOURCES for document in pattern.findall(path.read_text(encoding="utf-8"))]


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


# Types


def test_the_generated_types_are_in_step_with_the_schema_and_the_documents() -> None:
    generated_from = json.loads((ADMIN / "src" / "gql" / "generated-from.json").read_text())
    assert generated_from == {
        "schema": digest((ROOT / "schema.graphql").read_bytes()),
        "documents": digest(b"".join(document + b"\0" for document in sorted(map(str.encode, documents())))),
    }, "run make schema, or npm run generate in admin/"


def test_what_the_panel_asks_fits_the_schema() -> None:
    schema = build_schema()._schema
    assert documents()
    assert validate(schema, parse("\n".join(documents()))) == []


def test_what_the_panel_asks_has_one_name_each_and_nothing_put_in() -> None:
    named = [
        (node.kind, node.name.value)
        for node in parse("\n".join(documents())).definitions
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode) and node.name
    ]
    assert len(named) == len(set(named)) == len(documents())
    assert not [document for document in documents() if "${" in document]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_in_graphiql_fits_the_schema_and_its_limits(example: Path) -> None:
    schema = build_schema()._schema
    document = parse(example.read_text())
    assert validate(schema, document) == []
    assert refusal(written_in(document), extent_of(schema, document, {}), DEFAULT) is None


def test_every_example_in_graphiql_is_shown() -> None:
    pages = "\n".join(path.read_text() for path in SOURCES if path.parent.name == "graphiql")
    assert EXAMPLES
    assert {f"./examples/{path.name}?raw" for path in EXAMPLES} == {*re.findall(r'"(\./examples/.+?)"', pages)}


# Packages


def test_the_lock_names_no_place_that_packages_come_from() -> None:
    text = (ADMIN / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert not [host for host in REGISTRIES if host in text]
    assert "omit-lockfile-registry-resolved=true" in (ADMIN / ".npmrc").read_text().splitlines()


def test_every_package_in_the_lock_has_one_version_and_a_hash() -> None:
    packages = {name: package for name, package in LOCK["packages"].items() if name}
    assert len(packages) > 100
    assert not [
        name
        for name, package in packages.items()
        if not (package.get("version") and package.get("integrity", "").startswith("sha512-"))
        and not package.get("inBundle")
    ]


@pytest.mark.parametrize("kind", ["dependencies", "devDependencies"])
def test_package_json_asks_for_exactly_what_is_locked(kind: str) -> None:
    locked = {name: LOCK["packages"][f"node_modules/{name}"]["version"] for name in PACKAGE[kind]}
    assert PACKAGE[kind] == LOCK["packages"][""][kind] == locked


def test_building_takes_none_of_the_tools_for_types_and_tests() -> None:
    assert not {name for name in PACKAGE["dependencies"] if re.search("codegen|typescript|axe|^@types/", name)}
    assert "tsc" not in PACKAGE["scripts"]["build"]


# The built pages


class Page(HTMLParser):
    """What a built page loads at once, and what is written inside it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline = ""
        self._within = ""
        self.feed((BUILT / name).read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        self.loaded += [value for name, value in attrs if name in ("src", "href") and value]
        self.inline += "".join(f"{name} " for name, _ in attrs if name == "style" or name.startswith("on"))

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style"):
            self.inline += data.strip()

    def scripts(self) -> list[Path]:
        return [BUILT / link.removeprefix("/") for link in self.loaded if link.endswith(".js")]


@needs_the_pages
@pytest.mark.parametrize("name", ["index.html", "graphiql.html"])
def test_a_page_loads_only_its_own_assets_and_has_nothing_inline(name: str) -> None:
    page = Page(name)
    assert page.loaded
    assert not [link for link in page.loaded if not re.fullmatch(r"/assets/[\w.-]+-[\w-]{8}\.\w+", link)]
    assert not [link for link in page.loaded if not (BUILT / link.removeprefix("/")).is_file()]
    assert page.inline == ""


@needs_the_pages
def test_the_panel_is_light_and_carries_nothing_of_graphiql() -> None:
    scripts = Page("index.html").scripts()
    assert sum(len(gzip.compress(script.read_bytes())) for script in scripts) < PANEL_BYTES
    assert not [
        script.name for script in scripts if re.search(b"graphiql-container|monaco-editor", script.read_bytes())
    ]


@needs_the_pages
def test_scripts_and_styles_have_a_compressed_twin() -> None:
    files = [path for path in (BUILT / "assets").iterdir() if path.suffix in (".js", ".css", ".svg")]
    twins = {path: path.with_name(f"{path.name}.gz") for path in files}
    assert files
    assert not [
        path.name
        for path, twin in twins.items()
        if not twin.exists() or gzip.decompress(twin.read_bytes()) != path.read_bytes()
    ]


@needs_the_pages
def test_the_notices_name_whose_code_is_in_the_pages() -> None:
    notices = (BUILT / "third-party-notices.md").read_text()
    imports = re.compile(r"""\bfrom "((?:@[\w-]+/)?[\w-]+)""")
    imported = {name for path in SOURCES for name in imports.findall(path.read_text(encoding="utf-8"))}
    assert imported >= {"react", "graphiql"}
    assert {*re.findall(r"^## (\S+)", notices, re.MULTILINE)} >= imported | {"monaco-editor"}
