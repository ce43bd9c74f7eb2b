"""`octomesh serve` and `octomesh demo`: a server put together, run, and taken apart again."""
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import structlog

from octomesh_graphql import __version__, logs
from octomesh_graphql.actions.clock import now
from octomesh_graphql.actions.seeding import DEMO, seed_demo
from octomesh_graphql.actions.sweeping import sweeping
from octomesh_graphql.cli.database import Database, connected, own_database
from octomesh_graphql.cli.running import CommandFailed
from octomesh_graphql.settings import Settings, is_loopback, load_for_server
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry

log = structlog.get_logger()

Prepare = Callable[[Registry], Awaitable[None]]
Announce = Callable[[str, Database], None]


async def serve(flags: Mapping[str, Any], *, insecure: bool) -> None:
    """The server, until it is cancelled."""
    await _serve(load_for_server(flags, insecure=insecure), _hint_at_tenants, lambda url, database: None)


async def demo(flags: Mapping[str, Any], *, insecure: bool) -> None:
    """The server with the tenant `demo`, until it is cancelled."""

    async def seed(registry: Registry) -> None:
        if await seed_demo(registry, now()):
            log.info("demo tenant filled", tenant=DEMO)

    await _serve(load_for_server(flags, insecure=insecure), seed, _welcome)


async def _serve(settings: Settings, prepare: Prepare, announce: Announce) -> None:
    logs.configure(settings.log_format, settings.log_level)
    if not is_loopback(settings.host):
        log.warning("whoever reaches this address can read and change everything", host=settings.host)
    with bound_socket(settings.host, settings.port) as sock:
        url = settings.public_url or _url(sock, settings.host)
        async with own_database(settings) as database:
            log.info("starting", version=__version__, database=database.where)
            async with connected(settings, database) as registry:
                await prepare(registry)
                sessions = Sessions(registry)
                await sessions.prepare()
                async with Feed(registry).running() as feed, sweeping(sessions):
                    await _until_it_ends(sessions, feed, sock, database, lambda: _ready(url, database, announce))


async def _until_it_ends(
    sessions: Sessions, feed: Feed, sock: socket.socket, database: Database, ready: Callable[[], None]
) -> None:
    """Serve until cancelled. Raises `CommandFailed` when the server or its embedded MongoDB ends on its own."""
    from octomesh_graphql.api.app import create_app
    from octomesh_graphql.api.listening import AppFailed, listening

    try:
        app = create_app(sessions, feed)
        async with listening(app, sock, leaving=feed.leave, closing=feed.close_all) as serving:
            ready()
            dying = asyncio.create_task(_death_of_mongod(database))
            try:
                done, _ = await asyncio.wait({serving, dying}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                dying.cancel()
            for task in done:
                task.result()
    except (AppFailed, OSError) as error:
        raise CommandFailed(str(error)) from error


async def _death_of_mongod(database: Database) -> NoReturn:
    """Wait for what should not happen. Raises `CommandFailed` when it does."""
    mongod = database.embedded
    if mongod is None:
        await asyncio.Event().wait()  # another's MongoDB may come and go; the store tries again
        raise AssertionError
    status = await mongod.died()
    log.error("the embedded MongoDB ended on its own", status=status)
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    raise CommandFailed(
        f"The embedded MongoDB {how}, so the server stops too. Its log is {mongod.log}; what was acknowledged is "
        "stored, and a new start goes on from there."
    )


def _ready(url: str, database: Database, announce: Announce) -> None:
    log.info("listening", url=url)
    announce(url, database)


async def _hint_at_tenants(registry: Registry) -> None:
    if not await registry.tenants():
        log.info("there is no tenant yet", next="octomesh tenants create ID")


@contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """A socket of our own on this address, before anything else is started. Raises `CommandFailed`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            raise CommandFailed(_why_not_bound(host, port, error)) from error
        yield sock


def _why_not_bound(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            free = port + 1 if port < 65_535 else 8000
            return (
                f"Port {port} on {host} is in use by another program, perhaps another octomesh. "
                f"Choose another one with --port, for instance --port {free}, or --port 0 for any that is free."
            )
        case errno.EACCES:
            return f"Port {port} needs rights that this user lacks. Choose one above 1023 with --port."
        case _:
            reason = error.strerror or str(error)
            return f"It is not possible to listen on '{host}': {reason}. Give an address of this machine with --host."


def _url(sock: socket.socket, host: str) -> str:
    """Where a browser on this machine finds us."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{sock.getsockname()[1]}"


def _welcome(url: str, database: Database) -> None:
    print(
        f"""
  OctoMesh {__version__}: the demo is ready.

    Start here    {url}/
    GraphQL       {url}/tenants/{DEMO}/graphql  (in a browser: an explorer)
    Health        {url}/healthz

  The pools and adapters of the tenant '{DEMO}' are invented. Nothing is simulated in this version: wishes to deploy
  are stored, but no operator serves the pools yet, so they stay PENDING and say so.

    Data          {database.where}; it stays when you stop
    Stop          Ctrl-C
""",
        flush=True,
    )
