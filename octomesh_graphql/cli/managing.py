"""`octomesh tenants`: managing tenants straight in the database, also while no server runs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from octomesh_graphql import logs
from octomesh_graphql.actions import tenancy
from octomesh_graphql.actions.clock import now
from octomesh_graphql.cli import FAILED, MISUSED
from octomesh_graphql.cli.client import telling
from octomesh_graphql.cli.database import connected, shared_database
from octomesh_graphql.cli.running import CommandFailed
from octomesh_graphql.cli.tables import plain
from octomesh_graphql.domain.adapter import StillDeployed
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.settings import load
from octomesh_graphql.store.tenants import Registry


async def create(flags: Mapping[str, Any], tenant_id: str, name: str | None) -> None:
    """Create a tenant and say so."""
    async with _tenants(flags) as registry:
        tenant = await tenancy.create_tenant(registry, now(), tenant_id=tenant_id, name=name)
    print(f"The tenant '{tenant.id}' is there. Its API is at /tenants/{tenant.id}/graphql.")


async def show(flags: Mapping[str, Any], output: str) -> None:
    """Print all tenants, as a table or as JSON."""
    async with _tenants(flags) as registry:
        found = await tenancy.list_tenants(registry)
    rows = [
        {
            "id": tenant.id,
            "name": tenant.display_name,
            "database": tenant.database,
            "created": tenant.created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        for tenant in found
    ]
    if output == "json":
        telling.as_json(rows)
    elif rows:
        print(plain(rows))
    else:
        print("There is no tenant yet. Create one with: octomesh tenants create ID", file=sys.stderr)


def confirm_deletion(tenant_id: str) -> int:
    """Let the user type the id; returns the exit code if that is not what was typed, or nobody is there to type."""
    if not sys.stdin.isatty():
        print(f"octomesh: To delete the tenant '{tenant_id}' without being asked, say --yes.", file=sys.stderr)
        return MISUSED
    print(f"This deletes the tenant '{tenant_id}' with all its pools and adapters, for good.", file=sys.stderr)
    print("Type its id to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() == tenant_id:
        return 0
    print("octomesh: That is another id. Nothing was deleted.", file=sys.stderr)
    return FAILED


async def delete(flags: Mapping[str, Any], tenant_id: str, *, force: bool) -> None:
    """Delete a tenant, and name what is left behind."""
    async with _tenants(flags) as registry:
        try:
            left_behind = await tenancy.delete_tenant(registry, tenant_id, force=force)
        except Refused as refused:
            if any(isinstance(problem, StillDeployed) for problem in refused.problems):
                raise CommandFailed(f"{refused}\nTo delete it all the same, say --force.") from refused
            raise
    print(f"The tenant '{tenant_id}' is deleted.")
    if left_behind:
        print("Still in clusters, perhaps, and no longer known here:\n" + "\n".join(left_behind), file=sys.stderr)


@asynccontextmanager
async def _tenants(flags: Mapping[str, Any]) -> AsyncIterator[Registry]:
    settings = load(flags)
    level = settings.log_level if "log_level" in flags else "error"  # a short command has no story to tell
    logs.configure(settings.log_format, level)
    async with shared_database(settings) as database, connected(settings, database) as registry:
        yield registry
