"""Documents that are small to send and large to answer, and others that nobody would write by mistake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.hostile.conftest import SOON_SECONDS, Target


def cycle(turns: int) -> str:
    """Pools of adapters of pools of adapters."""
    inner = "rtId"
    for _ in range(turns):
        inner = f"adapters(first: 500) {{ nodes {{ pool {{ {inner} }} }} }}"
    return f"{{ pools(first: 500) {{ nodes {{ {inner} }} }} }}"


def doubling(levels: int) -> str:
    """Fragments that spread others twice."""
    parts = [f"fragment F{n} on Pool {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels)]
    return "{ pools { nodes { ...F0 } } } " + " ".join(parts) + f" fragment F{levels} on Pool {{ name }}"


def overlapping(fields: int) -> str:
    """What is slow to be found mergeable."""
    parts = " ".join("... on Pool { name rtId }" for _ in range(fields))
    return f"{{ pools {{ nodes {{ {parts} }} }} }}"


def everything_often(times: int) -> str:
    """The schema asked about itself, with an alias for each time at each of three levels."""
    fields = " ".join(f"a{n}: fields {{ ...X }}" for n in range(times))
    types = " ".join(f"b{n}: type {{ ...Y }}" for n in range(times))
    names = " ".join(f"c{n}: fields {{ name }}" for n in range(times))
    fragments = f"fragment X on __Field {{ {types} }} fragment Y on __Type {{ {names} }}"
    return f"{{ __schema {{ types {{ {fields} }} }} }} {fragments}"


DOCUMENTS: dict[str, Callable[[], str]] = {
    "a cycle of 8": lambda: cycle(8),
    "a cycle of 60": lambda: cycle(60),
    "a cycle of 900": lambda: cycle(900),
    "doubling fragments": lambda: doubling(40),
    "fragments in a circle": lambda: "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "a fragment of itself": lambda: (
        "{ pools { nodes { ...A } } } fragment A on Pool { adapters { nodes { pool { ...A } } } }"
    ),
    "a thousand aliases": lambda: "{" + " ".join(f"a{n}: pools {{ totalCount }}" for n in range(1_000)) + "}",
    "the same field ten thousand times": lambda: "{ pools { " + "totalCount " * 10_000 + "} }",
    "the same fields as often as may be": lambda: "{" + "pools { nodes { name } } " * 320 + "}",
    "the same fields in fragments": lambda: (
        "{ ...F0 } "
        + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} {'viewer { name } ' * 9} }}" for n in range(49))
        + " fragment F49 on Query { viewer { name } }"
    ),
    "mergeable fragments": lambda: overlapping(1_000),
    "a thousand directives": lambda: "{ pools " + "@include(if: true) " * 1_000 + "{ totalCount } }",
    "unknown directives": lambda: "{ pools " + "@x " * 1_000 + "{ totalCount } }",
    "a thousand operations": lambda: " ".join(f"query Q{n} {{ __typename }}" for n in range(1_000)),
    "a thousand variables": lambda: (
        "query Q(" + " ".join(f"$v{n}: Int = {n}" for n in range(1_000)) + ") { __typename }"
    ),
    "comments": lambda: "{ __typename }\n" + "#\n" * 40_000,
    "commas": lambda: "{ __typename " + "," * 90_000 + "}",
    "a long name": lambda: "{ " + "a" * 90_000 + " }",
    "brackets": lambda: "{" * 50_000,
    "lists in lists": lambda: "{ pools(filter: { rtIds: " + "[" * 900 + "]" * 900 + " }) { totalCount } }",
    "objects in objects": lambda: "{ pools(filter: " + "{x:" * 900 + "1" + "}" * 900 + ") { totalCount } }",
    "a string without end": lambda: '{ pools(search: "' + "x" * 90_000,
    "a block string": lambda: '{ pools(search: """' + '\\"' * 20_000 + '""") { totalCount } }',
    "deep introspection": lambda: "{ __schema { types { " + "fields { type { " * 12 + "name" + " } }" * 12 + " } } }",
    "wide introspection": lambda: (
        "{" + " ".join(f"s{n}: __schema {{ types {{ fields {{ args {{ name }} }} }} }}" for n in range(45)) + "}"
    ),
    "introspection, often": lambda: everything_often(12),
    "introspection, as often as may be": lambda: everything_often(1),
    "suggestions": lambda: "{" + " ".join(f"pool{n}x" for n in range(900)) + "}",
    "fragments in fragments": lambda: "{" + "... {" * 170 + "__typename" + "}" * 170 + "}",
    "pages without an end": lambda: (
        "{" + " ".join(f"a{n}: pools(first: 500, last: null) {{ nodes {{ rtId name }} }}" for n in range(49)) + "}"
    ),
    "half a character": lambda: '{ pools(search: "\\uD83D") { totalCount } }',
    "control characters": lambda: "{ \x00\x01\x1b[2J }",
    "another language": lambda: "SELECT * FROM pools; --",
    "nothing": lambda: " ",
}


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_what_asks_for_too_much_is_refused_at_once(target: Target, name: str) -> None:
    document = DOCUMENTS[name]()
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(target.post(f"{document}#{number}") for number in range(5)))
    for answer in answers:
        assert len(answer.content) < 2_000_000
        told = answer.json()
        assert len(told.get("errors", [])) <= 20
        assert all("code" in error["extensions"] for error in told.get("errors", []))
        assert all(len(error["message"]) <= 1_000 for error in told.get("errors", []))


async def test_a_crowd_that_asks_for_a_little_much_keeps_nobody_waiting(target: Target) -> None:
    kind = "type { name ofType { name ofType { name } } }"
    fields = f"fields {{ name description args {{ name description {kind} }} {kind} }}"
    document = f"{{ __schema {{ types {{ name description {fields} enumValues {{ name }} }} }} }}"

    async def ask_again_and_again() -> None:
        for _ in range(3):
            answer = await target.post(document)
            assert len(answer.content) > 50_000

    await asyncio.gather(*(ask_again_and_again() for _ in range(60)))
    assert target.slowest < SOON_SECONDS


async def test_long_heads_keep_nobody_waiting(target: Target) -> None:
    async def ask_again_and_again() -> None:
        for _ in range(5):
            for headers in ({"accept": "application/json" + "," * 60_000}, {"content-type": ";" * 60_000}):
                answer = await target.http.post(target.path, content="{}", headers=headers)
                assert answer.status_code in (400, 415)

    await asyncio.gather(*(ask_again_and_again() for _ in range(80)))
    assert target.slowest < SOON_SECONDS
