"""The words and flags of the `octomesh` command, and their help.

The commands themselves are elsewhere and are imported when they run.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import App, CycloptsError, Parameter

from octomesh_graphql import __version__
from octomesh_graphql.cli import MISUSED

_EPILOGUE: Final = (
    "Every flag can also be given as a variable: --data-dir is OCTOMESH_DATA_DIR; the flag wins. OCTOMESH_MONGO_URI "
    "names a MongoDB replica set; without it an embedded MongoDB is used, which is for trials and tests."
)

app = App(
    name="octomesh",
    help="Communication Operators, Pools and Adapters of OctoMesh behind a GraphQL API.",
    help_epilogue=_EPILOGUE,
    version=__version__,
)
tenants = App(name="tenants", help="Create, list and delete tenants.")
app.command(tenants)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DatabaseFlags:
    """How to reach the data."""

    data_dir: Path | None = None
    """Directory of the embedded MongoDB.  [default: .octomesh]"""
    mongo_driver: Literal["motor", "pymongo"] | None = None
    """Client library to MongoDB.  [default: motor]"""
    mongod: Path | None = None
    """Program of the embedded MongoDB.  [default: that of the extra 'embedded', else the one on PATH]"""
    log_format: Literal["auto", "json", "console"] | None = None
    """Look of the logs.  [default: auto]"""
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    """What is logged: this and graver.  [default: info]"""

    @property
    def given(self) -> dict[str, Any]:
        """What was said on the command line."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServerFlags(DatabaseFlags):
    """How to serve."""

    host: str | None = None
    """Address to listen on.  [default: 127.0.0.1]"""
    port: int | None = None
    """Port to listen on; 0 takes any free one.  [default: 8000]"""
    public_url: str | None = None
    """Where users reach the server, if not where it listens."""


Insecure = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Listen where other machines reach the server, though nobody is asked who they are.",
    ),
]
TenantId = Annotated[str, Parameter(name="ID", help="Lower-case letters, digits and hyphens.")]


@app.command
def serve(*, flags: ServerFlags = ServerFlags(), insecure: Insecure = False) -> int:
    """Start the GraphQL API server. Ctrl-C or SIGTERM ends it."""
    from octomesh_graphql.cli import running, serving

    return running.run_until_stopped(lambda: serving.serve(flags.given, insecure=insecure))


@app.command
def demo(*, flags: ServerFlags = ServerFlags(), insecure: Insecure = False) -> int:
    """Start the server with a tenant to look at. Ctrl-C or SIGTERM ends it."""
    from octomesh_graphql.cli import running, serving

    return running.run_until_stopped(lambda: serving.demo(flags.given, insecure=insecure))


@app.command
def healthcheck() -> int:
    """Ask the server on this machine whether it is well: exit code 0 if so, 1 if not.

    It reads OCTOMESH_HOST and OCTOMESH_PORT as the server does.
    """
    from octomesh_graphql.cli import checking

    return checking.healthcheck()


@tenants.command(name="create")
def create_tenant(tenant_id: TenantId, /, *, name: str | None = None, flags: DatabaseFlags = DatabaseFlags()) -> int:
    """Create a tenant with a database of its own.

    Parameters
    ----------
    name:
        What people read; the id if not given.
    """
    from octomesh_graphql.cli import managing, running

    return running.run(lambda: managing.create(flags.given, tenant_id, name))


@tenants.command(name="list")
def list_tenants(
    *,
    output: Annotated[Literal["table", "json"], Parameter(name=["--output", "-o"])] = "table",
    flags: DatabaseFlags = DatabaseFlags(),
) -> int:
    """List the tenants.

    Parameters
    ----------
    output:
        Look of the list.
    """
    from octomesh_graphql.cli import managing, running

    return running.run(lambda: managing.show(flags.given, output))


@tenants.command(name="delete")
def delete_tenant(
    tenant_id: TenantId,
    /,
    *,
    yes: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    force: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    flags: DatabaseFlags = DatabaseFlags(),
) -> int:
    """Delete a tenant with all its pools and adapters.

    It is refused while adapters are deployed: they would go on running in their clusters, and nobody would know.

    Parameters
    ----------
    yes:
        Do not ask for confirmation.
    force:
        Delete it though adapters are deployed; the answer names what is left behind.
    """
    from octomesh_graphql.cli import managing, running

    if not yes and (refusal := managing.confirm_deletion(tenant_id)):
        return refusal
    return running.run(lambda: managing.delete(flags.given, tenant_id, force=force))


def execute(words: Sequence[str]) -> int:
    """Do what these words of a command line say; returns the exit code."""
    try:
        return int(app(words, exit_on_error=False, print_error=False, result_action="return_value") or 0)
    except CycloptsError as error:
        print(f"octomesh: {error}", file=sys.stderr)
        return MISUSED
