"""GraphQL over HTTP, as the specification of that name wants it: from the head of a request to its answer.

The guards stand in the order of this file, each before what it protects. Nothing here knows what the schema is about.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from octomesh_graphql.api.asking import Asked, Unclear, check_characters, json_in, request_in
from octomesh_graphql.api.errors import FailureCode
from octomesh_graphql.api.schema import ServedSchema, TookTooLong
from octomesh_graphql.limits import Limits

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"

ACCEPT_CHARACTERS: Final = 1_000
"""Longest list of media types that is read: browsers send 150, and whoever sends it need not have shown a token yet."""

_EXACT: Final = 2
"""How exactly a media range names a type: by its full name."""

_TYPE_CHARACTERS: Final = 200
"""As much of a Content-Type as is read; what comes behind says nothing about JSON."""

_UNAVAILABLE: Final = 503
_SOON: Final = {"retry-after": "2"}

_READS: Final = {OperationType.QUERY}
_WRITES: Final = {OperationType.QUERY, OperationType.MUTATION}

_STATUS: Final = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "TENANT_NOT_FOUND": 404,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": _UNAVAILABLE,
}
"""For operations that were not run, where the client understands statuses; all others are 400."""


class Rejected(Exception):
    """The request is answered without running anything; the message tells the client why."""

    def __init__(self, status: int, code: FailureCode, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


def unavailable(message: str) -> Rejected:
    """What whoever comes back in a moment may find better."""
    return Rejected(_UNAVAILABLE, FailureCode.UNAVAILABLE, message, _SOON)


STOPS: Final = unavailable("The server stops. Try again in a moment.")
"""For what a server that stops can't wait for."""


async def answered(request: Request, schema: ServedSchema, enter: Callable[[], Awaitable[Any]]) -> Response:
    """The answer to a request; `enter` lets the client in and gives the context of its operation.

    Raises what `enter` raises.
    """
    try:
        media_type = understood(accepted(request))
    except Rejected as no:
        return rejection(no)
    try:
        _check_head(request, schema.limits)
        context = await enter()
        asked = await _asked(request, schema.limits)
        result = await _run(schema, asked, context, _READS if request.method == "GET" else _WRITES)
    except Rejected as no:
        return rejection(no, media_type)
    except Unclear as no:
        return rejection(_malformed(str(no)), media_type)
    return _answer(result, media_type)


# The head


def accepted(request: Request) -> str:
    """All `Accept` lines of a request as one."""
    return ", ".join(request.headers.getlist("accept"))


def understood(accept: str) -> str:
    """The media type that the client likes best. Raises `Rejected` when it understands none of ours."""
    if not accept.strip():
        return JSON
    if len(accept) > ACCEPT_CHARACTERS:
        raise _malformed(f"'Accept' has more than {ACCEPT_CHARACTERS:,} characters.")
    ranges = _ranges(accept)
    likings = {each: _liking(each, ranges) for each in (GRAPHQL_RESPONSE, JSON)}
    best = max(likings, key=lambda each: likings[each])  # liked equally: the first
    weight, exact = likings[best]
    if weight == 0:
        message = f"The answer can be had as {GRAPHQL_RESPONSE} or {JSON}, and 'Accept' wants neither."
        raise Rejected(406, FailureCode.NOT_ACCEPTABLE, message)
    return best if exact == _EXACT or likings[JSON][0] < weight else JSON


def wants_page(accept: str) -> bool:
    """Whether this is a browser that opens a page, and not a program that takes anything."""
    return dict(_ranges(accept[:ACCEPT_CHARACTERS])).get("text/html", 0) > 0


def _ranges(accept: str) -> list[tuple[str, float]]:
    return [_range(each) for each in accept.split(",")]


