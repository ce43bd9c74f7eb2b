"""Rooms of tests that are entered only when they are asked for: they take what the everyday tests must not."""

from __future__ import annotations

from pathlib import Path

import pytest


def asked_for(directory: Path, config: pytest.Config) -> bool:
    """Whether this run names the directory, something in it, or the marker that is called as it is."""
    named = (Path(config.invocation_params.dir, argument.partition("::")[0]) for argument in config.args)
    return directory.name in config.option.markexpr or any(directory in (path, *path.parents) for path in named)
