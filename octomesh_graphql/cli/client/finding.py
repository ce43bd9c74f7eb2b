"""Finding: which pool or adapter a word on the command line means. It is its rtId or its name, and never a guess."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, Final

from octomesh_graphql.cli.client.connection import Api
from octomesh_graphql.cli.running import CommandFailed
from octomesh_graphql.domain.text import clean_name, shown

NAMES_AT_ONCE: Final = 500
"""Among so many names a similar one is looked for; the server lists no more at once."""

_RT_ID: Final = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True)
class Kind:
    """What is looked for."""

    one: str
    many: str
    fields: str
    """What is read of it."""


POOL: Final = Kind("pool", "pools", "rtId name rtVersion communicationState summary { adapters }")
ADAPTER: Final = Kind("adapter", "adapters", "rtId name rtVersion pool { rtId name communicationState }")


async def found(api: Api, kind: Kind, word: str, fields: str | None = None) -> dict[str, Any]:
    """The pool or adapter of this name or rtId, with these fields besides. Raises `CommandFailed`."""
    selection = f"{{ {kind.fields} {fields or ''} }}"
    if not _RT_ID.fullmatch(word):
        answer = await api.ask(f"query ($name: String) {{ named: {kind.one}(name: $name) {selection} }}", name=word)
        return answer["named"] or await _nothing(api, kind, word)
    answer = await api.ask(
        f"query ($word: String, $rtId: OctoObjectId) {{ "
        f"named: {kind.one}(name: $word) {selection} is: {kind.one}(rtId: $rtId) {selection} }}",
        word=word,
        rtId=word,
    )
    named, is_ = answer["named"], answer["is"]
    if named and is_ and named["rtId"] != is_["rtId"]:
        raise CommandFailed(
            f"'{word}' is ambiguous: it is the rtId of the {kind.one} '{is_['name']}', and the name of another whose "
            f"rtId is {named['rtId']}. Say the name of the one, or the rtId of the other."
        )
    return is_ or named or await _nothing(api, kind, word)


async def _nothing(api: Api, kind: Kind, word: str) -> dict[str, Any]:
    """Raises `CommandFailed`, with a name that comes near."""
    answer = await api.ask(
        f"query ($first: Int) {{ {kind.many}(first: $first) {{ nodes {{ name }} }} }}", first=NAMES_AT_ONCE
    )
    names = {str(node["name"]).casefold(): str(node["name"]) for node in answer[kind.many]["nodes"]}
    near = [names[each] for each in _near(clean_name(word).casefold(), list(names))]
    missing = f"There is no {kind.one} '{shown(word, 100)}' in the tenant '{api.tenant}'."
    if near:
        quoted = " or ".join(f"'{name}'" for name in near)
        raise CommandFailed(f"{missing} Did you mean {quoted}?")
    if names:
        raise CommandFailed(f"{missing} `octomesh {kind.many} list` shows which there are.")
    raise CommandFailed(f"{missing} It has none yet; `octomesh {kind.many} create` makes one.")


def _near(word: str, names: list[str]) -> list[str]:
    """Names that resemble the word, or have it in them; the best first, and at most three."""
    alike = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    holding = sorted(name for name in names if word and word in name)
    return list(dict.fromkeys([*alike, *holding]))[:3]
