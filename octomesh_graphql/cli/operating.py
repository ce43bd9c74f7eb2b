"""`octomesh operator`: an operator put together, run, and taken apart again."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import structlog
import yaml

from octomesh_graphql import __version__, logs
from octomesh_graphql.cli.introducing import credentials_of
from octomesh_graphql.cli.running import CommandFailed
from octomesh_graphql.domain.resource import API_VERSION, KIND
from octomesh_graphql.operator.cluster import Cluster, ClusterRefused, Object
from octomesh_graphql.operator.health import Metrics, NotListening, answering
from octomesh_graphql.operator.kubeconfig import ClusterNotFound
from octomesh_graphql.operator.kubernetes import connected
from octomesh_graphql.operator.manifests import Broker, PlaceSettings
from octomesh_graphql.operator.operating import Operator, OperatorPlan
from octomesh_graphql.operator.simulated import SimulatedCluster
from octomesh_graphql.settings import OperatorSettings, load_for_operator

log = structlog.get_logger()

LEASE: Final = "octomesh-operator"
"""The Lease by which replicas elect the one that leads."""

_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NOT_FOUND: Final = 404


async def operate(flags: Mapping[str, Any]) -> None:
    """The operator, until it is cancelled. Raises `WrongSettings` and `CommandFailed`."""
    settings = load_for_operator(flags)
    logs.configure(settings.log_format, settings.log_level)
    try:
        async with _cluster(settings) as cluster:
            await _operate(settings, cluster)
    except ClusterNotFound as error:
        raise CommandFailed(_why_not_found(error)) from error
    except ClusterRefused as error:
        raise CommandFailed(_why_refused(error)) from error
    except NotListening as error:
        raise CommandFailed(_why_not_listening(settings, error)) from error


async def _operate(settings: OperatorSettings, cluster: Cluster) -> None:
    metrics = Metrics()
    operator = Operator(cluster, _plan(settings), metrics)
    metrics.show(operator)
    host = settings.operator_health_host
    async with answering(operator, metrics, host=host, port=settings.operator_health_port) as port:
        log.info("starting", version=__version__, cluster=cluster.name, server=settings.server_url)
        log.info("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}")
        if settings.simulated:
            _say_simulated(cluster.name, settings.server_url)
        await operator.run()


def _plan(settings: OperatorSettings) -> OperatorPlan:
    return OperatorPlan(
        server_url=settings.server_url,
        place=PlaceSettings(
            server_url=settings.adapter_server_url or settings.server_url,
            image_pull_secrets=settings.image_pull_secret,
            broker=_broker(settings),
        ),
        operator_id=settings.operator_id,
        watch_namespace=settings.watch_namespace,
        credentials=credentials_of(settings),
        undeploy_seconds=settings.undeploy_seconds,
    )


def _broker(settings: OperatorSettings) -> Broker | None:
    if not (settings.broker_host and settings.broker_secret):
        return None
    return Broker(
        host=settings.broker_host,
        port=settings.broker_port,
        virtual_host=settings.broker_virtual_host,
        secret=settings.broker_secret,
    )


@asynccontextmanager
async def _cluster(settings: OperatorSettings) -> AsyncIterator[Cluster]:
    if settings.simulated:
        async with SimulatedCluster(_simulated_name(settings)) as simulated:
            for resource in _resources(settings.simulated, settings.watch_namespace):
                simulated.put(resource)
            log.warning("the cluster is simulated; nothing runs for real", cluster=simulated.name)
            yield simulated
        return
    namespace = settings.lease_namespace or settings.watch_namespace or _own_namespace()
    async with connected(
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        name=settings.cluster_name,
        namespace=namespace,
        lease=LEASE,
    ) as cluster:
        yield cluster


def _own_namespace() -> str:
    try:
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return "default"


# The simulated cluster


def _simulated_name(settings: OperatorSettings) -> str:
    """It says what it is, and is another one for each machine and file, so that they get different ids."""
    source = "" if settings.simulated == "-" else f" {Path(settings.simulated or '').stem}"
    return f"simulated {settings.cluster_name or socket.gethostname() + source}"


def _resources(source: str, watched: str | None) -> Iterator[Object]:
    """The CommunicationPools in YAML documents, as a pool's `installManifest` shows them. Raises `CommandFailed`."""
    what = "standard input" if source == "-" else f"'{source}'"
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CommandFailed(f"{what} can't be read: {reason}.") from error
    except yaml.YAMLError as error:
        raise CommandFailed(f"{what} is no YAML: {error}") from error
    for number, document in enumerate(documents, start=1):
        if not _is_pool(document):
            raise CommandFailed(
                f"Document {number} of {what} is no {KIND} of {API_VERSION}. "
                "The field installManifest of a pool shows how one looks."
            )
        yield document | {"metadata": {"namespace": watched or "default"} | document["metadata"]}


def _is_pool(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and (document.get("apiVersion"), document.get("kind")) == (API_VERSION, KIND)
        and isinstance(document.get("metadata"), dict)
        and isinstance(document["metadata"].get("name"), str)
    )


def _say_simulated(name: str, server_url: str) -> None:
    print(
        f"""
  OctoMesh {__version__}: an operator whose cluster is simulated. No container is started anywhere.

    Cluster       {name}, in memory; it is gone when you stop
    Server        {server_url}
    Stop          Ctrl-C
""",
        flush=True,
    )


# What can be in the way


def _why_not_found(error: ClusterNotFound) -> str:
    if error.contexts:
        known = ", ".join(f"'{name}'" for name in error.contexts)
        return f"{error} Choose one with --context: {known}."
    return f"{error} Name another one with --kubeconfig, or try it with --simulated."


def _why_refused(error: ClusterRefused) -> str:
    if error.status == _NOT_FOUND and str(error).startswith("namespaces"):
        return (
            f"The namespace for the Lease by which replicas elect the one that leads does not exist: {error}. "
            "Create it, or name another one with --lease-namespace or --watch-namespace."
        )
    if error.status == _NOT_FOUND:
        return (
            f"The cluster does not know {KIND}s ({error}). Teach it, once: "
            "octomesh operator --print-crd | kubectl apply -f -"
        )
    return f"The cluster refuses: {error}"


def _why_not_listening(settings: OperatorSettings, error: NotListening) -> str:
    host, port, cause = settings.operator_health_host, settings.operator_health_port, error.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host}, for probes and metrics, is in use by another program, perhaps another operator. "
            "Choose another one with --operator-health-port, or 0 for any that is free."
        )
    return (
        f"Probes and metrics can't be answered on '{host}', port {port}: {error}. "
        "Choose with --operator-health-host and --operator-health-port."
    )
