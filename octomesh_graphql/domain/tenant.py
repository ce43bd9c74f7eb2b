"""The Tenant: who owns data."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from octomesh_graphql.domain.problem import InvalidValue, NotFound, Problem
from octomesh_graphql.domain.text import shown

TENANT_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,36}[a-z0-9])?")
"""38 characters at most: with the prefix a database name stays far below MongoDB's 63 bytes."""

RESERVED: Final = frozenset({"system", "admin", "local", "config"})
"""Names that MongoDB or this system use for databases of their own."""


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """An isolated owner of pools and adapters, with a database of its own."""

    id: str
    display_name: str
    database: str
    created: datetime


def no_tenant(tenant_id: str) -> NotFound:
    """The problem that a tenant does not exist, which a foreign one looks like too."""
    return NotFound(message=f"There is no tenant '{shown(tenant_id)}'.", path=("tenantId",))


def tenant_id_problems(tenant_id: str) -> Iterator[Problem]:
    """Why this can't be the id of a tenant, if it can't."""
    if not TENANT_ID.fullmatch(tenant_id):
        yield InvalidValue(
            message=f"'{shown(tenant_id)}' can't be the id of a tenant: use 1 to 38 lower-case letters, digits and "
            "hyphens, with a letter or digit at both ends.",
            path=("id",),
        )
    elif tenant_id in RESERVED:
        yield InvalidValue(message=f"The tenant id '{tenant_id}' is reserved; choose another.", path=("id",))
