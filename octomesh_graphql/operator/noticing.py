"""Noticing: what happens in the cluster, as keys to look at again. What a watch tells is never acted on itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final

from octomesh_graphql.domain.resource import MANAGED_BY, MANAGED_BY_OPERATOR, POOL_RT_ID, TENANT
from octomesh_graphql.operator.charges import Charges, Key, PoolId, key_of
from octomesh_graphql.operator.cluster import WARNINGS, Cluster, Kind, Object
from octomesh_graphql.operator.together import until_one_ends

_OF_ADAPTERS: Final = (Kind.DEPLOYMENT, Kind.POD, Kind.SECRET, Kind.SERVICE)
_OURS: Final = {MANAGED_BY: MANAGED_BY_OPERATOR}
_NAMES: Final = "octo-"
"""How the names of all objects of adapters begin, and so those of their ReplicaSets and pods."""


class Noticing:
    """Watches a cluster, or one namespace of it, and has looked at what may have changed.

    Each watch holds a connection, so there is one for each kind, however many namespaces there are.
    """

    def __init__(
        self, cluster: Cluster, charges: Charges, look_at: Callable[[Key], None], *, namespace: str | None = None
    ) -> None:
        self._cluster = cluster
        self._charges = charges
        self._look_at = look_at
        self._namespace = namespace

    async def run(self) -> None:
        """Until it is cancelled, or a watch fails for good."""
        await until_one_ends(
            self._watch(Kind.COMMUNICATION_POOL, self._namespace),
            *(self._watch(kind, self._namespace, labels=_OURS) for kind in _OF_ADAPTERS),
            self._watch(Kind.EVENT, self._namespace, fields=WARNINGS),
        )

    async def _watch(self, kind: Kind, namespace: str | None, **chosen: Mapping[str, str]) -> None:
        watch: Any = self._cluster.watch(kind, namespace=namespace, **chosen)
        async with aclosing(watch) as sightings:
            async for sighting in sightings:
                if sighting.object is not None:
                    for key in concerned(kind, sighting.object, self._charges):
                        self._look_at(key)


def concerned(kind: Kind, object: Object, charges: Charges) -> Iterable[Key]:
    """Whom something seen in the cluster concerns."""
    if kind is Kind.COMMUNICATION_POOL:
        return [key_of(object)]
    if kind is Kind.EVENT:
        about = object.get("involvedObject") or {}
        ours = object.get("type") == "Warning" and str(about.get("name", "")).startswith(_NAMES)
        return charges.known(object["metadata"]["namespace"]) if ours else []
    labels = object["metadata"].get("labels") or {}
    holder = charges.holder(PoolId(labels.get(TENANT, ""), labels.get(POOL_RT_ID, "")))
    return [holder.key] if holder else []
