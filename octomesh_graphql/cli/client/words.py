"""The words and flags of `octomesh pools` and `octomesh adapters`, and their help.

As with the other commands, what they do is elsewhere and is imported when it is done.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from octomesh_graphql.cli import MISUSED
from octomesh_graphql.cli.flags import Flags, number
from octomesh_graphql.domain.states import (
    AdapterType,
    CommunicationState,
    ConfigurationState,
    DeploymentState,
    HealthLevel,
)

WAIT_SECONDS: Final = 300.0
"""How long `--wait` waits unless told: an image of a gigabyte over a slow line fits in."""

_EPILOGUE: Final = (
    "The server is that of this machine unless --server-url or OCTOMESH_SERVER_URL names another. If it asks who you "
    "are: OCTOMESH_TOKEN_FILE, OCTOMESH_TOKEN, or OCTOMESH_CLIENT_ID with OCTOMESH_CLIENT_SECRET_FILE and "
    "OCTOMESH_TOKEN_URL or OCTOMESH_TOKEN_ISSUER. Exit codes: 0 done, 1 refused or failed, 2 asked for wrongly."
)

pools = App(name="pools", help="Ask a server about pools, and change them.", help_epilogue=_EPILOGUE)
adapters = App(name="adapters", help="Ask a server about adapters, and change them.", help_epilogue=_EPILOGUE)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ClientFlags(Flags):
    """Whom to ask."""

    tenant: Annotated[str | None, Parameter(name=["--tenant", "-t"])] = None
    """Whose pools and adapters are meant; so does OCTOMESH_TENANT."""
    server_url: str | None = None
    """Where the API server is.  [default: http://127.0.0.1:8000]"""
    token_file: Path | None = None
    """File with a bearer token for the server."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class WaitFlags:
    """Whether to wait."""

    wait: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Follow it to its end; exit code 1 tells that it was not reached. Ctrl-C leaves the wish as it is."""
    timeout: Annotated[float | None, number(0.1, 86_400, "a number of seconds from 0.1 to 86400")] = None
    """Wait so many seconds.  [default: 300]"""

    @property
    def seconds(self) -> float | None:
        """How long to wait; None: not at all."""
        return self.timeout or (WAIT_SECONDS if self.wait else None)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ListFlags:
    """What to list."""

    search: str | None = None
    """Only with this text in name or description."""
    communication: Annotated[list[CommunicationState] | None, Parameter(negative="")] = None
    """Only in this communication state; like the others, it can be given several times."""
    configuration: Annotated[list[ConfigurationState] | None, Parameter(negative="")] = None
    """Only in this configuration state."""
    deployment: Annotated[list[DeploymentState] | None, Parameter(negative="")] = None
    """Only in this deployment state."""

    @property
    def filter(self) -> dict[str, Any]:
        """As the API has it."""
        given = {"communication": self.communication, "configuration": self.configuration}
        states = {**given, "deployment": self.deployment}
        return {f"{name}State": _names(values) for name, values in states.items() if values}


def _names(values: Sequence[Enum]) -> list[str]:
    return [value.name for value in values]


PoolWord = Annotated[str, Parameter(name="NAME", help="The name of a pool, or its rtId.")]
AdapterWord = Annotated[str, Parameter(name="NAME", help="The name of an adapter, or its rtId.")]
NewName = Annotated[str, Parameter(name="NAME", help="Unique in the tenant, without regard to case.")]
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False, help="Answer as JSON, for programs.")]
Yes = Annotated[bool, Parameter(negative="", show_default=False, help="Do not ask for confirmation.")]
Description = Annotated[str | None, Parameter(help="What people should know about it; an empty one clears it.")]
Version = Annotated[
    int | None,
    Parameter(name="--expected-version", help="Refuse if somebody else edited it since this version."),
    number(1, 2**31 - 1, "a version, which is a number from 1"),
]
Several = Annotated[list[str] | None, Parameter(negative="")]


# Pools


