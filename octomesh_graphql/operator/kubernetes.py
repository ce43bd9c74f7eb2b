"""A real cluster, over the Kubernetes API. The only file that knows kubernetes_asyncio.

Of that library it takes how to find and authenticate to a cluster; requests are made with plain dicts on one path, so
that time-outs, refusals and what counts as unavailable are in one place.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import random
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import aiohttp
import structlog
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config, refresh_token

from octomesh_graphql import __version__
from octomesh_graphql.domain.resource import FIELD_MANAGER
from octomesh_graphql.operator.cluster import (
    ClusterRefused,
    ClusterUnavailable,
    Kind,
    Leadership,
    Object,
    Sighting,
    Step,
)
from octomesh_graphql.operator.electing import Candidate, LeaseTimes, new_identity
from octomesh_graphql.operator.events import event_about, told_again
from octomesh_graphql.operator.kubeconfig import ClusterNotFound, context_in
from octomesh_graphql.operator.sightings import Told

log = structlog.get_logger()
# What it raises as well is told here, once and in our words.
logging.getLogger("kubernetes_asyncio.config.kube_config").addFilter(lambda _: sys.exc_info()[0] is None)

PAGE: Final = 500
"""Objects asked for at once, as kubectl does: an answer of some megabytes at most."""

_BREAK_SECONDS: Final = (0.5, 30.0)
"""The first pause after a watch broke, and the longest: it doubles until a watch tells something again."""
_REFRESH_SECONDS: Final = 10.0
"""Until credentials that could not be fetched are asked for again."""

_ODDITIES: Final = (
    *(ConfigException, OSError, ValueError, TypeError),
    *(AttributeError, LookupError, AssertionError, RuntimeError),
)
"""There is no end of what may be odd about a kubeconfig or a program for credentials, and the library stumbles over
each in its own way."""

_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_KUBECONFIG: Final = "~/.kube/config"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long an API server is waited for."""

    request_seconds: float = 10.0
    """For one request and its answer; an API server that is well answers within one."""
    watch_seconds: tuple[int, int] = (200, 300)
    """After how long it is asked to end a watch, at random in between, so that watches do not end together."""
    silence_seconds: float = 10.0
    """How much longer than that a watch may stay silent. Watches get stuck for ever: kubernetes_asyncio issue 360."""


