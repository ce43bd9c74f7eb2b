"""A Kubernetes for each worker, a namespace for each test; and all of it only when it is asked for.

Nothing here imports the Kubernetes client before a test needs it: `make test` reads this file too.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient

    from tests.cluster.control_plane import ControlPlane
    from tests.cluster.kubelet import Kubelet

HERE = Path(__file__).parent


def asked_for(config: pytest.Config) -> bool:
    """Whether this run names this directory, something in it, or the marker."""
    named = (Path(config.invocation_params.dir, argument.partition("::")[0]) for argument in config.args)
    return "cluster" in config.option.markexpr or any(HERE in (path, *path.parents) for path in named)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what nobody asked for. Called for what is in this directory only."""
    return None if asked_for(config) else True


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this directory, so that no file can forget to."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("cluster")


@pytest.fixture(scope="session")
def programs() -> Path:
    """The directory of etcd, kube-apiserver and kube-controller-manager. Where there is none, the test is skipped."""
    from tests.cluster.control_plane import ControlPlaneError, find_programs

    try:
        return find_programs()
    except ControlPlaneError as error:
        pytest.skip(f"NO KUBERNETES TO TEST AGAINST: {error}")


@pytest.fixture(scope="session")
async def control_plane(programs: Path) -> AsyncIterator[ControlPlane]:
    """A Kubernetes that lives as long as this worker."""
    from tests.cluster.control_plane import control_plane

    async with control_plane(programs) as plane:
        yield plane


@pytest.fixture(scope="session")
async def api_client(control_plane: ControlPlane) -> AsyncIterator[ApiClient]:
    """A client that may do everything."""
    from kubernetes_asyncio.config import new_client_from_config

    async with await new_client_from_config(str(control_plane.kubeconfig)) as client:
        yield client


@pytest.fixture(scope="session")
async def removals(api_client: ApiClient) -> AsyncIterator[set[asyncio.Task[None]]]:
    """What removes namespaces that tests left. Nobody waits for it: in the end, everything is thrown away."""
    tasks: set[asyncio.Task[None]] = set()
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def namespace(api_client: ApiClient, removals: set[asyncio.Task[None]]) -> AsyncIterator[str]:
    """A fresh one."""
    from kubernetes_asyncio.client import CoreV1Api, V1Namespace, V1ObjectMeta

    name = f"test-{secrets.token_hex(4)}"
    await CoreV1Api(api_client).create_namespace(V1Namespace(metadata=V1ObjectMeta(name=name)))
    yield name
    removals.add(asyncio.create_task(remove(api_client, name)))


@pytest.fixture
async def node(api_client: ApiClient, namespace: str) -> AsyncIterator[Kubelet]:
    """The kubelet of that namespace. Without it, pods stay as they are created."""
    from tests.cluster.kubelet import kubelet

    async with kubelet(api_client, namespace) as node:
        yield node


async def remove(api_client: ApiClient, namespace: str) -> None:
    """Delete the namespace and see it gone: pods that are on a node wait for a kubelet to end them."""
    from kubernetes_asyncio.client import CoreV1Api

    from tests.cluster.eventually import gone
    from tests.cluster.kubelet import kubelet

    core = CoreV1Api(api_client)
    await core.delete_namespace(namespace)
    async with kubelet(api_client, namespace):
        await gone(lambda: core.read_namespace(namespace))
