"""Memory as a program with many threads takes it, of which few are busy: the database's driver has fifty and more."""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Final

_STACK_BYTES: Final = 1024 * 1024
"""Of a thread. Linux reserves eight; the driver's need a tenth of one."""

_ARENAS: Final = 2
"""Heaps that the threads share. glibc makes eight for each processor, and hands little of them back: after many large
answers a server held 595 MB, and holds 170."""

_M_ARENA_MAX: Final = -8  # malloc.h


def share_memory() -> None:
    """Have all threads that begin from now on share what they need. Where there is no glibc only stacks are smaller."""
    threading.stack_size(_STACK_BYTES)
    mallopt: Any = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_ARENA_MAX, _ARENAS)
