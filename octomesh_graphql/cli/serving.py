"""`octomesh serve` and `octomesh demo`: a server put together, run, and taken apart again."""
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog

from octomesh_graphql import __version__, logs
from octomesh_graphql.actions.clock import now
from octomesh_graphql.actions.seeding import DEMO, seed_demo
from octomesh_graphql.actions.sweeping import sweeping
from octomesh_graphql.cli.database import Database, connected, own_database
from octomesh_graphql.cli.running import CommandFailed
from octomesh_graphql.settings import Settings, is_loopback, load_for_server
from octomesh_graphql.store.abandoned import ending_abandoned
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry

log = structlog.get_logger()

Beside = Callable[[Sessions, Feed, str], Coroutine[Any, Any, None]]
"""What runs beside the server as long as it does, told where this machine reaches it."""


@dataclass(frozen=True, kw_only=True)
class _Program:
    """What makes `serve` and `demo` differ."""

    prepare: Callable[[Registry], Awaitable[None]]
    announce: Callable[[str, Database], None] = lambda url, database: None
    beside: Beside | None = None
    default_tenant: str | None = None
    """Where a browser is led that names no tenant."""
    quiet: Sequence[str] = ()
    """Loggers that would bury what is announced; who asks for a level hears them."""


async def serve(flags: Mapping[str, Any], *, insecure: bool) -> None:
    """The server, until it is cancelled."""
    await _serve(load_for_server(flags, insecure=insecure), _Program(prepare=_hint_at_tenants))


async def demo(flags: Mapping[str, Any], *, insecure: bool) -> None:
    """The server with the tenant `demo` and an operator whose cluster is simulated, until it is cancelled."""
    from octomesh_graphql.cli.demonstrating import plants

    async def seed(registry: Registry) -> None:
        if await seed_demo(registry, now()):
            log.info("demo tenant filled", tenant=DEMO)

    quiet = ("octomesh_graphql.operator",)
    program = _Program(prepare=seed, announce=_welcome, beside=plants, default_tenant=DEMO, quiet=quiet)
    settings = load_for_server(flags, insecure=insecure)
    if settings.oidc_issuer:
        raise CommandFailed(
            "The demo asks nobody who they are. Leave OCTOMESH_OIDC_ISSUER away, or use octomesh serve."
        )
    await _serve(settings, program)


async def _serve(settings: Settings, program: _Program) -> None:
    quiet = () if "log_level" in settings.model_fields_set else program.quiet
    logs.configure(settings.log_format, settings.log_level, quiet=quiet)
    if settings.oidc_report_only:
        log.warning("nobody is refused; this log tells who would be", issuer=settings.oidc_issuer)
    elif not settings.oidc_issuer and not is_loopback(settings.host):
        log.warning("whoever reaches this address can read and change everything", host=settings.host)
    with bound_socket(settings.host, settings.port) as sock:
        here = _url(sock, settings.host)
        url = settings.public_url or here
        async with own_database(settings) as database:
            log.info("starting", version=__version__, database=database.where)
            async with connected(settings, database) as registry, ending_abandoned(registry.mongo):
                await program.prepare(registry)
                sessions = Sessions(registry, settings.lease_seconds)
                await sessions.prepare()
                async with (
                    Feed(registry).running() as feed,
                    sweeping(sessions),
                    _listening(settings, sessions, feed, sock, program.default_tenant) as serving,
                ):
                    log.info("listening", url=url)
                    program.announce(url, database)
                    beside = [program.beside(sessions, feed, here)] if program.beside else []
                    await _until_one_ends(serving, _death_of_mongod(database), *beside)


@asynccontextmanager
async def _listening(
    settings: Settings, sessions: Sessions, feed: Feed, sock: socket.socket, default_tenant: str | None
) -> AsyncIterator[asyncio.Task[None]]:
    """Answering on the socket; the task ends only if the server does on its own. Raises `CommandFailed`."""
    from octomesh_graphql.api.admitting import gate_of
    from octomesh_graphql.api.app import create_app
    from octomesh_graphql.api.listening import AppFailed, listening

    try:
        gate = gate_of(settings.oidc_issuer, settings.oidc_audience, reports_only=settings.oidc_report_only)
        limits = settings.limits
        names = _names(settings)
        origins = [settings.public_url] if settings.public_url else []
        app = create_app(
            sessions, feed, gate=gate, limits=limits, default_tenant=default_tenant, names=names, origins=origins
        )
        asking = asyncio.create_task(gate.prepare())
        try:
            async with listening(app, sock, leaving=feed.leave, closing=feed.close_all, limits=limits) as serving:
                yield serving
        finally:
            asking.cancel()
    except (AppFailed, OSError) as error:
        raise CommandFailed(str(error)) from error


def _names(settings: Settings) -> Collection[str] | None:
    """By which names browsers may ask besides those of this machine; None for any."""
    if (settings.oidc_issuer and not settings.oidc_report_only) or not is_loopback(settings.host):
        return None
    return [settings.host] + ([settings.public_url.split("/")[2]] if settings.public_url else [])


async def _until_one_ends(serving: asyncio.Task[None], *others: Coroutine[Any, Any, Any]) -> None:
    """Until the first of them ends or fails, which none of them should. The others end before the server does."""
    tasks = [asyncio.ensure_future(other) for other in others]
    try:
        done, _ = await asyncio.wait({serving, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


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

    Admin Panel   {url}/
    GraphQL       {url}/tenants/{DEMO}/graphql  (in a browser: GraphiQL)
    Health        {url}/healthz

  The plants of the tenant '{DEMO}' are invented, and the cluster in which their adapters run is simulated in memory.
  The operator that deploys them is the real one: change something and watch.

    Data          {database.where}; it stays when you stop
    Logs          with --log-level info they tell what the operator does, too
    Stop          Ctrl-C
""",
        flush=True,
    )
