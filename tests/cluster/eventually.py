"""Waiting for what a cluster gets to in its own time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from kubernetes_asyncio.client import ApiException

T = TypeVar("T")

_PAUSE_SECONDS = 0.02


async def eventually(ask: Callable[[], Awaitable[T]], holds: Callable[[T], Any], *, within: float = 30.0) -> T:
    """Ask until it holds, and return that answer. `within` is in seconds and generous: it is waited only in failure."""
    answer: list[T] = []
    try:
        async with asyncio.timeout(within):
            while not answer or not holds(answer[0]):
                answer = [await ask()]
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        seen = answer[0] if answer else "no answer at all"
        raise AssertionError(f"this did not come within {within:.0f} s; last seen:\n{seen}") from None
    return answer[0]


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Do them side by side until the first of them ends, however it does; the others are cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def gone(read: Callable[[], Awaitable[Any]], *, within: float = 30.0) -> None:
    """Wait until what is read is no longer there."""

    async def is_gone() -> bool:
        try:
            await read()
        except ApiException as error:
            if error.status != 404:
                raise
            return True
        return False

    await eventually(is_gone, bool, within=within)
