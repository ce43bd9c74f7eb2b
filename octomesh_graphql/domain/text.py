"""The rules for what people type: names, descriptions, image references, configurations.

Everything is kept as text and never interpreted; what can't be kept faithfully is refused with a reason.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from octomesh_graphql.domain.problem import InvalidValue

NAME_CHARACTERS: Final = 100
"""Longest name, in characters: fits one line of a table; names are for people, identifiers are `rtId`."""

DESCRIPTION_CHARACTERS: Final = 2_000
"""Longest description, in characters: a few paragraphs, so that a page of 500 pools stays around a megabyte."""

CONFIGURATION_BYTES: Final = 64 * 1024
"""Largest configuration, as UTF-8 JSON: well below the 1 MiB of a Kubernetes Secret that carries it."""

CONFIGURATION_DEPTH: Final = 32
"""Deepest nesting of a configuration: far beyond what people write, far below what exhausts a parser."""

_IMAGE_NAME = re.compile(
    r"(?=.{1,255}\Z)"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
)
_HEALTH_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,199}")
_IMAGE_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64}")
_BLANKS = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
_BRAILLE_BLANK = "\u2800"  # to Unicode a pattern without dots, to people a blank
_IGNORED = re.compile(  # Default_Ignorable_Code_Point of Unicode 16, which Python's unicodedata lacks
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")  # what comes behind is shown in another direction
_KEY_SEPARATOR = "\x1f"  # sorts before every character a name may have


def clean(text: str) -> str:
    """The text as it is stored: composed (NFC), so that the same letters are the same bytes, and trimmed."""
    return unicodedata.normalize("NFC", text).strip()


def clean_name(name: str) -> str:
    """The name as it is stored: clean, and with single plain blanks between its words."""
    return _BLANKS.sub(" ", clean(name))


def name_key(name: str) -> str:
    """What a name is compared and sorted by: equal for names that differ in case or in what nobody sees, such as a soft
    hyphen or how many blanks there are; `Öl` next to `Ol`."""
    seen = "".join(c for c in name if not _directs(c)).replace(_BRAILLE_BLANK, " ")
    folded = unicodedata.normalize("NFC", clean_name(seen).casefold())
    bare = "".join(c for c in unicodedata.normalize("NFD", folded) if not unicodedata.combining(c))
    return bare + _KEY_SEPARATOR + folded


def storable(text: str) -> bool:
    """Whether it is whole characters; a client's JSON can hold half of one (a lone surrogate)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def name_problems(name: str) -> Iterator[InvalidValue]:
    """Why a name can't be taken, if it can't."""
    if not name:
        yield InvalidValue(message="A name is missing.", path=("name",))
    elif not any(_visible(character) for character in name):
        yield InvalidValue(message="A name must have at least one visible character.", path=("name",))
    elif len(name) > NAME_CHARACTERS:
        yield _too_long("name", "The name", len(name), NAME_CHARACTERS)
    if unprintable := _first_control_character(name, allowed="") or _first_turning_character(name):
        yield _control_character("name", "The name", unprintable)


def description_problems(description: str | None) -> Iterator[InvalidValue]:
    """Why a description can't be taken, if it can't."""
    if description is None:
        return
    if len(description) > DESCRIPTION_CHARACTERS:
        yield _too_long("description", "The description", len(description), DESCRIPTION_CHARACTERS)
    if unprintable := _first_control_character(description, allowed="\n\r\t"):
        yield _control_character("description", "The description", unprintable)


def image_problems(image_name: str, image_version: str) -> Iterator[InvalidValue]:
    """Why an image can't be taken, if it can't; the rules are those of OCI image references."""
    if not image_name.strip():
        yield InvalidValue(message="The name of an image is missing.", path=("imageName",))
    elif not _IMAGE_NAME.fullmatch(image_name):
        yield InvalidValue(
            message=f"'{shown(image_name)}' is not the name of a container image. A name looks like "
            "'registry.example.com/plant/opcua-adapter', without a version.",
            path=("imageName",),
        )
    if not image_version.strip():
        yield InvalidValue(message="A version is missing.", path=("imageVersion",))
    elif not _IMAGE_VERSION.fullmatch(image_version):
        yield InvalidValue(
            message=f"'{shown(image_version)}' is not the version of a container image. A version looks like "
            "'3.13.2' (a tag) or 'sha256:…' (a digest).",
            path=("imageVersion",),
        )


