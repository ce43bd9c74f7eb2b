"""Who asks, and what they may do."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks. `name` is what transitions keep as the one who did it."""

    name: str
    authenticated: bool
    may_read: bool = True
    may_edit: bool = True


ANONYMOUS = Caller(name="anonymous", authenticated=False)
"""Everybody, on a server that asks nobody: without an issuer it listens on loopback only."""

SERVER = Caller(name="octomesh-server", authenticated=True)
"""The server itself: seeding, sweeping, finishing a deletion."""
