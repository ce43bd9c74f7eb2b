"""A transaction left open, as a program leaves one that is killed or freezes in the middle of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pymongo


@asynccontextmanager
async def left_open(
    uri: str, database: str, collection: str, query: dict[str, Any], *, app: str = "octomesh"
) -> AsyncIterator[Any]:
    """A program that calls itself `app` has written the document that matches, and does nothing more; its session."""
    client: Any = pymongo.AsyncMongoClient(uri, appname=app)
    async with client, client.start_session() as session:
        await session.start_transaction()
        await client[database][collection].update_one(query, {"$set": {"held": True}}, upsert=True, session=session)
        yield session
