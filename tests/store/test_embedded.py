"""The embedded mongod, tried with a real one."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import octomesh_graphql
from octomesh_graphql.store.embedded import (
    EmbeddedMongod,
    EmbeddedMongoError,
    embedded_mongod,
    find_mongod,
    running_uri,
)
from octomesh_graphql.store.embedded_directory import owned
from octomesh_graphql.store.mongo import run_admin_command

SOURCES = Path(octomesh_graphql.__file__).parents[1]

SERVER = """
import asyncio, itertools, pathlib, sys
from octomesh_graphql.store.embedded import embedded_mongod
from octomesh_graphql.store.mongo import run_admin_command

async def main():
    async with embedded_mongod(pathlib.Path(sys.argv[1])) as mongod:
        for number in itertools.count():
            write = {"insert": "numbers", "documents": [{"_id": number}]}
            safely = {"writeConcern": {"w": "majority", "j": True}}
            await run_admin_command(mongod.uri, write | safely, database="test")
            print(number, flush=True)

asyncio.run(main())
"""
"""A server that tells each number when its write was acknowledged."""

ASK_FOR_URI = """
import pathlib, sys
from octomesh_graphql.store.embedded import running_uri
print(running_uri(pathlib.Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
async def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared") / "data"


@pytest.fixture(scope="module")
async def mongod(data_dir: Path) -> AsyncIterator[EmbeddedMongod]:
    async with embedded_mongod(data_dir) as mongod:
        yield mongod


async def test_it_is_a_primary_that_keeps_to_itself(mongod: EmbeddedMongod) -> None:
    hello = await run_admin_command(mongod.uri, {"hello": 1})
    options = await run_admin_command(mongod.uri, {"getCmdLineOpts": 1})
    assert hello["isWritablePrimary"]
    assert hello.get("compression", []) == []
    assert options["parsed"]["net"]["bindIp"] == "127.0.0.1"
    assert options["parsed"]["net"]["unixDomainSocket"] == {"enabled": False}
    assert options["parsed"]["security"] == {"javascriptEnabled": False}


def test_it_knows_its_version(mongod: EmbeddedMongod) -> None:
    assert mongod.version.startswith("6.0.")


def test_a_ctrl_c_in_the_terminal_does_not_reach_it(mongod: EmbeddedMongod) -> None:
    assert os.getsid(mongod.pid) == mongod.pid


def test_nobody_else_may_look_into_its_directory(mongod: EmbeddedMongod, data_dir: Path) -> None:
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in data_dir.iterdir()} <= {0o600, 0o700}


async def test_a_second_server_on_the_same_directory_is_told_who_has_it(mongod: EmbeddedMongod, data_dir: Path) -> None:
    with pytest.raises(EmbeddedMongoError, match=rf"{data_dir} is in use by the process with pid {os.getpid()}\."):
        async with embedded_mongod(data_dir):
            pass
    assert (await run_admin_command(mongod.uri, {"hello": 1}))["isWritablePrimary"]


def test_another_process_learns_its_uri(mongod: EmbeddedMongod, data_dir: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", ASK_FOR_URI, data_dir], cwd=SOURCES, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == mongod.uri == running_uri(data_dir)


async def test_data_is_there_after_a_restart_on_another_port(tmp_path: Path) -> None:
    data_dir = tmp_path / "Straßen und Plätze"
    async with embedded_mongod(data_dir) as first:
        await insert(first, {"_id": "kept"})
        assert running_uri(data_dir) == first.uri
    assert mongods_on(data_dir) == []
    assert '"exitCode":0' in first.log.read_text()
    assert running_uri(data_dir) is None

    async with embedded_mongod(data_dir) as second:
        assert second.uri != first.uri
        assert await documents(second) == [{"_id": "kept"}]
        await insert(second, {"_id": "added"})


async def test_acknowledged_writes_survive_a_kill_of_everything(tmp_path: Path) -> None:
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, tmp_path), cwd=SOURCES, stdout=subprocess.PIPE
    )
    assert server.stdout
    acknowledged = [int(await server.stdout.readline()) for _ in range(50)]
    [old] = mongods_on(tmp_path)
    server.kill()
    acknowledged += [int(line) async for line in server.stdout]
    await server.wait()

    async with embedded_mongod(tmp_path) as mongod:
        assert mongods_on(tmp_path) == [mongod.pid] != [old]
        assert set(acknowledged) <= {document["_id"] for document in await documents(mongod)}


