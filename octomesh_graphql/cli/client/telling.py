"""Telling: what was found or done, for people or, with `--json`, for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from octomesh_graphql.cli import tables
from octomesh_graphql.domain.text import shown


def as_json(value: Any) -> None:
    """Print a value for programs."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, ensure_ascii=not unicode, indent=2))  # escaped by the stream, it would be no JSON


def done(sentence: str, value: Any, *, json: bool) -> None:
    """Say what was done, or print what it led to."""
    if json:
        as_json(value)
    else:
        print(sentence)


def hint(sentence: str) -> None:
    """Say something beside the answer."""
    print(sentence, file=sys.stderr, flush=True)


def begun(phrase: str) -> str:
    """The phrase as a sentence begins."""
    return phrase[:1].upper() + phrase[1:]


def listed(rows: Sequence[dict[str, str]], nothing: str) -> None:
    """Print rows, or say why there are none."""
    if rows:
        cells = [{name: shown(cell, 500) for name, cell in row.items()} for row in rows]
        tables.show(cells, spare=("rtId", "image", "operator", "configuration", "type"))
    else:
        hint(nothing)


def facts(pairs: Sequence[tuple[str, str | None]]) -> None:
    """Print what is known of one thing, line by line."""
    width = max(len(name) for name, _ in pairs) + 3
    for name, value in pairs:
        if value:
            first, *more = (shown(line, 2_000) for line in value.splitlines() or [""])
            print("\n".join([f"{name:<{width}}{first}", *(" " * width + line for line in more)]))


def pool_rows(pools: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """A table of pools."""
    for pool in pools:
        summary = pool["summary"]
        yield {
            "name": pool["name"],
            "health": pool["health"]["level"],
            "communication": pool["communicationState"],
            "deployment": pool["deploymentState"],
            "configuration": pool["configurationState"],
            "deployed": f"{summary['deployed']}/{summary['adapters']}",
            "operator": (pool["operator"] or {}).get("id") or "-",
            "rtId": pool["rtId"],
        }


def adapter_rows(adapters: Sequence[dict[str, Any]], *, with_pool: bool = True) -> Iterator[dict[str, str]]:
    """A table of adapters."""
    for adapter in adapters:
        row = {
            "name": adapter["name"],
            "pool": (adapter.get("pool") or {}).get("name") or "-",
            "type": adapter["type"],
            "communication": adapter["communicationState"],
            "deployment": adapter["deploymentState"],
            "configuration": adapter["configurationState"],
            "image": f"{adapter['imageName']}{separator(adapter['imageVersion'])}{adapter['imageVersion']}",
            "rtId": adapter["rtId"],
        }
        yield row if with_pool else {name: cell for name, cell in row.items() if name != "pool"}


def separator(version: str) -> str:
    """What stands between the name of an image and its version."""
    return "@" if version.startswith("sha256:") else ":"
