"""What the demo invents beside the data: a cluster in which pools are installed, and the processes of adapters.

The operator of the demo is the real one; only its cluster is simulated. What people would do with `kubectl`, and what
containers would do, is done here.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from contextlib import aclosing, suppress
from typing import Any, Final, NoReturn

import structlog

from octomesh_graphql.actions.clock import now
from octomesh_graphql.actions.configuring import acknowledge_configuration, hand_configuration
from octomesh_graphql.actions.following import configuration_versions
from octomesh_graphql.actions.registering import register_adapter
from octomesh_graphql.actions.seeding import DEMO, PLANNED
from octomesh_graphql.actions.sweeping import sign_off
from octomesh_graphql.actions.watching import pool_changes
from octomesh_graphql.domain import resource
from octomesh_graphql.domain.change import ChangeKind
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.session import AgentRefused, Session
from octomesh_graphql.operator.cluster import Kind, Object, Step
from octomesh_graphql.operator.manifests import PlaceSettings
from octomesh_graphql.operator.operating import Operator, OperatorPlan
from octomesh_graphql.operator.simulated import SimulatedCluster
from octomesh_graphql.operator.together import until_one_ends
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.mongo import MongoUnavailable
from octomesh_graphql.store.sessions import Sessions

log = structlog.get_logger()

CLUSTER: Final = "simulated"
OPERATOR: Final = "demo-simulated"

_AGAIN_SECONDS: Final = 2.0


class _Nobody:
    """The demo has no metrics of its operator."""

    def reconciled(self, result: str, seconds: float) -> None:
        """Nobody asks."""


async def plants(sessions: Sessions, feed: Feed, server_url: str, *, speed: float = 1.0) -> None:
    """Run an operator whose cluster is simulated, install the demo's pools there and play their adapters.

    `speed` is how many seconds a second of the simulation takes.
    """
    async with SimulatedCluster(CLUSTER, speed=speed) as cluster:
        plan = OperatorPlan(server_url=server_url, place=PlaceSettings(server_url=server_url), operator_id=OPERATOR)
        log.warning("the cluster of the demo is simulated; nothing runs for real", cluster=cluster.name)
        await until_one_ends(
            Operator(cluster, plan, _Nobody()).run(),
            _installed(sessions, feed, cluster),
            _played(sessions, feed, cluster),
        )


# What people do


async def _installed(sessions: Sessions, feed: Feed, cluster: SimulatedCluster) -> NoReturn:
    """Have in the cluster the CommunicationPool of each pool of the demo, but for one that is only planned."""
    store = await sessions.registry.open(DEMO)
    watched: Any = pool_changes(store, feed)
    async with aclosing(watched) as changes:
        async for change in changes:
            pool = change.entity
            if not isinstance(pool, Pool) or pool.rt_well_known_name == PLANNED:
                continue
            if change.kind is ChangeKind.DELETED:
                await _uninstall(cluster, pool)
            elif change.kind in (ChangeKind.SNAPSHOT, ChangeKind.CREATED):
                cluster.put(_resource_of(pool))
    await asyncio.Event().wait()  # the tenant was deleted: there is nothing to install any more
    raise AssertionError


async def _uninstall(cluster: SimulatedCluster, pool: Pool) -> None:
    for found in await cluster.objects(Kind.COMMUNICATION_POOL):
        if found["spec"]["poolRtId"] == pool.rt_id:  # its namespace may have the name that the pool had before
            cluster.remove(Kind.COMMUNICATION_POOL, *(found["metadata"][part] for part in ("namespace", "name")))


def _resource_of(pool: Pool) -> Object:
    return {
        "apiVersion": resource.API_VERSION,
        "kind": resource.KIND,
        "metadata": {"name": resource.resource_name(DEMO, pool.rt_id), "namespace": namespace_of(pool)},
        "spec": {"tenantId": DEMO, "poolRtId": pool.rt_id},
    }


def namespace_of(pool: Pool) -> str:
    """A namespace that people recognise: `werk-nurnberg`."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", pool.name) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "-", bare.lower())[:40].strip("-") or f"pool-{pool.rt_id}"


# What containers do


async def _played(sessions: Sessions, feed: Feed, cluster: SimulatedCluster) -> None:
    """A process for each pod that is ready, for as long as the pod is there."""
    processes: dict[str, asyncio.Task[None]] = {}
    watch: Any = cluster.watch(Kind.POD, labels={resource.MANAGED_BY: resource.MANAGED_BY_OPERATOR})
    try:
        async with aclosing(watch) as sightings:
            async for sighting in sightings:
                pod = sighting.object
                if pod is None:
                    continue
                uid = pod["metadata"]["uid"]
                if sighting.step is Step.GONE or not _ready(pod):
                    _stop(processes.pop(uid, None))
                elif uid not in processes:
                    processes[uid] = asyncio.create_task(_process(sessions, feed, pod["metadata"]["labels"]))
    finally:
        for process in processes.values():
            process.cancel()
        await asyncio.gather(*processes.values(), return_exceptions=True)


def _ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _stop(process: asyncio.Task[None] | None) -> None:
    if process:
        process.cancel()


async def _process(sessions: Sessions, feed: Feed, labels: dict[str, str]) -> None:
    """An adapter that registers, takes each configuration it is given, and says goodbye when its pod ends."""
    tenant_id, rt_id = labels[resource.TENANT], labels[resource.ADAPTER_RT_ID]
    while True:
        with suppress(AgentRefused, MongoUnavailable):
            session = await register_adapter(sessions, now(), tenant_id=tenant_id, rt_id=rt_id)
            try:
                await until_one_ends(_working(sessions, feed, session), _renewing(sessions, session))
            finally:
                await _goodbye(sessions, session)
        await asyncio.sleep(_AGAIN_SECONDS)


async def _working(sessions: Sessions, feed: Feed, session: Session) -> None:
    versions: Any = configuration_versions(sessions, feed, session)
    async with aclosing(versions):
        async for _ in versions:
            handed = await hand_configuration(sessions, session, now())
            await acknowledge_configuration(sessions, session, now(), handed.version)


async def _renewing(sessions: Sessions, session: Session) -> NoReturn:
    while True:
        await asyncio.sleep(sessions.renew_seconds)
        await sessions.renew(session)


async def _goodbye(sessions: Sessions, session: Session) -> None:
    """Sign off, unless the session is over: a newer process of the same adapter has one of its own."""
    with suppress(AgentRefused, MongoUnavailable):
        await sign_off(sessions, session, now())
