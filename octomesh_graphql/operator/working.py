"""Workers: they take keys from the queue and reconcile them. What a round fails with is answered here only."""

from __future__ import annotations

import time
from typing import Literal, NoReturn, Protocol

import structlog

from octomesh_graphql.domain.session import AgentRefused
from octomesh_graphql.operator.charges import Key
from octomesh_graphql.operator.cluster import ClusterRefused, ClusterUnavailable
from octomesh_graphql.operator.queueing import WorkQueue
from octomesh_graphql.operator.reconciling import Reconciler
from octomesh_graphql.operator.server import ServerUnavailable

log = structlog.get_logger()

Result = Literal["done", "waiting", "refused", "failed"]


class Counting(Protocol):
    """Who wants to know how rounds go."""

    def reconciled(self, result: Result, seconds: float) -> None:
        """A round of one pool ended."""
        ...


async def work(queue: WorkQueue[Key], reconciler: Reconciler, counting: Counting) -> NoReturn:
    """One key after the other."""
    while True:
        key = await queue.take()
        begun = time.monotonic()
        result = await attempt(queue, reconciler, key)
        counting.reconciled(result, time.monotonic() - begun)


async def attempt(queue: WorkQueue[Key], reconciler: Reconciler, key: Key) -> Result:
    """One round of a key that was taken. Whatever it fails with, it is tried again."""
    try:
        again = await reconciler.reconcile(key)
    except ClusterUnavailable as error:
        log.warning("the cluster can't be asked", resource=str(key), reason=str(error))
        queue.failed(key, at_least=error.retry_after or 0)
        return "waiting"
    except ServerUnavailable as error:
        log.info("the server can't be asked", resource=str(key), reason=str(error))
        queue.failed(key)
        return "waiting"
    except (ClusterRefused, AgentRefused) as error:
        log.info("refused", resource=str(key), reason=str(error))
        queue.failed(key)
        return "refused"
    except Exception:
        log.exception("a round failed", resource=str(key))
        queue.failed(key)
        return "failed"
    queue.done(key)
    if again is not None:
        queue.add(key, after=again)
    return "done"
