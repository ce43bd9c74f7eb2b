"""The program in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Octomesh


@pytest.fixture
def octomesh(tmp_path: Path) -> Octomesh:
    """The command, in a directory of its own."""
    return Octomesh(directory=tmp_path)
