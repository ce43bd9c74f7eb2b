"""Asking: a command of the client from its flags to its end, and what it reads beside them."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from octomesh_graphql import logs
from octomesh_graphql.cli import FAILED, MISUSED, running
from octomesh_graphql.cli.client.connection import Api, connected
from octomesh_graphql.cli.introducing import credentials_of
from octomesh_graphql.cli.running import CommandFailed
from octomesh_graphql.domain.text import shown
from octomesh_graphql.settings import WrongSettings, load_for_client

Act = Callable[[Api], Awaitable[None]]


def run(flags: Mapping[str, Any], act: Act) -> int:
    """Do something with the API of the tenant that flags and variables name; returns the exit code."""
    try:
        exit_code = running.run(lambda: _ask(flags, act))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the answer has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return exit_code


async def _ask(flags: Mapping[str, Any], act: Act) -> None:
    settings = load_for_client(flags)
    logs.configure("auto", "error")  # a short command has no story to tell
    if settings.tenant is None:
        raise WrongSettings(
            [
                "Which tenant? Say --tenant ID, or set OCTOMESH_TENANT. `octomesh tenants list`, where the server "
                "runs, shows which there are; that of the demo is 'demo'."
            ]
        )
    async with connected(settings.server_url, settings.tenant, credentials_of(settings)) as api:
        await act(api)


def confirm(kind: str, word: str) -> int:
    """Let the user type a name once more; returns the exit code if they type another, or nobody is there to type."""
    if not sys.stdin.isatty():
        print(f"octomesh: To delete the {kind} '{word}' without being asked, say --yes.", file=sys.stderr)
        return MISUSED
    print(f"This deletes the {kind} '{word}' for good. Type '{word}' to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() == word:
        return 0
    print("octomesh: That is something else. Nothing was deleted.", file=sys.stderr)
    return FAILED


def image_in(reference: str) -> dict[str, str]:
    """Name and version of an image that is written as usual. Raises `WrongSettings`."""
    name, at, digest = reference.partition("@")
    if not at:
        name, _, digest = reference.rpartition(":")
    if not name or not digest or "/" in digest:
        example = "registry.example.com/plant/opcua:3.13.2"
        raise WrongSettings([f"--image is '{shown(reference)}'; it must be a name and a version like {example}."])
    return {"imageName": name, "imageVersion": digest}


def configuration_in(path: str) -> Any:
    """The JSON value in a file, or on standard input for `-`. Raises `CommandFailed`."""
    what = "standard input" if path == "-" else f"'{path}'"
    try:
        text = sys.stdin.read() if path == "-" else Path(path).expanduser().read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CommandFailed(f"The configuration in {what} can't be read: {reason}.") from error
    except (ValueError, RecursionError) as error:
        raise CommandFailed(f"The configuration in {what} is no JSON: {error}.") from error