def _range(text: str) -> tuple[str, float]:
    """One media range of an Accept header, and its weight."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
    try:
        weight = float(weights[0]) if weights else 1.0
    except ValueError:
        weight = 0.0
    return name, weight if 0 <= weight <= 1 else 0.0


def _liking(media_type: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """The weight of a media type, by the range that names it most exactly, and how exactly that is."""
    names = {media_type: _EXACT, "application/*": 1, "*/*": 0}
    found = [(names[name], weight) for name, weight in ranges if name in names]
    exact, weight = max(found, default=(0, 0.0))
    return weight, exact


def _check_head(request: Request, limits: Limits) -> None:
    """Raises `Rejected` for what can be seen before the body is read."""
    if request.method == "GET":
        if len(request.scope["query_string"]) > limits.query_string_bytes:
            message = f"The query string has more than {limits.query_string_bytes:,} bytes. Post what is longer."
            raise Rejected(414, FailureCode.URI_TOO_LONG, message)
        return
    if request.method != "POST":
        message = f"{request.method} is not served: use GET for queries, and POST for all else."
        raise Rejected(405, FailureCode.METHOD_NOT_ALLOWED, message, {"allow": "GET, POST"})
    _check_type(request.headers.get("content-type", ""))
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        message = "A compressed body is not read. Send it as it is."
        raise Rejected(415, FailureCode.UNSUPPORTED_MEDIA_TYPE, message)
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > limits.body_bytes:
        raise _too_large(limits)


def _check_type(content_type: str) -> None:
    name, *parameters = (part.strip().lower().replace('"', "") for part in content_type[:_TYPE_CHARACTERS].split(";"))
    charsets = [each.partition("=")[2] for each in parameters if each.startswith("charset=")]
    if name != JSON or any(charset not in ("utf-8", "utf8") for charset in charsets):
        message = f"A body has to be JSON in UTF-8: send it with 'Content-Type: {JSON}'."
        raise Rejected(415, FailureCode.UNSUPPORTED_MEDIA_TYPE, message)


# What is asked


async def _asked(request: Request, limits: Limits) -> Asked:
    """Raises `Rejected`, `Unclear`, and ClientDisconnect."""
    asked = request_in(
        _queried(request) if request.method == "GET" else _json(await _body(request, limits), "The body")
    )
    if not asked.query:
        raise Unclear("The request has no text of a document as 'query'.")
    return asked


def _queried(request: Request) -> dict[str, Any]:
    """What a query string asks for. Raises `Unclear`."""
    given = request.query_params
    variables = _json(given["variables"].encode(errors="replace"), "'variables'") if "variables" in given else None
    return {"query": given.get("query"), "variables": variables, "operationName": given.get("operationName")}


async def _body(request: Request, limits: Limits) -> bytes:
    """Raises `Rejected` when it is too large or too slow, and ClientDisconnect."""
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                body += part
                if len(body) > limits.body_bytes:
                    raise _too_large(limits)
    except TimeoutError as error:
        message = f"The body did not arrive within {limits.body_seconds:g} s."
        raise Rejected(408, FailureCode.TIMEOUT, message, {"connection": "close"}) from error
    return bytes(body)


def _too_large(limits: Limits) -> Rejected:
    message = f"The body has more than {limits.body_bytes:,} bytes. Send less at once."
    return Rejected(413, FailureCode.PAYLOAD_TOO_LARGE, message, {"connection": "close"})


def _json(data: bytes, what: str) -> Any:
    """A JSON value. Raises `Unclear`."""
    value = json_in(data, what)
    if b"\\ud" in data.lower():
        check_characters(value, what)
    return value


def _malformed(message: str) -> Rejected:
    return Rejected(400, FailureCode.BAD_REQUEST, message)


# The answer


async def _run(schema: ServedSchema, asked: Asked, context: Any, allowed: set[OperationType]) -> ExecutionResult:
    """Raises `Rejected` for what can't be run this way."""
    try:
        return await schema.execute(
            asked.query,
            variable_values=asked.variables,
            operation_name=asked.operation_name,
            context_value=context,
            allowed_operation_types=allowed,
        )
    except InvalidOperationTypeError as error:
        raise _elsewhere(error.operation_type) from error
    except TookTooLong as error:
        raise Rejected(504, FailureCode.TIMEOUT, str(error)) from error


def _elsewhere(kind: OperationType) -> Rejected:
    """Why an operation of this kind is not run here."""
    if kind is OperationType.SUBSCRIPTION:
        return _malformed("Subscriptions are served over a WebSocket on this URL (graphql-transport-ws).")
    message = "Mutations are not run by GET. Use POST."
    return Rejected(405, FailureCode.METHOD_NOT_ALLOWED, message, {"allow": "POST"})


def _answer(result: ExecutionResult, media_type: str) -> Response:
    errors = result.errors or []
    body: dict[str, Any] = {"data": result.data}
    if errors:
        body["errors"] = [error.formatted for error in errors]
    if result.extensions:
        body["extensions"] = result.extensions
    if result.data is not None or any(error.path for error in errors):
        return _response(200, body, media_type)
    del body["data"]  # nothing was run
    status = _status(errors) if media_type == GRAPHQL_RESPONSE else 200
    return _response(status, body, media_type, _SOON if status == _UNAVAILABLE else None)


def _status(errors: list[GraphQLError]) -> int:
    code = (errors[0].extensions or {}).get("code") if errors else None
    return _STATUS.get(str(code), 400)


def rejection(no: Rejected, media_type: str = JSON) -> Response:
    """An answer without data, in the form of a GraphQL response."""
    body = {"errors": [{"message": str(no), "extensions": {"code": no.code.value}}]}
    return _response(no.status, body, media_type, no.headers)


def _response(status: int, body: Any, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    more = {"cache-control": "no-store", **(headers or {})}
    return Response(encoded(body), status_code=status, media_type=f"{media_type}; charset=utf-8", headers=more)


def encoded(data: Any) -> str:
    """JSON without blanks, and with every character as itself: escaped, some texts would be three times as long."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which a client wrote into a document and is shown again
        return json.dumps(data, separators=(",", ":"))
    return text
