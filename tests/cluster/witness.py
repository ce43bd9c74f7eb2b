"""Who sees each Deployment that ever was, also those that are gone again a moment later."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from kubernetes_asyncio.client import ApiException, AppsV1Api
from kubernetes_asyncio.watch import Watch

from octomesh_graphql.domain.resource import ADAPTER_RT_ID
from tests.cluster.plant import Place

_RETRY_SECONDS: Final = 0.1


@dataclass(kw_only=True)
class Witness:
    """What the API server told of the Deployments of a namespace since it was asked first."""

    lives: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The uids of all Deployments that an adapter has ever had, by its rtId."""
    rollouts: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """The generations they have ever had."""

    def saw(self, deployment: dict[str, Any]) -> None:
        """Remember it."""
        metadata = deployment["metadata"]
        rt_id = metadata["labels"][ADAPTER_RT_ID]
        self.lives[rt_id].add(metadata["uid"])
        self.rollouts[rt_id].add(metadata["generation"])

    def made_once(self, rt_ids: Collection[str]) -> None:
        """Each of these adapters has had one Deployment, and that was rolled out once."""
        assert {rt_id: (len(self.lives[rt_id]), self.rollouts[rt_id]) for rt_id in rt_ids} == {
            rt_id: (1, {1}) for rt_id in rt_ids
        }


@asynccontextmanager
async def witnessed(place: Place) -> AsyncIterator[Witness]:
    """A witness until the block ends, also through restarts of the API server."""
    witness = Witness()
    watching = asyncio.create_task(_watch(place, witness))
    try:
        yield witness
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(place: Place, witness: Witness) -> None:
    apps: Any = AppsV1Api(place.api_client)
    while True:
        with suppress(ApiException, aiohttp.ClientError):
            async with Watch() as watch:
                async for event in watch.stream(
                    apps.list_namespaced_deployment, place.namespace, label_selector=ADAPTER_RT_ID
                ):
                    witness.saw(event["raw_object"])
        await asyncio.sleep(_RETRY_SECONDS)


def image_of(deployment: dict[str, Any]) -> str:
    """The image of its only container."""
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
