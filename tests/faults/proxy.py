"""A wire between two programs on this machine: it can be cut, slowed down, or swallow what it should carry."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum

Caller = Callable[[bytes], bool]
"""Whether a connection is meant, by the first bytes that whoever opened it said."""


class Way(Enum):
    """Where bytes go."""

    THERE = "to the one who was called"
    BACK = "to the caller"


class Proxy:
    """Passes bytes on, both ways, unless told otherwise."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.delay = 0.0
        """Seconds that each piece is held back."""
        self.breaks_after: int | None = None
        """Bytes on their way back after which a connection breaks, in the middle of whatever is said."""
        self._swallowing: Callable[[Way, bytes], bool] | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Listening until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.heal()
            self.cut()

    def swallow(self, *ways: Way, callers: Caller = lambda hello: True) -> None:
        """From now on nothing comes through that way (none given: either), and nobody is told."""
        self._swallowing = lambda way, hello: way in (ways or Way) and callers(hello)

    def heal(self) -> None:
        """Everything comes through again, what was held back too: as TCP repeats it."""
        self.delay, self.breaks_after, self._swallowing = 0.0, None, None

    def cut(self) -> None:
        """All connections break now. New ones may be opened."""
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, onward}
        self._open |= both
        try:
            hello = await reader.read(65_536)
            there_again = self._pass_on(Way.THERE, hello, reader, onward, first=hello)
            await asyncio.gather(there_again, self._pass_on(Way.BACK, hello, there, writer))
        except ConnectionError:
            pass
        finally:
            self._open -= both
            for end in both:
                end.transport.abort()

    async def _pass_on(
        self, way: Way, hello: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b""
    ) -> None:
        passed = 0
        with contextlib.suppress(ConnectionError):
            while piece := first or await reader.read(65_536):
                first = b""
                await asyncio.sleep(self.delay)
                while self._swallowing and self._swallowing(way, hello):
                    await asyncio.sleep(0.01)
                if way is Way.BACK and self.breaks_after is not None and passed + len(piece) > self.breaks_after:
                    writer.write(piece[: self.breaks_after - passed])
                    await writer.drain()
                    raise ConnectionAbortedError
                writer.write(piece)
                await writer.drain()
                passed += len(piece)
        writer.close()
