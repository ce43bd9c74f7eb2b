"""The `octomesh` command: as a program in a process of its own, or, where it ends soon, within the test's."""

from __future__ import annotations

import json
import logging
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import structlog

from octomesh_graphql.cli.commands import execute
from octomesh_graphql.store.tenants import Registry

SOURCES: Final = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Started:
    """A program that runs."""

    process: subprocess.Popen[str]
    directory: Path

    @property
    def output(self) -> str:
        return (self.directory / "stdout").read_text()

    @property
    def errors(self) -> str:
        return (self.directory / "stderr").read_text()

    @property
    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.errors.splitlines() if line.startswith("{") and line.endswith("}")]

    @property
    def url(self) -> str:
        return str(self.until_logged("listening")["url"])

    def until_logged(self, event: str, seconds: float = 40) -> dict[str, Any]:
        """The line with this sentence, waited for."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [line for line in self.logged if line["event"] == event]
            if found:
                return found[0]
            assert self.process.poll() is None, self.errors
            time.sleep(0.02)
        raise AssertionError(f"{event!r} was not logged:\n{self.errors}")

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return str(answer.read().decode())

    def connection(self) -> socket.socket:
        """A bare connection to it."""
        return socket.create_connection(("127.0.0.1", urlsplit(self.url).port or 0), timeout=5)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; the exit code. It has 10 s."""
        self.process.send_signal(number)
        return self.process.wait(10)


@dataclass(frozen=True)
class Answer:
    """What a command that ended has said."""

    exit_code: int
    output: str
    errors: str


@dataclass(frozen=True, kw_only=True)
class Octomesh:
    """The command, as somebody uses it who works in a directory and has set some variables."""

    directory: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, **variables: str) -> Answer:
        """Run it to its end."""
        ended = subprocess.run(
            self._command(words),
            cwd=self.directory,
            env=self._environment(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    @contextmanager
    def started(self, *words: str, **variables: str) -> Iterator[Started]:
        """Run it beside the test; killed at the end if it is still there."""
        with (self.directory / "stdout").open("w") as output, (self.directory / "stderr").open("w") as errors:
            process = subprocess.Popen(
                self._command(words),
                cwd=self.directory,
                env=self._environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                text=True,
            )
        try:
            yield Started(process=process, directory=self.directory)
        finally:
            process.kill()
            process.wait()

    def _command(self, words: Sequence[str]) -> Sequence[str]:
        return [sys.executable, "-m", "octomesh_graphql", *words]

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OCTOMESH_")}
        given = {f"OCTOMESH_{name}": value for name, value in (self.variables | variables).items()}
        return inherited | {"PYTHONPATH": str(SOURCES)} | given


@pytest.fixture
def connected_octomesh(octomesh: Octomesh, mongo_uri: str, registry: Registry) -> Octomesh:
    """The program with a MongoDB, and in it the fresh databases of `registry`."""
    octomesh.variables.update(MONGO_URI=mongo_uri, DATABASE_PREFIX=registry.prefix)
    return octomesh


@pytest.fixture
def command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    logging_as_before: None,
) -> Callable[..., Answer]:
    """The command, run to its end within this process, which saves the second that its imports take."""
    for name in [name for name in os.environ if name.startswith("OCTOMESH_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **variables: str) -> Answer:
        for name, value in variables.items():
            monkeypatch.setenv(f"OCTOMESH_{name}", value)
        capsys.readouterr()
        exit_code = execute(words)
        return Answer(exit_code, *capsys.readouterr())

    return run


@pytest.fixture
def connected_command(
    command: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, mongo_uri: str, registry: Registry
) -> Callable[..., Answer]:
    """The command with a MongoDB, and in it the fresh databases of `registry`."""
    monkeypatch.setenv("OCTOMESH_MONGO_URI", mongo_uri)
    monkeypatch.setenv("OCTOMESH_DATABASE_PREFIX", registry.prefix)
    return command


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """What a command configures, undone."""
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers = before[0]
    root.setLevel(before[1])
    structlog.reset_defaults()


@contextmanager
def typing_on_a_terminal(text: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command of this process asks a person, who types that and Enter."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{text}\n".encode())
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield
    os.close(ours)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A demo that is ready, for all tests of a module."""
    with Octomesh(directory=tmp_path_factory.mktemp("demo")).started("demo", "--port", "0") as demo:
        demo.until_logged("listening")
        yield demo


def mongods_on(data_dir: Path) -> list[int]:
    """The pids of the mongods that work on a data directory."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if os.fsencode(data_dir / "mongo") in _command_line(process)
    ]


def _command_line(process: Path) -> list[bytes]:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it ended as we looked
        return []


def until(condition: Callable[[], object], seconds: float = 5) -> None:
    """Wait for something that comes soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
