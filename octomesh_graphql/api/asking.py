"""What a client asks for, by whichever way it comes: a JSON value, and the GraphQL request that it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from octomesh_graphql.domain.text import layers

DEEPEST: Final = 200
"""Levels to which JSON may be nested: far more than a configuration may have, and a fifth of what Python can walk."""


class Unclear(Exception):
    """It is not what it has to be; the message tells the client why."""


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


def json_in(data: bytes | str, what: str) -> Any:
    """A JSON value, as the standard has it; `what` names it in the message. Raises `Unclear`, for NaN too."""
    try:
        text = data if isinstance(data, str) else data.decode()
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise _too_deep(what) from error
    except ValueError as error:
        raise Unclear(f"{what} is not JSON in UTF-8.") from error
    if text.count("[") + text.count("{") > DEEPEST:
        beyond = next(islice(layers(value), DEEPEST, None), [])
        if any(isinstance(each, dict | list) for each in beyond):
            raise _too_deep(what)
    return value


def _too_deep(what: str) -> Unclear:
    return Unclear(f"{what} is nested more than {DEEPEST} levels deep.")


def check_characters(value: Any, what: str) -> None:
    """Raises `Unclear` for half a character in a JSON value, which nothing behind could name as well."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ord(error.object[error.start])
        raise Unclear(f"{what} holds half a character (U+{half:04X}). Send whole ones.") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def request_in(value: Any) -> Asked:
    """The GraphQL request that a JSON value is. Raises `Unclear`."""
    if isinstance(value, list):
        raise Unclear("Batches are not served. Send one operation in each request.")
    if not isinstance(value, dict):
        raise Unclear("A GraphQL request is a JSON object with the text of a document as 'query'.")
    query, variables, name = value.get("query"), value.get("variables"), value.get("operationName")
    if not isinstance(query, str):
        raise Unclear("The request has no text of a document as 'query'.")
    if not isinstance(variables, dict | None):
        raise Unclear("'variables' has to be an object.")
    if not isinstance(name, str | None):
        raise Unclear("'operationName' has to be text.")
    if not isinstance(value.get("extensions"), dict | None):
        raise Unclear("'extensions' has to be an object.")
    return Asked(query, variables, name or None)