async def test_its_death_is_noticed(tmp_path: Path) -> None:
    async with embedded_mongod(tmp_path) as mongod:
        died = asyncio.create_task(mongod.died())
        os.kill(mongod.pid, signal.SIGKILL)
        async with asyncio.timeout(5):
            assert await died == -signal.SIGKILL


async def test_a_start_that_is_cancelled_leaves_nothing_behind(tmp_path: Path) -> None:
    async def serve() -> None:
        async with embedded_mongod(tmp_path):
            raise AssertionError("cancelled too late")

    starting = asyncio.create_task(serve())
    await until(lambda: bool(mongods_on(tmp_path)))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert mongods_on(tmp_path) == []
    assert running_uri(tmp_path) is None


async def test_a_failed_start_quotes_what_mongod_said(tmp_path: Path) -> None:
    (tmp_path / "mongo").mkdir()
    (tmp_path / "mongo" / "storage.bson").write_bytes(b"not what mongod wrote")
    with pytest.raises(
        EmbeddedMongoError, match=r"ended with status 14 (?s:.*)Unable to read the storage engine metadata"
    ):
        async with embedded_mongod(tmp_path):
            pass


async def test_a_mongod_that_still_ends_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "mongo").mkdir()
    ending = (tmp_path / "mongo" / "mongod.lock").open("wb")
    fcntl.flock(ending, fcntl.LOCK_EX)
    asyncio.get_running_loop().call_later(0.1, ending.close)
    async with owned(tmp_path):
        assert ending.closed


async def test_a_long_log_is_set_aside_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "mongod.log").touch()
    os.truncate(tmp_path / "mongod.log", 11 * 2**20)
    async with owned(tmp_path) as directory:
        with directory.open_log() as log:
            assert log.tell() == 0
    assert (tmp_path / "mongod.log.1").stat().st_size == 11 * 2**20


@pytest.mark.parametrize(
    ("below", "reason"),
    [("file", "it is not a directory"), ("file/data", "Not a directory"), ("/proc/data", "No such file")],
)
async def test_an_unusable_directory_is_named(tmp_path: Path, below: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedMongoError, match=rf"{tmp_path / below} can't be used: {reason}"):
        async with embedded_mongod(tmp_path / below):
            pass


def test_nothing_runs_on_a_directory_that_is_not_there(tmp_path: Path) -> None:
    assert running_uri(tmp_path / "nowhere") is None


def test_the_mongod_of_the_extra_is_found() -> None:
    assert find_mongod().parts[-4:] == ("fiftyone", "db", "bin", "mongod")


def test_a_configured_mongod_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedMongoError, match=rf"{tmp_path}/mongod is not an executable file"):
        find_mongod(tmp_path / "mongod")


async def test_a_missing_system_library_is_named_with_its_cure(tmp_path: Path) -> None:
    broken = tmp_path / "mongod"
    loader = "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file"
    broken.write_text(f'#!/bin/sh\necho "{loader}" >&2\nexit 127\n')
    broken.chmod(0o700)
    with pytest.raises(EmbeddedMongoError, match=r"libcurl\.so\.4 is missing \(apt-get install libcurl4\)"):
        async with embedded_mongod(tmp_path / "data", binary=broken):
            pass


async def test_a_program_for_another_machine_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "mongod"
    foreign.write_bytes(b"\xca\xfe\xba\xbe")
    foreign.chmod(0o700)
    with pytest.raises(EmbeddedMongoError, match=rf"{foreign} can't be run: Exec format error"):
        async with embedded_mongod(tmp_path / "data", binary=foreign):
            pass


async def insert(mongod: EmbeddedMongod, document: dict[str, Any]) -> None:
    write = {"insert": "numbers", "documents": [document], "writeConcern": {"w": "majority", "j": True}}
    await run_admin_command(mongod.uri, write, database="test")


async def documents(mongod: EmbeddedMongod) -> list[dict[str, Any]]:
    answer = await run_admin_command(mongod.uri, {"find": "numbers", "batchSize": 100_000}, database="test")
    found: list[dict[str, Any]] = answer["cursor"]["firstBatch"]
    return found


def mongods_on(data_dir: Path) -> list[int]:
    """The pids of all mongods that work on the directory."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if (words := _command_line(process))
        and words[0].endswith(b"mongod")
        and os.fsencode(data_dir / "mongo") in words
    ]


def _command_line(process: Path) -> list[bytes]:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it ended as we looked
        return []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)
