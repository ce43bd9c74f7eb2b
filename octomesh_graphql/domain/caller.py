"""Who asks, and what they may do."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Request:
    """Something a caller asks for by an id of its own, perhaps several times, because an answer was lost."""

    id: str
    caller_id: str
    digest: str
    """Tells it from another one under the same id."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks. `name` is what transitions keep as the one who did it."""

    name: str
    authenticated: bool
    id: str = ""
    """As the issuer of its token knows it, for good; empty where nobody is asked."""
    tenant_id: str | None = None
    """The only tenant it may have to do with; None: any."""
    may_read: bool = True
    may_edit: bool = True
    may_be_agent: bool = True
    """Whether it may speak as an operator or as the process of an adapter."""
    until: datetime | None = None
    """When that ends."""
    request: Request | None = None
    """What it asks for just now, if that has an id."""

    def may_enter(self, tenant_id: str) -> bool:
        """Whether it may know that there is this tenant."""
        return self.tenant_id in (None, tenant_id)

    def is_over(self, now: datetime) -> bool:
        """Whether what it was allowed has ended."""
        return self.until is not None and self.until <= now


ANONYMOUS = Caller(name="anonymous", authenticated=False)
"""Everybody, on a server that asks nobody: without an issuer it listens on loopback only."""

SERVER = Caller(name="octomesh-server", authenticated=True)
"""The server itself: seeding, sweeping, finishing a deletion."""
