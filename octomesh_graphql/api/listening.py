"""The web server under the API: uvicorn, with the limits of the house, and without its own idea of signals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn

from octomesh_graphql.api.connections import BoundedConfig
from octomesh_graphql.limits import DEFAULT, Limits

_DRAIN_SECONDS: Final = 7
"""How long running requests may go on when the server stops. With the second or two that the embedded MongoDB takes
the whole stop stays within 10 s."""

_GOODBYE_SECONDS: Final = 1.0
"""From closing the sockets to ending what still runs for them."""


class AppFailed(Exception):
    """The application could not be started, or ended on its own; the log tells why."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, leaving: Callable[[], None], closing: Callable[[], None]) -> None:
        super().__init__(config)
        self._leaving = leaving
        self.listening = asyncio.Event()
        self._closing = closing

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal once more at the end, which would kill us before MongoDB is stopped.
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._leaving()
        # Not before the sockets are closed: a subscription that ends first is told `complete`, and its client would
        # not come back; closed with 1012 it does.
        asyncio.get_running_loop().call_later(_GOODBYE_SECONDS, self._closing)
        await super().shutdown(sockets)


@asynccontextmanager
async def listening(
    app: Any,
    sock: socket.socket,
    *,
    leaving: Callable[[], None],
    closing: Callable[[], None],
    limits: Limits = DEFAULT,
) -> AsyncIterator[asyncio.Task[None]]:
    """Serving `app` on a bound socket until the block ends; then requests are finished and WebSockets closed.

    The task that it gives ends only if the server does on its own, with `AppFailed`. `leaving` is called when
    the server begins to stop, `closing` when it has said goodbye to all WebSockets: it ends what still runs for them.
    """
    config = BoundedConfig(
        app,
        limits,
        log_config=None,  # logs are configured already
        access_log=False,  # it would write query strings
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    server = _Server(config, leaving, closing)
    serving = asyncio.create_task(_serve(server, sock))
    ready = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield serving
    finally:
        ready.cancel()
        server.should_exit = True
        await asyncio.wait({serving})


async def _serve(server: _Server, sock: socket.socket) -> None:
    try:
        await server.serve(sockets=[sock])
    except SystemExit as exit:  # uvicorn's way to say that the application did not start
        raise AppFailed("The application could not be started; the log tells why.") from exit
    if not server.should_exit:
        raise AppFailed("The web server ended on its own; the log tells why.")
