"""What the operator needs of the API server. `link.py` is the real one.

A server that refuses raises `AgentRefused`, as it is in the domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from octomesh_graphql.domain.session import Session
from octomesh_graphql.domain.wish import Finding, PoolWish


class ServerUnavailable(Exception):
    """The server can't be asked now, or did not answer in time; trying again later is the answer."""


class LinkDown(ServerUnavailable):
    """There is no connection to the server, or no session yet."""


class Server(Protocol):
    """The API server, as the one who registered there sees it. Everything may raise `ServerUnavailable`."""

    @property
    def session(self) -> Session | None:
        """The present session; None: none yet, or it has ended."""
        ...

    @property
    def leased(self) -> bool:
        """Whether the lease of the session is certainly still held. Without it nothing is applied to a cluster."""
        ...

    @property
    def away(self) -> bool:
        """Whether the last lease is over, or there never was one. A session that is just being renewed is not that."""
        ...

    @property
    def trouble(self) -> str:
        """Why there is no connection, in a sentence; empty: there is one."""
        ...

    async def claim(self, tenant_id: str, pool_rt_id: str, namespace: str) -> str:
        """Serve a pool from now on, in this session; returns its name."""
        ...

    async def wish(self, tenant_id: str, pool_rt_id: str) -> PoolWish:
        """All that is wished about a pool."""
        ...

    async def report(self, tenant_id: str, pool_rt_id: str, findings: Sequence[Finding]) -> None:
        """Tell what was found."""
        ...

    async def release(self, tenant_id: str, pool_rt_id: str) -> None:
        """Serve a pool no longer."""
        ...