class Kubernetes:
    """A cluster behind an API server."""

    def __init__(
        self,
        api: ApiClient,
        *,
        name: str,
        namespace: str,
        lease: str,
        times: LeaseTimes | None = None,
        patience: Patience | None = None,
        page: int = PAGE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`namespace` and `lease` name the Lease object by which replicas elect who leads."""
        api.user_agent = f"{FIELD_MANAGER}/{__version__}"  # by it the API server names the field manager too
        self._api = api
        self._name = name
        self._lease = _Lease(self, namespace, lease)
        self._times = times or LeaseTimes()
        self._identity = new_identity()
        self._patience = patience or Patience()
        self._page = page
        self._sleep = sleep

    @property
    def name(self) -> str:
        return self._name

    async def identity(self) -> str:
        lease = await self._lease.read()
        return hashlib.sha256(lease["metadata"]["uid"].encode()).hexdigest()[:8]

    # Reading

    async def objects(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> list[Object]:
        objects, _ = await self._listed(kind, namespace, _selecting(labels, fields))
        return objects

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        try:
            found: Object = await self.ask("GET", _path(kind, namespace, name))
        except ClusterRefused as error:
            if error.status == 404 and error.name == name:
                return None
            raise  # of an API that is not served, or not yet, nothing is known
        return found

    async def _listed(self, kind: Kind, namespace: str | None, chosen: Mapping[str, str]) -> tuple[list[Object], str]:
        """All objects, read page by page, and the version of the whole, from which a watch goes on."""
        query = {**chosen, "limit": str(self._page)}
        objects: list[Object] = []
        while True:
            answer = await self.ask("GET", _path(kind, namespace), query)
            # Lists leave out what all their items have in common.
            objects += [{"apiVersion": kind.api_version, "kind": kind.kind} | item for item in answer["items"]]
            rest = answer["metadata"].get("continue")
            if not rest:
                return objects, answer["metadata"]["resourceVersion"]
            query |= {"continue": rest}

    # Writing

    async def apply(self, wished: Object) -> Object:
        applied: Object = await self._apply(wished)
        return applied

    async def apply_status(self, status: Object) -> None:
        with _fine(404):
            await self._apply(status, "/status")

    async def _apply(self, wished: Object, part: str = "") -> Any:
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self.ask("PATCH", _path_of(wished) + part, query, wished, _APPLY)

    async def delete(self, object: Object) -> None:
        options = {"preconditions": {"uid": object["metadata"]["uid"]}, "propagationPolicy": "Background"}
        with _fine(404, 409):
            await self.ask("DELETE", _path_of(object), body=options)

    async def set_finalizers(self, object: Object, finalizers: list[str]) -> None:
        read = {key: object["metadata"][key] for key in ("uid", "resourceVersion")}
        with _fine(404):
            await self.ask(
                "PATCH", _path_of(object), body={"metadata": read | {"finalizers": finalizers}}, content_type=_MERGE
            )

    async def record(self, about: Object, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        now = datetime.now(UTC)
        event = event_about(about, type, reason, message, source=FIELD_MANAGER, now=now)
        namespace, name = event["metadata"]["namespace"], event["metadata"]["name"]
        try:
            if earlier := await self.get(Kind.EVENT, namespace, name):
                await self.ask("PATCH", _path_of(event), body=told_again(earlier, now), content_type=_MERGE)
            else:
                await self.ask("POST", _path(Kind.EVENT, namespace), body=event)
        except (ClusterUnavailable, ClusterRefused) as error:
            log.debug("event not recorded", about=about["metadata"]["name"], what=reason, reason=str(error))

    # Watching

    async def watch(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Sighting, None]:
        told = Told()
        pause, longest = _BREAK_SECONDS
        while True:
            try:
                objects, version = await self._listed(kind, namespace, _selecting(labels, fields))
                for sighting in told.listed(objects):
                    yield sighting
                async with aclosing(self._changes(kind, namespace, _selecting(labels, fields), version)) as changes:
                    async for step, object in changes:
                        pause = _BREAK_SECONDS[0]
                        if step:
                            yield told.changed(step, object)
            except (ClusterUnavailable, ClusterRefused) as error:
                log.warning("watch broken", kind=kind.kind, reason=str(error), pause=pause)
            # At random, so that the watches of a cluster that comes back do not come all at once.
            await self._sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, longest)

    async def _changes(
        self, kind: Kind, namespace: str | None, chosen: Mapping[str, str], version: str
    ) -> AsyncGenerator[tuple[Step | None, Object], None]:
        """What happens after a version: one watch after the other, until one breaks. Without a step: only time passed.

        Raises `ClusterUnavailable` or `ClusterRefused` when the watch can't go on and everything has to be listed anew.
        """
        while True:
            before = version
            async with aclosing(self._one_watch(kind, namespace, chosen, version)) as events:
                async for event in events:
                    if event["type"] == "ERROR":
                        raise _failure(event["object"])
                    version = event["object"]["metadata"]["resourceVersion"]
                    yield _STEPS.get(event["type"]), event["object"]
            if version == before:
                raise ClusterUnavailable("the watch ended without a word")

    async def _one_watch(
        self, kind: Kind, namespace: str | None, chosen: Mapping[str, str], version: str
    ) -> AsyncGenerator[Object, None]:
        """The events of one watch, which the API server ends after some minutes."""
        seconds = random.randint(*self._patience.watch_seconds)
        query = {
            **chosen,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        path = _path(kind, namespace)
        with _reaching(f"WATCH {path}"), closing(await self._opened("GET", path, query)) as response:
            while line := await _line(response, seconds + self._patience.silence_seconds):
                yield json.loads(line)

    # Leading

    def leading(self) -> AbstractAsyncContextManager[Leadership]:
        return Candidate(self._lease, self._times, identity=self._identity).leading()

    # Requests

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """The answer to one request. Raises `ClusterUnavailable` and `ClusterRefused`."""
        with _reaching(f"{method} {path}"):
            async with asyncio.timeout(self._patience.request_seconds):
                with closing(await self._opened(method, path, query, body, content_type)) as response:
                    return json.loads(await response.read())

    async def _opened(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> aiohttp.ClientResponse:
        """An answer that is no refusal, still to be read."""
        async with asyncio.timeout(self._patience.request_seconds):
            response: aiohttp.ClientResponse = await self._api.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
            )
            if response.status < 400:
                return response
            with closing(response):
                raise _failure(_status(response.status, await response.read()), response.headers.get("Retry-After"))


class _Lease:
    """The Lease object of one installation: who holds it leads, and its uid tells installations apart."""

    def __init__(self, kubernetes: Kubernetes, namespace: str, name: str) -> None:
        self._ask = kubernetes.ask
        self._all = f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace, safe='')}/leases"
        self._one = f"{self._all}/{quote(name, safe='')}"
        self._new = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace},
        }

    async def read(self) -> Object:
        try:
            lease: Object = await self._ask("GET", self._one)
        except ClusterRefused as error:
            if error.status != 404:
                raise
            with _fine(409):  # another replica was faster
                await self._ask("POST", self._all, body=self._new)
            lease = await self._ask("GET", self._one)
        return lease

    async def write(self, lease: Object) -> Object:
        written: Object = await self._ask("PUT", self._one, body=lease)
        return written


@asynccontextmanager
async def connected(
    *,
    kubeconfig: Path | None = None,
    context: str | None = None,
    name: str | None = None,
    namespace: str,
    lease: str,
    times: LeaseTimes | None = None,
) -> AsyncIterator[Kubernetes]:
    """The cluster of a kubeconfig (the given one, $KUBECONFIG, or ~/.kube/config), else that in which we are a pod.

    `namespace` and `lease` name the Lease object by which replicas elect who leads. Without a `name` the cluster is
    called as the context is. Raises `ClusterNotFound`; whether the cluster answers is not tried.
    """
    client, refreshing, found_name = await _configured(kubeconfig, context)
    async with client as api:
        try:
            yield Kubernetes(api, name=name or found_name, namespace=namespace, lease=lease, times=times)
        finally:
            refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await refreshing


async def _configured(kubeconfig: Path | None, context: str | None) -> tuple[ApiClient, asyncio.Task[None], str]:
    """How to reach the cluster, what keeps its credentials fresh, and what it is called."""
    files = [kubeconfig] if kubeconfig else _usual_kubeconfigs()
    if kubeconfig or context or any(map(os.path.exists, files)):
        return await _by_kubeconfig(files, context)
    # Its token file is read again by the library every minute, so there is nothing to refresh.
    return _as_pod(files), _nothing_to_refresh(), "in-cluster"


def _usual_kubeconfigs() -> list[Path]:
    named = os.environ.get("KUBECONFIG") or _KUBECONFIG
    return [Path(file).expanduser() for file in named.split(os.pathsep) if file]


async def _by_kubeconfig(files: Sequence[Path], name: str | None) -> tuple[ApiClient, asyncio.Task[None], str]:
    context = context_in(files, name)
    where = os.pathsep.join(map(str, files))
    configuration = Configuration()
    try:
        loader = await load_kube_config(config_file=where, context=context.name, client_configuration=configuration)
        client = ApiClient(configuration)
    except _ODDITIES as error:
        by = f" with the credentials that the program '{context.program}' gives out" if context.program else ""
        what = f"The context '{context.name}' of the kubeconfig {where}"
        raise ClusterNotFound(f"{what} can't be used{by}: {_words(error)}.") from error
    refreshing = asyncio.create_task(_refreshing(loader, configuration)) if context.has_user else _nothing_to_refresh()
    return client, refreshing, context.name


def _as_pod(missing: Sequence[Path]) -> ApiClient:
    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return ApiClient(configuration)
    except (ConfigException, OSError) as error:
        nowhere = f"There is no kubeconfig at {os.pathsep.join(map(str, missing))}"
        if not os.environ.get("KUBERNETES_SERVICE_HOST"):
            raise ClusterNotFound(f"{nowhere}, and this is no pod of a cluster.") from error
        raise ClusterNotFound(f"{nowhere}, and as a pod this can't ask its cluster: {_words(error)}.") from error


def _nothing_to_refresh() -> asyncio.Task[None]:
    return asyncio.create_task(asyncio.sleep(0))


async def _refreshing(loader: Any, configuration: Configuration) -> None:
    """Fetch credentials anew where a program gives them out; elsewhere the library returns at once."""
    while True:
        try:
            return await refresh_token(loader, configuration)
        except _ODDITIES as error:
            log.warning("credentials not refreshed", reason=str(error) or type(error).__name__)
            await asyncio.sleep(_REFRESH_SECONDS)


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f" ('{error.filename}')" if error.filename else "")
    return str(error).rstrip(".") or type(error).__name__


# Paths and queries

_STEPS: Final = {"ADDED": Step.SEEN, "MODIFIED": Step.SEEN, "DELETED": Step.GONE}


def _path(kind: Kind, namespace: str | None, name: str | None = None) -> str:
    parts = ["/apis" if "/" in kind.api_version else "/api", kind.api_version]
    parts += ["namespaces", quote(namespace, safe="")] if namespace else []
    parts += [kind.plural, *([quote(name, safe="")] if name else [])]
    return "/".join(parts)


def _path_of(object: Object) -> str:
    return _path(Kind.of(object), object["metadata"]["namespace"], object["metadata"]["name"])


def _selecting(labels: Mapping[str, str] | None, fields: Mapping[str, str] | None) -> dict[str, str]:
    chosen = {"labelSelector": labels, "fieldSelector": fields}
    return {how: ",".join(f"{key}={value}" for key, value in which.items()) for how, which in chosen.items() if which}


# Answers and failures


async def _line(response: aiohttp.ClientResponse, seconds: float) -> bytes:
    async with asyncio.timeout(seconds):
        return await response.content.readline()


@contextmanager
def _reaching(what: str) -> Iterator[None]:
    """Whatever keeps an answer from coming as a whole is the cluster's being unavailable."""
    try:
        yield
    except TimeoutError as error:
        raise ClusterUnavailable(f"{what}: no answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise ClusterUnavailable(f"{what}: {error}") from error
    except ValueError as error:
        raise ClusterUnavailable(f"{what}: the answer is no JSON, or was cut") from error


@contextmanager
def _fine(*statuses: int) -> Iterator[None]:
    """For these refusals there is nothing to be done."""
    try:
        yield
    except ClusterRefused as error:
        if error.status not in statuses:
            raise


def _status(code: int, content: bytes) -> Object:
    """What the API server says of a failure; what stands in front of it may say it in its own words."""
    try:
        status = json.loads(content)
    except ValueError:
        status = None
    said = status if isinstance(status, dict) else {"message": content.decode(errors="replace")[:300]}
    return said | {"code": code}


def _failure(status: Object, retry_after: str | None = None) -> ClusterUnavailable | ClusterRefused:
    """410 too is answered by trying again: a page or a version grew too old."""
    code = int(status.get("code") or 500)
    message = status.get("message") or f"the cluster answered {code} without a word"
    if code in (410, 429) or code >= 500:
        seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
        return ClusterUnavailable(message, seconds)
    details = status.get("details")
    name = details.get("name") if isinstance(details, dict) else None
    return ClusterRefused(code, status.get("reason") or "Unknown", message, name)