@pools.command(name="list")
def list_pools(
    *,
    which: ListFlags = ListFlags(),
    health: Annotated[list[HealthLevel] | None, Parameter(negative="")] = None,
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """List the pools.

    Parameters
    ----------
    health:
        Only those that need this much attention.
    """
    from octomesh_graphql.cli.client import asking, pools

    filter = which.filter | ({"health": _names(health)} if health else {})
    return asking.run(flags.given, lambda api: pools.show_list(api, filter=filter, search=which.search, json=json))


@pools.command(name="show")
def show_pool(pool: PoolWord, /, *, json: Json = False, flags: ClientFlags = ClientFlags()) -> int:
    """Show a pool with its adapters, and what is wrong."""
    from octomesh_graphql.cli.client import asking, pools

    return asking.run(flags.given, lambda api: pools.show(api, pool, json=json))


@pools.command(name="create")
def create_pool(
    name: NewName, /, *, description: Description = None, json: Json = False, flags: ClientFlags = ClientFlags()
) -> int:
    """Create a pool. It has no adapters, and nobody serves it yet."""
    from octomesh_graphql.cli.client import asking, pools

    return asking.run(flags.given, lambda api: pools.create(api, name, description=description, json=json))


@pools.command(name="edit")
def edit_pool(
    pool: PoolWord,
    /,
    *,
    name: str | None = None,
    description: Description = None,
    add: Several = None,
    remove: Several = None,
    expected_version: Version = None,
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """Edit a pool and what is in it: all of it happens, or nothing.

    Parameters
    ----------
    name:
        A new name.
    add:
        Adapter to add, which must be in no other pool; can be given several times.
    remove:
        Adapter to remove, which must not be deployed; can be given several times.
    """
    from octomesh_graphql.cli.client import asking, pools

    given = _given(name=name, expectedVersion=expected_version) | _cleared(description=description)
    members = {"add": add or [], "remove": remove or []}
    if not (given.keys() - {"expectedVersion"} or add or remove):
        return _misused("Nothing to edit: say what, for instance --name or --add.")
    return asking.run(flags.given, lambda api: pools.edit(api, pool, given, **members, json=json))


@pools.command(name="delete")
def delete_pool(
    pool: PoolWord,
    /,
    *,
    undeploy_first: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    force: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    yes: Yes = False,
    waiting: WaitFlags = WaitFlags(),
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """Delete a pool; its adapters stay, in no pool. It is refused while any of them is deployed.

    Parameters
    ----------
    undeploy_first:
        Undeploy them; the pool goes by itself when that is done.
    force:
        Delete it now. What runs in the cluster is left there, and the answer names it.
    """
    from octomesh_graphql.cli.client import asking, finding, pools

    if undeploy_first and force:
        return _misused("--undeploy-first and --force are two ways to delete a pool. Say one of them.")
    if not yes and (refusal := asking.confirm("pool", pool)):
        return refusal
    mode = "FORCE" if force else "UNDEPLOY_FIRST" if undeploy_first else "ONLY_IF_UNDEPLOYED"

    async def act(api: Any) -> None:
        found = await finding.found(api, finding.POOL, pool)
        await pools.delete(api, found, mode=mode, wait=waiting.seconds, json=json)

    return asking.run(flags.given, act)


@pools.command(name="deploy")
def deploy_pool(
    pool: PoolWord,
    /,
    *,
    waiting: WaitFlags = WaitFlags(),
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """Wish all adapters of a pool deployed."""
    from octomesh_graphql.cli.client import asking, pools

    return asking.run(flags.given, lambda api: pools.deploy(api, pool, wanted=True, wait=waiting.seconds, json=json))


@pools.command(name="undeploy")
def undeploy_pool(
    pool: PoolWord,
    /,
    *,
    waiting: WaitFlags = WaitFlags(),
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """Wish no adapter of a pool deployed."""
    from octomesh_graphql.cli.client import asking, pools

    return asking.run(flags.given, lambda api: pools.deploy(api, pool, wanted=False, wait=waiting.seconds, json=json))


@pools.command(name="install")
def install_pool(pool: PoolWord, /, *, flags: ClientFlags = ClientFlags()) -> int:
    """Print the resource that has an operator serve a pool: `octomesh pools install NAME | kubectl apply -f -`."""
    from octomesh_graphql.cli.client import asking, pools

    return asking.run(flags.given, lambda api: pools.install(api, pool))


# Adapters


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SpecFlags:
    """What an adapter is like."""

    type: AdapterType | None = None
    """Where it is at home: near its data source, or in a central cluster."""
    image: str | None = None
    """Container image with its version: registry.example.com/plant/opcua:3.13.2"""
    description: Description = None
    configuration: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """File with its configuration as JSON; - is standard input, and null in it clears it."""
    port: Annotated[int | None, number(0, 65_535, "a number from 0 to 65535; 0 clears it")] = None
    """Where it listens, if it does; 0 clears it."""
    health_path: str | None = None
    """HTTP path on that port that tells whether it is well; an empty one clears it."""

    def given(self) -> dict[str, Any]:
        """As the API has it. Raises `WrongSettings` and `CommandFailed`."""
        from octomesh_graphql.cli.client import asking

        fields = _given(type=self.type and self.type.name)
        fields |= asking.image_in(self.image) if self.image is not None else {}
        fields |= _cleared(description=self.description, port=self.port, healthPath=self.health_path)
        if self.configuration is not None:
            fields["configuration"] = asking.configuration_in(self.configuration)
        return fields


@adapters.command(name="list")
def list_adapters(
    *,
    pool: str | None = None,
    unassigned: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    which: ListFlags = ListFlags(),
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """List the adapters.

    Parameters
    ----------
    pool:
        Only those in this pool: its name or rtId.
    unassigned:
        Only those in no pool.
    """
    from octomesh_graphql.cli.client import adapters, asking

    filter = which.filter | ({"unassigned": True} if unassigned else {})
    return asking.run(
        flags.given,
        lambda api: adapters.show_list(api, pool=pool, filter=filter, search=which.search, json=json),
    )


@adapters.command(name="show")
def show_adapter(adapter: AdapterWord, /, *, json: Json = False, flags: ClientFlags = ClientFlags()) -> int:
    """Show an adapter; its configuration is in the answer with --json only."""
    from octomesh_graphql.cli.client import adapters, asking

    return asking.run(flags.given, lambda api: adapters.show(api, adapter, json=json))


@adapters.command(name="create")
def create_adapter(
    name: NewName,
    /,
    *,
    spec: SpecFlags = SpecFlags(),
    pool: str | None = None,
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """Create an adapter; it needs a --type and an --image. It is not deployed.

    Parameters
    ----------
    pool:
        The pool to put it into: its name or rtId.
    """
    from octomesh_graphql.cli.client import adapters, asking

    if missing := [flag for flag, value in (("--type", spec.type), ("--image", spec.image)) if value is None]:
        return _misused(f"A new adapter needs {' and '.join(missing)}, for instance --type edge --image plant/opcua:3.")

    async def act(api: Any) -> None:
        await adapters.create(api, {"name": name, **spec.given()}, pool=pool, json=json)

    return asking.run(flags.given, act)


@adapters.command(name="edit")
def edit_adapter(
    adapter: AdapterWord,
    /,
    *,
    name: str | None = None,
    spec: SpecFlags = SpecFlags(),
    expected_version: Version = None,
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """Edit an adapter. If it is deployed, a change of what runs is rolled out.

    Parameters
    ----------
    name:
        A new name.
    """
    from octomesh_graphql.cli.client import adapters, asking

    if name is None and spec == SpecFlags():
        return _misused("Nothing to edit: say what, for instance --image.")

    async def act(api: Any) -> None:
        given = _given(name=name, expectedVersion=expected_version) | spec.given()
        await adapters.edit(api, adapter, given, json=json)

    return asking.run(flags.given, act)


@adapters.command(name="move")
def move_adapter(
    adapter: AdapterWord,
    pool: Annotated[str, Parameter(name="POOL", help="Where to put it: the name of a pool, or its rtId.")],
    /,
    *,
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """Put an adapter that is not deployed into another pool."""
    from octomesh_graphql.cli.client import adapters, asking

    return asking.run(flags.given, lambda api: adapters.move(api, adapter, pool, json=json))


@adapters.command(name="remove")
def remove_adapter(adapter: AdapterWord, /, *, json: Json = False, flags: ClientFlags = ClientFlags()) -> int:
    """Take an adapter that is not deployed out of its pool; it stays, in no pool."""
    from octomesh_graphql.cli.client import adapters, asking

    return asking.run(flags.given, lambda api: adapters.move(api, adapter, None, json=json))


@adapters.command(name="delete")
def delete_adapter(
    adapter: AdapterWord, /, *, yes: Yes = False, json: Json = False, flags: ClientFlags = ClientFlags()
) -> int:
    """Delete an adapter that is not deployed."""
    from octomesh_graphql.cli.client import adapters, asking, finding

    if not yes and (refusal := asking.confirm("adapter", adapter)):
        return refusal

    async def act(api: Any) -> None:
        await adapters.delete(api, await finding.found(api, finding.ADAPTER, adapter), json=json)

    return asking.run(flags.given, act)


@adapters.command(name="deploy")
def deploy_adapter(
    adapter: AdapterWord,
    /,
    *,
    waiting: WaitFlags = WaitFlags(),
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """Wish an adapter deployed."""
    from octomesh_graphql.cli.client import adapters, asking

    return asking.run(
        flags.given, lambda api: adapters.deploy(api, adapter, wanted=True, wait=waiting.seconds, json=json)
    )


@adapters.command(name="undeploy")
def undeploy_adapter(
    adapter: AdapterWord,
    /,
    *,
    waiting: WaitFlags = WaitFlags(),
    json: Json = False,
    flags: ClientFlags = ClientFlags(),
) -> int:
    """Wish an adapter undeployed."""
    from octomesh_graphql.cli.client import adapters, asking

    return asking.run(
        flags.given, lambda api: adapters.deploy(api, adapter, wanted=False, wait=waiting.seconds, json=json)
    )


def _given(**fields: Any) -> dict[str, Any]:
    """Those that were said."""
    return {name: value for name, value in fields.items() if value is not None}


def _cleared(**fields: Any) -> dict[str, Any]:
    """Those that were said, with null for what is empty."""
    return {name: value or None for name, value in fields.items() if value is not None}


def _misused(sentence: str) -> int:
    print(f"octomesh: {sentence}", file=sys.stderr)
    return MISUSED
