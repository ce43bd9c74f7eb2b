"""Puts the built pages (Admin Panel and GraphiQL) into a wheel. Hatchling calls this; see pyproject.toml."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PagesBuildHook(BuildHookInterface[Any]):
    """Builds `octomesh_graphql/_web` from `admin/` before a wheel is made, where it is missing or old."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the files of a wheel are collected; `version` tells which kind of wheel."""
        if version == "editable":
            return  # a checkout has `make web`, and installing it must not take Node or time
        admin = Path(self.root, "admin")
        page = Path(self.root, "octomesh_graphql", "_web", "index.html")
        if page.exists() and _newest(admin) <= page.stat().st_mtime:
            return
        npm = shutil.which("npm")
        if npm is None:
            # A wheel without pages serves the API all the same, and its front page says what is missing.
            what = "are older than their sources" if page.exists() else "are missing"
            self.app.display_warning(f"The pages in this wheel {what}: building them takes npm and Node 20.19 or newer")
            return
        for command in (["ci", "--omit=dev"], ["run", "build"]):
            subprocess.run([npm, *command], cwd=admin, check=True)


def _newest(admin: Path) -> float:
    """When a source was changed last; 0 where there are none, as in the image's build."""
    return max((path.stat().st_mtime for path in _sources(admin)), default=0)


def _sources(directory: Path) -> Iterator[Path]:
    for path in directory.iterdir() if directory.exists() else ():
        if path.is_file():
            yield path
        elif path.name != "node_modules":
            yield from _sources(path)
