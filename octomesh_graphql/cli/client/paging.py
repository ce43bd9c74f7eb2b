"""Lists, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from octomesh_graphql.cli.client.connection import Api


async def all_of(api: Api, document: str, **variables: Any) -> AsyncIterator[dict[str, Any]]:
    """All rows of a list that the document asks for as `page`, a page behind `$after` at a time."""
    after = None
    while True:
        page = (await api.ask(document, after=after, **variables))["page"]
        for row in page["nodes"]:
            yield row
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]
