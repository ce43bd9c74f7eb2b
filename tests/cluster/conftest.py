"""A Kubernetes for each worker, a namespace for each test; and all of it only when it is asked for.

Nothing here imports the Kubernetes client before a test needs it: `make test` reads this file too.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.collecting import asked_for

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient

    from octomesh_graphql.store.mongo import Driver, Mongo
    from tests.cluster.control_plane import ControlPlane
    from tests.cluster.kubelet import Kubelet
    from tests.cluster.plant import Place, Server, Tenant

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what nobody asked for. Called for what is in this directory only."""
    return None if asked_for(HERE, config) else True


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
    async with a_namespace(api_client, removals) as name:
        yield name


@pytest.fixture
async def another_namespace(api_client: ApiClient, removals: set[asyncio.Task[None]]) -> AsyncIterator[str]:
    """A second one."""
    async with a_namespace(api_client, removals) as name:
        yield name


@pytest.fixture(scope="session")
async def communication_pools(api_client: ApiClient) -> None:
    """The kind is known. For the session: the garbage collector looks for new kinds only every 30 seconds."""
    from kubernetes_asyncio.client import ApiException, ApiextensionsV1Api, CustomObjectsApi

    from octomesh_graphql.domain.resource import GROUP, PLURAL, VERSION
    from octomesh_graphql.operator.crd import crd
    from tests.cluster.eventually import eventually

    async def served() -> bool:
        try:
            await CustomObjectsApi(api_client).list_cluster_custom_object(GROUP, VERSION, PLURAL)
        except ApiException:
            return False
        return True

    extensions: Any = ApiextensionsV1Api(api_client)
    await extensions.create_custom_resource_definition(crd())
    await eventually(served, bool)


@pytest.fixture
async def node(api_client: ApiClient, namespace: str) -> AsyncIterator[Kubelet]:
    """The kubelet of that namespace. Without it, pods stay as they are created."""
    from tests.cluster.kubelet import kubelet

    async with kubelet(api_client, namespace) as node:
        yield node


@pytest.fixture(scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, connections: dict[Driver, Mongo], mongo_uri: str
) -> AsyncIterator[Server]:
    """A server that the tests of a module share. Tenants keep them apart; who kills servers takes another one."""
    from octomesh_graphql.store.mongo import Driver
    from tests.cluster.plant import a_server

    async with a_server(tmp_path_factory.mktemp("server"), connections[Driver.MOTOR], mongo_uri) as server:
        yield server


@pytest.fixture
def own_server(
    tmp_path: Path, connections: dict[Driver, Mongo], mongo_uri: str
) -> Callable[..., AbstractAsyncContextManager[Server]]:
    """Starts a server of the test's own, which may die; with other settings, or beside another one (`prefix`)."""
    from octomesh_graphql.store.mongo import Driver
    from tests.cluster.plant import a_server

    return partial(a_server, tmp_path, connections[Driver.MOTOR], mongo_uri)


@pytest.fixture
async def tenant(server: Server) -> Tenant:
    """A user of a fresh tenant of the shared server."""
    return await server.tenant()


@pytest.fixture
async def place(
    control_plane: ControlPlane,
    api_client: ApiClient,
    communication_pools: None,
    namespace: str,
    node: Kubelet,
    tmp_path: Path,
) -> AsyncIterator[Place]:
    """The fresh namespace, with its kubelet."""
    async with a_place(control_plane, api_client, namespace, node, tmp_path) as place:
        yield place


@pytest.fixture
async def another_place(
    control_plane: ControlPlane,
    api_client: ApiClient,
    communication_pools: None,
    another_namespace: str,
    tmp_path: Path,
) -> AsyncIterator[Place]:
    """The second namespace, with its kubelet."""
    from tests.cluster.kubelet import kubelet

    async with (
        kubelet(api_client, another_namespace) as node,
        a_place(control_plane, api_client, another_namespace, node, tmp_path) as place,
    ):
        yield place


@asynccontextmanager
async def a_place(
    control_plane: ControlPlane, api_client: ApiClient, namespace: str, node: Kubelet, directory: Path
) -> AsyncIterator[Place]:
    """A namespace for administrators. What its operators kept is let go in the end."""
    from tests.cluster.plant import Place, has_kubectl

    if not has_kubectl():
        pytest.skip("NO KUBECTL TO ACT WITH: it is what administrators use, so it is what these tests use")
    place = Place(
        control_plane=control_plane, api_client=api_client, namespace=namespace, node=node, directory=directory
    )
    yield place
    await place.release_resources()


@asynccontextmanager
async def a_namespace(api_client: ApiClient, removals: set[asyncio.Task[None]]) -> AsyncIterator[str]:
    """A namespace that is removed when nobody waits for it any more."""
    from kubernetes_asyncio.client import CoreV1Api, V1Namespace, V1ObjectMeta

    name = f"test-{secrets.token_hex(4)}"
    await CoreV1Api(api_client).create_namespace(V1Namespace(metadata=V1ObjectMeta(name=name)))
    yield name
    removals.add(asyncio.create_task(remove(api_client, name)))


async def remove(api_client: ApiClient, namespace: str) -> None:
    """Delete the namespace and see it gone: pods that are on a node wait for a kubelet to end them."""
    from kubernetes_asyncio.client import CoreV1Api

    from tests.cluster.eventually import gone
    from tests.cluster.kubelet import kubelet

    core = CoreV1Api(api_client)
    await core.delete_namespace(namespace)
    async with kubelet(api_client, namespace):
        await gone(lambda: core.read_namespace(namespace))
