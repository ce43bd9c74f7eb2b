"""How a command runs: on a fast event loop, stopped by a signal, its expected failures told in a sentence."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
import uvloop

from octomesh_graphql.cli import FAILED, MISUSED
from octomesh_graphql.cli.memory import share_memory
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.settings import WrongSettings

STOP_SECONDS: Final = 10.0
"""From the first signal to the end, whatever hangs. Kubernetes and Docker kill after 30 and 10."""

Program = Callable[[], Coroutine[Any, Any, None]]
Failures = tuple[type[Exception], ...]
"""What a program is expected to fail by, besides `CommandFailed`; each tells itself in a sentence."""

log = structlog.get_logger()


class CommandFailed(Exception):
    """What was asked for could not be done; the message tells what, which one, and what would help."""


def run(program: Program, failures: Failures = ()) -> int:
    """Run a program that has an end. Stopped before, its exit code tells by which signal, as shells expect."""
    return _run(program, failures, lambda number: 128 + number)


def run_until_stopped(program: Program, failures: Failures = ()) -> int:
    """Run a program that ends by a signal only: for a server that is success."""
    return _run(program, failures, lambda _: 0)


def _run(program: Program, failures: Failures, exit_code: Callable[[int], int]) -> int:
    share_memory()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            stopped_by = runner.run(_stoppable(program))
    except WrongSettings as error:
        return _told(error, MISUSED)
    except (CommandFailed, Refused) as error:
        return _told(error, FAILED)
    except failures as error:
        return _told(error, FAILED)
    return exit_code(stopped_by) if stopped_by else 0


async def _stoppable(program: Program) -> int | None:
    """Run it to its end; the first signal asks it to stop, the second does not ask. Returns the signal, if any."""
    running = asyncio.ensure_future(program())
    loop = asyncio.get_running_loop()
    stopped_by: list[int] = []

    def stop(number: signal.Signals) -> None:
        if stopped_by:
            _exit_at_once("Stopped at once; the embedded MongoDB, if any, recovers from its journal.")
        stopped_by.append(number)
        log.info("stopping", signal=number.name)
        loop.call_later(STOP_SECONDS, _exit_at_once, f"Stopped the hard way: {STOP_SECONDS:.0f} s were not enough.")
        running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        await running
    except asyncio.CancelledError:
        if not stopped_by:
            raise
        log.info("stopped")
    return stopped_by[0] if stopped_by else None


def _exit_at_once(why: str) -> None:
    # The kernel kills our mongod with us.
    print(f"octomesh: {why}", file=sys.stderr, flush=True)
    os._exit(FAILED)


def _told(error: Exception, exit_code: int) -> int:
    print(f"octomesh: {error}", file=sys.stderr)
    return exit_code
