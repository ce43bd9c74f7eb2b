"""The pace at which a peer has to read what is written to it; else it would make us keep that for ever.

A slow line is no crime: what counts is that bytes go out, and a peer that has read ahead has earned time.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import termios
from contextlib import suppress
from typing import Any, Final

_PACE_BYTES: Final = 64 * 1024
"""What a peer has to read within `stalled_seconds`, or else all there is: the worst of lines can."""

_MOST_EARNED: Final = 3
"""For how many times `stalled_seconds` a peer may have read ahead: machines take a megabyte, and then nothing for
long."""

_LOOKS: Final = 4
"""How often in that time we look whether it did."""

_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # Linux's number, where Python has no name


class PacedProtocol(asyncio.Protocol):
    """Drops a peer that does not read what was written to it, the last words before closing included.

    The transport says when something begins to wait (`pause_writing`), and when all of it is gone (`resume_writing`).
    In between we look at it from time to time, and drop the peer when it did not keep pace.
    """

    config: Any  # a BoundedConfig
    loop: asyncio.AbstractEventLoop
    transport: Any
    _look: asyncio.TimerHandle | None = None
    _unread = 0
    _patient_until = 0.0

    @property
    def is_behind(self) -> bool:
        """Whether the peer has not taken all that was written."""
        return self._look is not None

    def connection_made(self, transport: Any) -> None:
        """Somebody is there."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # what waits is told from the first byte to the last
        _keep_waiting_here(transport)

    def pause_writing(self) -> None:
        """Something waits for the peer to read."""
        super().pause_writing()
        self._unread = self._waiting()
        self._patient_until = max(self._patient_until, self.loop.time() + self.config.limits.stalled_seconds)
        self._look_later()

    def resume_writing(self) -> None:
        """All of it is gone."""
        super().resume_writing()
        self._reckon()
        self._stop_looking()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        super().connection_lost(exc)
        self._stop_looking()

    def _waiting(self) -> int:
        """Bytes that the peer has not taken, those in the kernel included."""
        here: int = self.transport.get_write_buffer_size()
        return here + _in_kernel(self.transport)

    def _reckon(self) -> None:
        """What the peer has taken earns it time, also for what is written next."""
        seconds, unread = self.config.limits.stalled_seconds, self._waiting()
        taken = max(0, self._unread - unread)  # or more was written meanwhile
        self._unread = unread
        earned = self._patient_until + taken / _PACE_BYTES * seconds
        self._patient_until = min(earned, self.loop.time() + _MOST_EARNED * seconds)

    def _look_now(self) -> None:
        self._reckon()
        if self.loop.time() >= self._patient_until:
            self.transport.abort()
        else:
            self._look_later()

    def _look_later(self) -> None:
        self._stop_looking()
        self._look = self.loop.call_later(self.config.limits.stalled_seconds / _LOOKS, self._look_now)

    def _stop_looking(self) -> None:
        if self._look:
            self._look.cancel()
            self._look = None


def _keep_waiting_here(transport: Any) -> None:
    """Have the kernel take little more than it can send: it would take megabytes, and then nothing for minutes, however
    steadily a slow peer reads."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _PACE_BYTES // 4)


def _in_kernel(transport: Any) -> int:
    """Bytes that the peer's machine has not confirmed."""
    sock = transport.get_extra_info("socket")
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, AttributeError):
        return 0
