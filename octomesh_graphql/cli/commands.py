"""The words and flags of the `octomesh` command, and their help.

The commands themselves are elsewhere and are imported when they run.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, CycloptsError, Parameter

from octomesh_graphql import __version__
from octomesh_graphql.cli import MISUSED
from octomesh_graphql.cli.client.words import adapters, pools
from octomesh_graphql.cli.flags import Flags, Number

_EPILOGUE: Final = (
    "Settings can also be given as variables: --data-dir is OCTOMESH_DATA_DIR; the flag wins. What is meant for one "
    "call, like --insecure or --yes, is a flag only. OCTOMESH_MONGO_URI names a MongoDB replica set; without it an "
    "embedded MongoDB is used, which is for trials and tests."
)

app = App(
    name="octomesh",
    help="Communication Operators, Pools and Adapters of OctoMesh behind a GraphQL API.",
    help_epilogue=_EPILOGUE,
    version=__version__,
)
tenants = App(name="tenants", help="Create, list and delete tenants.")
app.command(tenants)
app.command(pools)
app.command(adapters)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DatabaseFlags(Flags):
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


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DemoFlags(DatabaseFlags):
    """How to serve whoever comes."""

    host: str | None = None
    """Address to listen on.  [default: 127.0.0.1]"""
    port: Number = None
    """Port to listen on; 0 takes any free one.  [default: 8000]"""
    public_url: str | None = None
    """Where users reach the server, if not where it listens."""
    lease_seconds: Number = None
    """How long an agent that falls silent still counts as online.  [default: 40]"""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServerFlags(DemoFlags):
    """How to serve."""

    oidc_issuer: str | None = None
    """Who issues the access tokens by which callers are known.  [default: nobody is asked who they are]"""
    oidc_audience: str | None = None
    """For whom those tokens must be."""
    oidc_report_only: Annotated[bool | None, Parameter(negative="")] = None
    """Only log who would be refused."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class OperatorFlags(Flags):
    """Whom to serve, and where."""

    server_url: str | None = None
    """Where the API server is.  [default: http://127.0.0.1:8000]"""
    adapter_server_url: str | None = None
    """Where adapters reach the server, if not where the operator does."""
    token_file: Path | None = None
    """File with a bearer token for the server, read again for each connection."""
    client_id: str | None = None
    """As the issuer of tokens knows the operator; OCTOMESH_CLIENT_SECRET, a variable only, is its secret."""
    client_secret_file: Path | None = None
    """File with that secret."""
    token_url: str | None = None
    """Where the issuer gives tokens."""
    token_issuer: str | None = None
    """The issuer, if it tells that itself."""
    scope: str | None = None
    """What its tokens shall be good for.  [default: octo_agent]"""
    operator_id: str | None = None
    """As the server knows this operator.  [default: the cluster's name and an identity of its own]"""
    cluster_name: str | None = None
    """What people call the cluster.  [default: the name of the context]"""
    kubeconfig: Path | None = None
    """How to reach the cluster.  [default: $KUBECONFIG or ~/.kube/config, else as a pod of the cluster]"""
    context: str | None = None
    """Which cluster of the kubeconfig.  [default: its current context]"""
    watch_namespace: str | None = None
    """The only namespace to serve.  [default: all]"""
    lease_namespace: str | None = None
    """Where replicas elect the one that leads.  [default: the watched one, else the pod's, else default]"""
    image_pull_secret: Annotated[list[str] | None, Parameter(negative="")] = None
    """Secret with which images are pulled; can be given several times, or as names separated by commas."""
    broker_host: str | None = None
    """Message broker as adapters reach it."""
    broker_port: Number = None
    """Its port.  [default: 5672]"""
    broker_virtual_host: str | None = None
    """Virtual host on it.  [default: /]"""
    broker_secret: str | None = None
    """Secret with the keys brokerusername and brokerpassword, in each namespace with adapters."""
    undeploy_seconds: Number = None
    """How long a deleted CommunicationPool waits for what was made for it.  [default: 60.0]"""
    operator_health_host: str | None = None
    """Address for probes and metrics.  [default: 127.0.0.1]"""
    operator_health_port: Number = None
    """Port for them; 0 takes any free one.  [default: 8081]"""
    simulated: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """Serve the CommunicationPools of a YAML file (-: standard input) in a cluster in memory, for trials."""
    log_format: Literal["auto", "json", "console"] | None = None
    """Look of the logs.  [default: auto]"""
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    """What is logged: this and graver.  [default: info]"""


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
    """Start the GraphQL API server. Ctrl-C or SIGTERM ends it.

    What one client may take of it is bounded by OCTOMESH_LIMITS_*, which are variables only; SECURITY.md lists them.
    """
    from octomesh_graphql.cli import database, running, serving

    return running.run_until_stopped(lambda: serving.serve(flags.given, insecure=insecure), database.FAILURES)


@app.command
def demo(*, flags: DemoFlags = DemoFlags(), insecure: Insecure = False) -> int:
    """Start the server with a tenant to look at. Ctrl-C or SIGTERM ends it."""
    from octomesh_graphql.cli import database, running, serving

    return running.run_until_stopped(lambda: serving.demo(flags.given, insecure=insecure), database.FAILURES)


@app.command
def operator(
    *,
    flags: OperatorFlags = OperatorFlags(),
    print_crd: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Start the Communication Operator: it deploys adapters in a cluster. Ctrl-C or SIGTERM ends it.

    Parameters
    ----------
    print_crd:
        Only print the definition of CommunicationPools, for `kubectl apply -f -`, which a cluster needs once.
    """
    if print_crd:
        from octomesh_graphql.operator.crd import as_yaml, crd

        print(as_yaml(crd()), end="")
        return 0
    from octomesh_graphql.cli import operating, running

    return running.run_until_stopped(lambda: operating.operate(flags.given))


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
    from octomesh_graphql.cli import database, managing, running

    return running.run(lambda: managing.create(flags.given, tenant_id, name), database.FAILURES)


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
    from octomesh_graphql.cli import database, managing, running

    return running.run(lambda: managing.show(flags.given, output), database.FAILURES)


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
    from octomesh_graphql.cli import database, managing, running

    if not yes and (refusal := managing.confirm_deletion(tenant_id)):
        return refusal
    return running.run(lambda: managing.delete(flags.given, tenant_id, force=force), database.FAILURES)


def execute(words: Sequence[str]) -> int:
    """Do what these words of a command line say; returns the exit code."""
    _say_everything()
    try:
        return int(app(words, exit_on_error=False, print_error=False, result_action="return_value") or 0)
    except CycloptsError as error:
        print(f"octomesh: {error}", file=sys.stderr)
        return MISUSED


def _say_everything() -> None:
    """Names may have characters that the encoding of a terminal or a pipe lacks: better escaped than not told."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
