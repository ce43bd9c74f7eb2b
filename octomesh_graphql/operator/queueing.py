"""The work queue: which keys are to be looked at, and when.

A key is never worked on by two at once; what is asked for while it is worked on is done afterwards, once. Failures
are tried again with growing pauses. What a key stands for does not belong here.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

PAUSE_SECONDS: Final = 0.15
"""Between two runs of the same key: a rollout tells a dozen changes within a second, one look sees them all."""

FIRST_RETRY_SECONDS: Final = 1.0
"""The pause after the first failure; it doubles with each one that follows directly."""

LONGEST_RETRY_SECONDS: Final = 60.0
"""The longest pause: nobody should have to wait longer for a cluster that works again."""


class WorkQueue(Generic[Key]):
    """Keys that wait for a worker: `take` one, work on it, and say `done` or `failed`, whatever happened."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._due: dict[Key, float] = {}
        self._order: list[tuple[float, int, Key]] = []  # may hold times that `_due` has replaced
        self._added = 0
        self._working: set[Key] = set()
        self._rested: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()

    def add(self, key: Key, after: float = 0.0) -> None:
        """Have it looked at in so many seconds, or sooner if somebody asked for that already."""
        now = self._clock()
        due = max(now + after, self._rested.get(key, now))
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        if key not in self._working:
            self._line_up(key)

    async def take(self) -> Key:
        """The next key, when it is due."""
        while True:
            self._changed.clear()
            key = self.next()
            if key is not None:
                return key
            await self._change()

    def next(self) -> Key | None:
        """A key that is due, if there is one; the taker works on it."""
        wait = self.wait()
        if wait is None or wait > 0:
            return None
        _, _, key = heapq.heappop(self._order)
        del self._due[key]
        self._working.add(key)
        return key

    def wait(self) -> float | None:
        """Seconds until a key is due; None: nothing waits."""
        while self._order:
            due, _, key = self._order[0]
            if key not in self._working and self._due.get(key) == due:
                return max(0.0, due - self._clock())
            heapq.heappop(self._order)
        return None

    def done(self, key: Key) -> None:
        """It went well: its failures are forgotten."""
        self._failures.pop(key, None)
        self._rest(key)

    def failed(self, key: Key, at_least: float = 0.0) -> None:
        """It did not: it is tried again by itself, later each time."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 10), LONGEST_RETRY_SECONDS)
        self._rest(key)
        self.add(key, after=max(at_least, pause * (0.75 + self._chance() / 2)))

    def __len__(self) -> int:
        """How many keys are due or being worked on; those that are to be looked at some time later do not count."""
        now = self._clock()
        return len(self._working) + sum(due <= now for key, due in self._due.items() if key not in self._working)

    def _rest(self, key: Key) -> None:
        self._working.discard(key)
        now = self._clock()
        for other in [other for other, until in self._rested.items() if until <= now]:
            del self._rested[other]
        self._rested[key] = now + PAUSE_SECONDS
        if key in self._due:
            self._due[key] = max(self._due[key], self._rested[key])
            self._line_up(key)

    def _line_up(self, key: Key) -> None:
        self._added += 1
        heapq.heappush(self._order, (self._due[key], self._added, key))
        self._changed.set()

    async def _change(self) -> None:
        """Wait until the first key is due, or until something was added before it."""
        try:
            async with asyncio.timeout(self.wait()):
                await self._changed.wait()
        except TimeoutError:
            return
