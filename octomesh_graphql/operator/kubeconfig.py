"""Kubeconfigs, looked at before the client library reads them: of what is wrong there it names neither file nor cause.

What it would show instead may be a whole entry, with the credentials in it; nothing of that is in a message here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

Config = dict[str, Any]


class ClusterNotFound(Exception):
    """It is not known how to reach a cluster. The message tells why; with one of `contexts` it would be."""

    def __init__(self, message: str, contexts: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.contexts = contexts


@dataclass(frozen=True)
class Context:
    """Which cluster, and as whom."""

    name: str
    has_user: bool
    program: str | None
    """What gives out the credentials, if a program does."""


def context_in(files: Sequence[Path], name: str | None) -> Context:
    """The context of this name, else the current one; of several files it takes those that are there.

    Raises `ClusterNotFound` unless it leads to a server.
    """
    where = os.pathsep.join(map(str, files))
    configs = [config for file in files if (config := _read(file)) is not None]
    if not configs:
        raise ClusterNotFound(f"There is no kubeconfig at {where}.")
    current = next((config["current-context"] for config in configs if config.get("current-context")), None)
    names = [entry["name"] for entry in _entries(configs, "contexts")]
    if not (name or current):
        raise ClusterNotFound(f"The kubeconfig {where} names no current context.", names)
    chosen = name or str(current)
    if chosen not in names:
        said = "" if name else ", though it names it as the current one"
        raise ClusterNotFound(f"The kubeconfig {where} has no context '{chosen}'{said}.", names)
    return _leading_somewhere(configs, chosen, f"The context '{chosen}' of the kubeconfig {where}")


def _leading_somewhere(configs: Sequence[Config], name: str, what: str) -> Context:
    context = _content(configs, "context", name) or {}
    server = (_content(configs, "cluster", context.get("cluster")) or {}).get("server")
    if not isinstance(server, str):
        raise ClusterNotFound(f"{what} names no cluster whose server is known.")
    user = _content(configs, "user", context.get("user"))
    if user is None and (context.get("user") or server.startswith("https")):
        raise ClusterNotFound(f"{what} names no user that is known.")
    exec = (user or {}).get("exec")
    return Context(name, user is not None, exec.get("command") if isinstance(exec, dict) else None)


def _read(file: Path) -> Config | None:
    """What is in it; None: it is not there."""
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ClusterNotFound(f"The kubeconfig {file} can't be read: {reason}.") from error
    except yaml.YAMLError as error:
        raise ClusterNotFound(f"The kubeconfig {file} is no YAML{_place(error)}.") from error
    if not isinstance(config, dict):
        raise ClusterNotFound(f"The kubeconfig {file} is none: it has no contexts, clusters and users.")
    return config


def _place(error: yaml.YAMLError) -> str:
    """What is wrong and in which line; the line itself may hold a credential."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f": {error.problem}, in line {error.problem_mark.line + 1}"
    return ""


def _entries(configs: Sequence[Config], section: str) -> Iterator[Config]:
    for config in configs:
        entries = config.get(section)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                yield entry


def _content(configs: Sequence[Config], what: Literal["context", "cluster", "user"], name: object) -> Config | None:
    found = next((entry.get(what) for entry in _entries(configs, f"{what}s") if entry["name"] == name), None)
    return found if isinstance(found, dict) else None
