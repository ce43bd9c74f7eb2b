"""The data directory of the embedded mongod: made, checked, and in the hands of one process at a time.

lock         locked by the process that owns the directory; holds its pid and the URI others may use
mongo/       what mongod stores
mongod.log   what mongod tells
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["DataDirectory", "EmbeddedMongoError", "owned", "running_uri"]

_NEW_DATABASE_BYTES: Final = 400 * 2**20
"""mongod allocates 300 MB of journal at first; on a full disk it hangs a while and exits."""
_LOG_BYTES: Final = 10 * 2**20
"""A longer log is set aside at the next start, so two of this size remain."""
_LOCK_SECONDS: Final = 1.0
"""`running_uri` in another process holds the lock for an instant; that is no second server."""
_RELEASE_SECONDS: Final = 10.0
"""A mongod whose server was killed is killed too, and gone in milliseconds unless the disk is very busy."""
_POLL_SECONDS: Final = 0.02


class EmbeddedMongoError(Exception):
    """The embedded mongod can't serve; the message tells a user what, where, and what would help."""


@dataclass(frozen=True, kw_only=True)
class DataDirectory:
    """A directory that is ours."""

    path: Path
    lock: int  # file descriptor

    @property
    def database(self) -> Path:
        return self.path / "mongo"

    @property
    def log(self) -> Path:
        return self.path / "mongod.log"

    def open_log(self) -> BinaryIO:
        """The log, to append to."""
        with _naming(self.path):
            if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
                self.log.replace(self.path / "mongod.log.1")
            return open(self.log, "ab", opener=_private)

    def announce(self, uri: str = "") -> None:
        """Tell other processes who owns the directory and where its mongod serves."""
        with _naming(self.path):
            os.ftruncate(self.lock, 0)
            os.pwrite(self.lock, f"{os.getpid()} {uri}".encode(), 0)


@asynccontextmanager
async def owned(path: Path) -> AsyncIterator[DataDirectory]:
    """The directory, made if it is missing, and ours until the block ends. Raises `EmbeddedMongoError`."""
    with _naming(path):
        directory = _opened(path)
    try:
        with _naming(path):
            await _take(directory)
            directory.announce()
            _check_space(directory)
            await _wait_for_the_last_mongod(directory)
        yield directory
    finally:
        os.close(directory.lock)


def running_uri(data_dir: Path) -> str | None:
    """The URI of the mongod that a process runs on this directory right now, or None."""
    try:
        lock = os.open(data_dir / "lock", os.O_RDONLY)
    except OSError:  # nothing there, or nothing that we may use
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _announced(lock)[1]
    finally:
        os.close(lock)


def _announced(lock: int) -> tuple[str, str | None]:
    """Pid and URI as the owner wrote them."""
    pid, _, uri = os.pread(lock, 200, 0).decode().partition(" ")
    return pid or "unknown", uri or None


def _opened(path: Path) -> DataDirectory:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    (path / "mongo").mkdir(mode=0o700, exist_ok=True)
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    return DataDirectory(path=path.absolute(), lock=lock)


async def _take(directory: DataDirectory) -> None:
    # flock, because the kernel drops it with our last descriptor, however we end; mongod doesn't inherit it.
    if not await _locked(directory.lock, _LOCK_SECONDS):
        pid, _ = _announced(directory.lock)
        raise EmbeddedMongoError(
            f"The data directory {directory.path} is in use by the process with pid {pid}. "
            "Stop that one first, or choose another directory with OCTOMESH_DATA_DIR."
        )


async def _wait_for_the_last_mongod(directory: DataDirectory) -> None:
    """It holds the files while it lives, and may outlive its killed server by a moment."""
    try:
        file = (directory.database / "mongod.lock").open("rb")
    except FileNotFoundError:
        return
    with file:
        if not await _locked(file.fileno(), _RELEASE_SECONDS):
            pid = file.read(20).decode(errors="replace").strip() or "unknown"
            raise EmbeddedMongoError(
                f"Another mongod, with pid {pid}, uses {directory.database}. "
                "Stop it first, or choose another directory with OCTOMESH_DATA_DIR."
            )


async def _locked(file: int, seconds: float) -> bool:
    """Whether we got the lock on an open file within that time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if asyncio.get_running_loop().time() > deadline:
                return False
        await asyncio.sleep(_POLL_SECONDS)


def _check_space(directory: DataDirectory) -> None:
    free = shutil.disk_usage(directory.path).free
    if free < _NEW_DATABASE_BYTES and not (directory.database / "WiredTiger").exists():
        raise EmbeddedMongoError(
            f"The disk of the data directory {directory.path} has {free // 2**20} MiB free, "
            f"a new database needs {_NEW_DATABASE_BYTES // 2**20} MiB. "
            "Make room, or choose another directory with OCTOMESH_DATA_DIR."
        )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """What the operating system refuses, as a sentence about the data directory."""
    try:
        yield
    except OSError as error:
        reason = "it is not a directory" if isinstance(error, FileExistsError) else error.strerror
        raise EmbeddedMongoError(
            f"The data directory {path.absolute()} can't be used: {reason}. Choose another with OCTOMESH_DATA_DIR."
        ) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
