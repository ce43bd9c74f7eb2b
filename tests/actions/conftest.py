"""Agents and what they serve, in a fresh tenant."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from octomesh_graphql.actions.registering import claim_pool, register_operator
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.session import OperatorFacts, Session
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.sessions import Sessions
from tests.builders import NOW


@dataclass(frozen=True)
class Agents:
    """Lets operators act in the tenant `acme`."""

    sessions: Sessions
    store: TenantStore

    async def operator(self, id: str = "plant-1", cluster: str = "plant") -> Session:
        """An operator that has just registered."""
        return await register_operator(self.sessions, OperatorFacts(id=id, cluster=cluster, version="1.0.0"))

    async def claim(self, session: Session, pool: Pool) -> Pool:
        """The pool, served in this session."""
        return await claim_pool(self.sessions, session, NOW, tenant_id="acme", pool_rt_id=pool.rt_id, namespace="octo")

    async def pool(self, pool: Pool) -> Pool:
        """The pool as it is now."""
        found = await self.store.pool(pool.rt_id)
        assert found
        return found


@pytest.fixture
def agents(sessions: Sessions, store: TenantStore) -> Agents:
    """Operators for the tenant `acme`."""
    return Agents(sessions, store)
