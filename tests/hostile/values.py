"""What is sent in place of a value, by those who hope that somebody forgot something."""

from __future__ import annotations

from typing import Any, Final

TEXTS: Final = (
    "", " ", "\x00", "\n", "a" * 300_000, "ü" * 70_000, "\u202e", "\ufeff", "\u200b", "ﷺ" * 500, "🏭" * 500,
    "$where", "$ne", "{'$gt': ''}", '{"$ne": null}', ".", "a.b", "__proto__", "constructor", "null", "undefined", "NaN",
    "'; DROP TABLE pools; --", '" || true', "../../etc/passwd", "%00", "%2e%2e%2f", "file:///etc/passwd", "{{7*7}}",
    "${jndi:ldap://127.0.0.1/x}", "<script>alert(1)</script>", "\x1b[2J", "-1", "0x10", "1e999", "६",
    "000000000000000000000000", "ffffffffffffffffffffffff", "zzzzzzzzzzzzzzzzzzzzzzzz",
    "FFFFFFFFFFFFFFFFFFFFFFFF", ".*", "(a+)+$", "[", "\\",
)  # fmt: skip
NUMBERS: Final = (0, -1, 1, 501, 2**31 - 1, 2**31, -(2**31) - 1, 2**63, 10**400, 1.5, 1e308, -0.0)
OTHERS: Final[tuple[Any, ...]] = (
    None,
    True,
    [],
    {},
    [[]],
    [None],
    {"$gt": ""},
    {"a": {"b": {}}},
    ["x"] * 3_000,
    {"k": "v" * 70_000},
)


def nested(depth: int) -> Any:
    """An object in an object, and so on."""
    value: Any = {}
    for _ in range(depth):
        value = {"x": [value]}
    return value


ALL: Final[tuple[Any, ...]] = (*TEXTS, *NUMBERS, *OTHERS, nested(30), nested(400))