def port_problems(port: int | None, health_path: str | None) -> Iterator[InvalidValue]:
    """Why these can't be the port of an adapter and the path of its health, if they can't."""
    if port is not None and not 1 <= port <= 65_535:
        yield InvalidValue(message=f"{port} is not a port: it must be from 1 to 65535.", path=("port",))
    if health_path is None:
        return
    if port is None:
        yield InvalidValue(message="A healthPath needs a port to be asked on.", path=("healthPath",))
    if not _HEALTH_PATH.fullmatch(health_path):
        yield InvalidValue(
            message=f"'{shown(health_path)}' is not the path of a URL: it looks like '/healthz'.", path=("healthPath",)
        )


def configuration_problems(configuration: Any) -> Iterator[InvalidValue]:
    """Why a configuration can't be taken, if it can't."""
    path = ("configuration",)
    if next(islice(layers(configuration), CONFIGURATION_DEPTH + 1, None), None):
        yield InvalidValue(
            message=f"The configuration is nested more than {CONFIGURATION_DEPTH} levels deep.", path=path
        )
        return
    try:
        size = len(json.dumps(configuration, ensure_ascii=False, allow_nan=False).encode())
    except TypeError:
        yield InvalidValue(
            message="The configuration holds an enum value or a time, which JSON does not have. Give it as text.",
            path=path,
        )
        return
    except ValueError:
        yield InvalidValue(
            message="The configuration holds something JSON can't carry: NaN, infinity, or half a character "
            "(a lone surrogate).",
            path=path,
        )
        return
    if size > CONFIGURATION_BYTES:
        yield InvalidValue(
            message=f"The configuration has {size:,} bytes as JSON; at most {CONFIGURATION_BYTES:,} are kept. "
            "Put large data where the adapter can fetch it.",
            path=path,
        )


def shown(text: str, limit: int = 60) -> str:
    """A user's text, safe and short enough to be quoted in a message or a log line."""
    printable = "".join(c if c.isprintable() else "�" for c in text)
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"


def _visible(character: str) -> bool:
    """Not a blank, and not seen only by what it does to others, like an accent or the joiner inside an emoji."""
    if character == _BRAILLE_BLANK or _directs(character):
        return False
    return unicodedata.category(character) not in ("Cc", "Cs", "Me", "Mn", "Zl", "Zp", "Zs")


def _directs(character: str) -> bool:
    """Whether nobody sees it by itself: it says how others are to be shown, or fills a place."""
    return unicodedata.category(character) == "Cf" or _IGNORED.match(character) is not None


def _first_control_character(text: str, *, allowed: str) -> str | None:
    refused = ("Cc", "Cs", "Zl", "Zp")
    return next((c for c in text if unicodedata.category(c) in refused and c not in allowed), None)


def _first_turning_character(text: str) -> str | None:
    found = _TURNING.search(text)
    return found and found[0]


def _control_character(field: str, subject: str, character: str) -> InvalidValue:
    return InvalidValue(
        message=f"{subject} holds the control character U+{ord(character):04X}, which can't be shown. Remove it.",
        path=(field,),
    )


def _too_long(field: str, subject: str, length: int, limit: int) -> InvalidValue:
    return InvalidValue(message=f"{subject} has {length:,} characters; at most {limit:,} are kept.", path=(field,))


def layers(value: Any) -> Iterator[list[Any]]:
    """A JSON value, what its list or object holds, what the lists and objects there hold, and so on, as long as there
    is anything: without recursion, so nothing is nested too deeply for this."""
    layer = [value]
    while layer:
        yield layer
        held = [each.values() if isinstance(each, dict) else each for each in layer if isinstance(each, dict | list)]
        layer = [each for values in held for each in values]


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; to Python `true`, `1` and `1.0` are equal, to an adapter they are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
