"""Ports for programs that are stopped and started again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free port of loopback that stays ours: nobody else gets it, also while a program of ours is down.

    It is bound by us without listening. SO_REUSEADDR, set once it is ours, lets our program bind it too: mongod, Go's
    listeners and `octomesh` set it as well.
    """
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield int(reserved.getsockname()[1])
