"""What an API server, and the way to it, can do to an operator: kinds of `Meddling`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from aiohttp import web

from tests.cluster.meddling import Cut, Dropped, Meddling, Said

When = Literal["before", "after"]
"""Before it arrives, or when it has arrived and nobody has been told yet."""

LOST: Final = 0
"""Instead of a status: what was asked for is done, and the answer never comes."""

RETRY_AFTER_SECONDS: Final = 2

_REASONS: Final = {
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class Trap(Meddling):
    """Holds the n-th write about something, until it is let go or dropped."""

    def __init__(self, ids: Iterable[str], number: int, *, when: When) -> None:
        self.ids = list(ids)
        self.number = number
        self.when = when
        self.said: Said | None = None
        """What it caught."""
        self.caught = asyncio.Event()
        self.arrived = asyncio.Event()
        """Set when it was answered."""
        self._over = asyncio.Event()
        self._dropped = False
        self._count = 0

    async def before(self, said: Said) -> web.Response | None:
        if said.writes and said.about(self.ids):
            self._count += 1
            if self._count == self.number:
                self.said = said
        if self.when == "before":
            await self._hold(said)
        return None

    async def after(self, said: Said) -> None:
        if said is self.said:
            self.arrived.set()
        if self.when == "after":
            await self._hold(said)

    async def _hold(self, said: Said) -> None:
        if said is not self.said:
            return
        self.caught.set()
        await self._over.wait()
        if self._dropped:
            raise Dropped

    def let_go(self) -> None:
        """It goes where it was going to."""
        self._over.set()

    def drop(self) -> None:
        """It, or its answer, never gets there."""
        self._dropped = True
        self._over.set()


class Refusal(Meddling):
    """The n-th write about something gets this status, as if it had not come through."""

    def __init__(self, ids: Iterable[str], number: int, status: int) -> None:
        self.ids = list(ids)
        self.number = number
        self.status = status
        self.said: Said | None = None
        """What was refused."""
        self._count = 0

    async def before(self, said: Said) -> web.Response | None:
        if not (said.writes and said.about(self.ids)):
            return None
        self._count += 1
        if self._count == self.number:
            self.said = said
        return refused(self.status) if said is self.said and self.status != LOST else None

    async def after(self, said: Said) -> None:
        if said is self.said:
            raise Dropped


class Each(Meddling):
    """Several at once; the first that has an answer gives it."""

    def __init__(self, parts: Sequence[Meddling]) -> None:
        self.parts = parts

    async def before(self, said: Said) -> web.Response | None:
        for part in self.parts:
            if answer := await part.before(said):
                return answer
        return None

    async def after(self, said: Said) -> None:
        for part in self.parts:
            await part.after(said)


class Outage(Meddling):
    """Whatever is asked for gets this status, and watches break."""

    def __init__(self, status: int) -> None:
        self.status = status

    async def before(self, said: Said) -> web.Response | None:
        return refused(self.status)

    async def watched(self, said: Said, line: bytes) -> list[bytes]:
        raise Cut


class Silence(Meddling):
    """Nothing gets through in either direction, until it is over; then all of it does."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def before(self, said: Said) -> web.Response | None:
        await self.over.wait()
        return None

    async def watched(self, said: Said, line: bytes) -> list[bytes]:
        await self.over.wait()
        return [line]


class SilentWatches(Silence):
    """Requests are answered, and watches tell nothing any more."""

    async def before(self, said: Said) -> web.Response | None:
        return None


class HalfLines(Meddling):
    """Each watch breaks in the middle of the next thing it tells."""

    async def watched(self, said: Said, line: bytes) -> list[bytes]:
        raise Cut(line[: len(line) // 2])


class Expired(Meddling):
    """Each watch ends with 410 Gone instead of the next thing it tells."""

    async def watched(self, said: Said, line: bytes) -> list[bytes]:
        raise Cut(json.dumps({"type": "ERROR", "object": _status(410)}).encode() + b"\n")


class Unwatchable(Meddling):
    """No watch begins: each is told 410 Gone at once, and those that had begun are cut."""

    async def before(self, said: Said) -> web.Response | None:
        return refused(410) if said.what.startswith("WATCH") else None

    async def watched(self, said: Said, line: bytes) -> list[bytes]:
        raise Cut


class Bookmarks(Meddling):
    """Watches tell in bookmarks only how time passes; what happened meanwhile is told when they break off."""

    def __init__(self) -> None:
        self._kept: dict[Said, int] = {}

    async def watched(self, said: Said, line: bytes) -> list[bytes]:
        event = json.loads(line)
        seen = self._kept.setdefault(said, int(event["object"]["metadata"]["resourceVersion"]) - 1)
        object = {key: event["object"][key] for key in ("kind", "apiVersion")}
        bookmark = {"type": "BOOKMARK", "object": object | {"metadata": {"resourceVersion": str(seen)}}}
        raise Cut(3 * (json.dumps(bookmark).encode() + b"\n"))


class Stammer(Meddling):
    """Watches tell everything twice, and the last thing once more after the next."""

    def __init__(self) -> None:
        self._last: dict[Said, bytes] = {}

    async def watched(self, said: Said, line: bytes) -> list[bytes]:
        last = self._last.get(said, line)
        self._last[said] = line
        return [line, last, line, last]


def refused(status: int) -> web.Response:
    """As the API server says it."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status in (429, 503) else {}
    return web.json_response(_status(status), status=status, headers=headers)


def _status(code: int) -> dict[str, Any]:
    said = {"status": "Failure", "code": code, "reason": _REASONS[code], "message": f"{code}, says who stands between"}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}} | said
