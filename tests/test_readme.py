"""What the README shows is run, and what it lists is complete."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import struct
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from graphql import OperationDefinitionNode, OperationType, parse

from octomesh_graphql.actions.clock import now
from octomesh_graphql.actions.seeding import seed_demo
from octomesh_graphql.cli.commands import app
from octomesh_graphql.limits import Limits
from octomesh_graphql.settings import ClientSettings, OperatorSettings, ProgramSettings, Settings
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry
from tests.api.conftest import Api, serving
from tests.cli.test_demonstrating import deployed, living, settled

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
DOCUMENTS = [body for kind, body in BLOCKS if kind == "graphql"]
ANSWERS = {
    body: json.loads(BLOCKS[index + 1][1])
    for index, (kind, body) in enumerate(BLOCKS)
    if kind == "graphql" and BLOCKS[index + 1][0] == "json"
}
COMMANDS = [
    line
    for kind, body in BLOCKS
    if kind == "sh"
    for line in body.splitlines()
    if line.startswith(("octomesh ", "curl "))
] + re.findall(r"\| `(octomesh [^`]+)` \|", TEXT)


ASKING = [
    each for each in COMMANDS if each.startswith(("octomesh pools ", "octomesh adapters ")) and "NAME" not in each
]

PICTURES = sorted(set(re.findall(r"[\w./-]+\.png\b", TEXT)))


@pytest.fixture
async def demo(registry: Registry, sessions: Sessions, feed: Feed) -> AsyncIterator[Api]:
    """The demo, served, some seconds after its start."""
    await seed_demo(registry, now())
    async with (
        serving(sessions, feed) as base,
        httpx.AsyncClient(base_url=f"http://{base}") as http,
        living(sessions, feed, base),
    ):
        api = Api(base, "demo", http)
        await settled(api, lambda _, adapters: deployed(adapters) == 6)
        await settled(api, lambda pools, _: pools["Werk Schärding – Halle 2"]["deploymentState"] == "ERROR")
        yield api


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_every_operation_shown_gives_the_answer_shown(demo: Api, document: str) -> None:
    (operation,) = parse(document).definitions
    assert isinstance(operation, OperationDefinitionNode)
    if operation.operation is OperationType.SUBSCRIPTION:
        async with demo.socket() as socket:
            await socket.subscribe(document)
            assert len(await socket.until("LIVE")) > 10
    else:
        assert _elided(await demo.ask(document), ANSWERS[document]) == ANSWERS[document]


async def test_the_demo_is_as_told(demo: Api) -> None:
    told = TEXT.partition("After some seconds ")[2]
    assert " ".join(told.split()).startswith(
        "six of the 14 adapters of the demo run, and one has failed; the other seven nobody has deployed yet. "
        "Four of its pools have an operator, the one in Köln has none."
    )
    found = await demo.ask(
        "{ adapters(first: 100) { nodes { deploymentState } } pools { nodes { communicationState } } }"
    )
    adapters = Counter(each["deploymentState"] for each in found["adapters"]["nodes"])
    pools = Counter(each["communicationState"] for each in found["pools"]["nodes"])
    assert adapters == {"DEPLOYED": 6, "ERROR": 1, "UNDEPLOYED": 7}
    assert pools == {"ONLINE": 4, "UNREGISTERED": 1}


def _elided(answer: Any, shown: Any) -> Any:
    """The answer, with an ellipsis wherever the README shows one."""
    if shown == "…":
        return "…"
    if isinstance(answer, dict) and isinstance(shown, dict):
        return {key: _elided(value, shown.get(key)) for key, value in answer.items()}
    if isinstance(answer, list) and isinstance(shown, list) and len(answer) == len(shown):
        return [_elided(one, other) for one, other in zip(answer, shown, strict=True)]
    return answer


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("curl ")])
async def test_every_curl_command_shown_works(demo: Api, command: str) -> None:
    words = shlex.split(command.replace("127.0.0.1:8000", demo.base))
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    answer, _ = await process.communicate()
    assert "Werk Schärding – Halle 1" in [pool["name"] for pool in json.loads(answer)["data"]["pools"]["nodes"]]


@pytest.mark.parametrize("command", ASKING)
async def test_every_command_shown_that_asks_a_server_does_so(demo: Api, command: str) -> None:
    environment = {"OCTOMESH_SERVER_URL": f"http://{demo.base}", "OCTOMESH_TENANT": "demo", "PATH": "/usr/bin:/bin"}
    words = ["-m", "octomesh_graphql", *shlex.split(command)[1:]]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, env=environment, cwd=ROOT)
    assert await process.wait() == 0


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("octomesh ")])
def test_every_octomesh_command_shown_is_understood(command: str) -> None:
    words = shlex.split(command.partition(" | ")[0])[1:]
    called, arguments, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert called.__name__.startswith(words[0]) or words[0] in ("tenants", "pools", "adapters")
    assert arguments is not None


@pytest.mark.parametrize(
    ("program", "of"), [("serve", Settings), ("operator", OperatorSettings), ("pools`, `adapters", ClientSettings)]
)
def test_every_setting_is_listed_with_its_default(program: str, of: type[ProgramSettings]) -> None:
    rows = [
        f"| `OCTOMESH_{name.upper()}` | {f'`{field.default}`' if field.default else ''} | {field.description} |"
        for name, field in of.model_fields.items()
        if name != "limits"
    ]
    if of is Settings:  # which is read for `mongo_uri`
        rows.insert(4, "| `OCTOMESH_MONGO_URI_FILE` |  | the path of a file with that URI |")
    table = TEXT.partition(f"| variable of `{program}` |")[2].partition("\n\n")[0]
    listed = [line for line in table.splitlines() if line.startswith("| `OCTOMESH_")]
    assert listed == rows, "the table must read:\n" + "\n".join(rows)


def test_every_limit_is_listed_with_its_reason_in_the_order_in_which_a_request_meets_them() -> None:
    table = [
        f"| `OCTOMESH_LIMITS_{name.upper()}` | {field.default:,} | {' '.join(str(field.description).split())} |"
        for name, field in Limits.model_fields.items()
    ]
    listed = [line for line in SECURITY.splitlines() if line.startswith("| `OCTOMESH_LIMITS_")]
    assert listed == table, "the table in SECURITY.md must read:\n" + "\n".join(table)


async def test_the_tenant_commands_shown_do_what_they_say(mongo_uri: str, registry: Registry) -> None:
    command = next(command for command in COMMANDS if "tenants create acme --name" in command)
    environment = {
        "OCTOMESH_MONGO_URI": mongo_uri,
        "OCTOMESH_DATABASE_PREFIX": registry.prefix,
        "PATH": "/usr/bin:/bin",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "octomesh_graphql", *shlex.split(command)[1:], env=environment, cwd=ROOT
    )
    assert await process.wait() == 0
    assert [(tenant.id, tenant.display_name) for tenant in await registry.tenants()] == [("acme", "Acme Works")]


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_shown_is_a_png_of_sensible_size(picture: str) -> None:
    content = (ROOT / picture).read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width in (390, 1280)
    assert 300 <= height <= 900
    assert len(content) <= 150_000


def test_every_picture_is_shown() -> None:
    assert [str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs" / "screenshots").iterdir())] == PICTURES
