"""Tenancy: creating, listing and deleting tenants. It is for who runs the server; no tenant's user gets here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from octomesh_graphql.domain.adapter import Adapter, StillDeployed
from octomesh_graphql.domain.problem import NotFound, Refused
from octomesh_graphql.domain.states import DeploymentState
from octomesh_graphql.domain.tenant import Tenant
from octomesh_graphql.domain.text import clean, name_problems
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.paging import MAX_ROWS, PageRequest
from octomesh_graphql.store.selecting import AdapterFilter
from octomesh_graphql.store.tenants import Registry

_NOT_UNDEPLOYED: Final = AdapterFilter(deployment_state=set(DeploymentState) - {DeploymentState.UNDEPLOYED})

_NAMED: Final = 10
"""Adapters of a pool named in a message: enough to recognise it, and it stays readable."""


async def create_tenant(registry: Registry, now: datetime, *, tenant_id: str, name: str | None = None) -> Tenant:
    """A new tenant, called `name` or else by its id. Raises `Refused`."""
    display_name = clean(name or "") or None
    if display_name:
        Refused.if_any(name_problems(display_name))
    return await registry.create(tenant_id, display_name, now)


async def list_tenants(registry: Registry) -> Sequence[Tenant]:
    """All of them, by id."""
    return await registry.tenants()


async def delete_tenant(registry: Registry, tenant_id: str, *, force: bool = False) -> Sequence[str]:
    """Delete a tenant with all that is its own; returns what may be left in clusters, a line for each pool.

    Raises `Refused` while adapters are deployed or on their way, unless forced: they would run on, and nobody would
    know any more. A deletion that was cut short can be repeated.
    """
    deployed = await _deployed_by_pool(registry, tenant_id)
    lines = [_line(pool, adapters) for pool, adapters in deployed.items()]
    if deployed and not force:
        raise Refused(
            StillDeployed(
                message=f"The tenant '{tenant_id}' has adapters that are deployed or on their way:\n"
                + "\n".join(lines)
                + "\nUndeploy them first.",
                adapters=[adapter for adapters in deployed.values() for adapter in adapters],
            )
        )
    await registry.delete(tenant_id)
    return lines


async def _deployed_by_pool(registry: Registry, tenant_id: str) -> Mapping[str, Sequence[Adapter]]:
    """The adapters of a tenant that are not at rest, by the names of their pools."""
    try:
        store = await registry.open(tenant_id)
    except Refused as refused:
        if all(isinstance(problem, NotFound) for problem in refused.problems):
            return {}  # there is none, or its deletion was cut short: the registry knows which
        raise
    adapters = [adapter for adapter in await _adapters(store) if not adapter.at_rest]
    pools = await store.pools({adapter.pool_rt_id for adapter in adapters if adapter.pool_rt_id})
    by_pool: dict[str, list[Adapter]] = defaultdict(list)
    for adapter in adapters:
        pool = pools.get(adapter.pool_rt_id or "")
        by_pool[pool.name if pool else ""].append(adapter)
    return dict(sorted(by_pool.items()))


async def _adapters(store: TenantStore) -> Sequence[Adapter]:
    """All adapters of a tenant that are not undeployed, by name."""
    found: list[Adapter] = []
    request = PageRequest(first=MAX_ROWS)
    while True:
        page = await store.adapter_page(request, chosen=_NOT_UNDEPLOYED)
        found += page.rows
        if not page.has_next:
            return found
        request = PageRequest(first=MAX_ROWS, after=page.cursors[-1])


def _line(pool: str, adapters: Sequence[Adapter]) -> str:
    names = ", ".join(f"'{adapter.name}'" for adapter in adapters[:_NAMED])
    more = f" and {len(adapters) - _NAMED} more" if len(adapters) > _NAMED else ""
    where = f"pool '{pool}'" if pool else "in no pool"
    return f"  {where}: {names}{more}"
