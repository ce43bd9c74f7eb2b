"""`deploy/` at a real API server: it takes the manifests, and the operator's rights are just enough.

kubectl applies them as people do. A PodDisruptionBudget of policy/v1 is left out where the server is older than 1.21
and does not know it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api
from kubernetes_asyncio.config import load_kube_config

from octomesh_graphql import __version__
from octomesh_graphql.cli.operating import LEASE
from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.resource import GROUP, VERSION
from octomesh_graphql.operator.charges import Key, key_of
from octomesh_graphql.operator.cluster import ClusterRefused, Kind, Object
from octomesh_graphql.operator.electing import LeaseTimes
from octomesh_graphql.operator.kubernetes import Kubernetes
from octomesh_graphql.operator.noticing import Noticing
from octomesh_graphql.operator.queueing import WorkQueue
from octomesh_graphql.operator.reconciling import Reconciler
from octomesh_graphql.operator.working import Result, work
from tests.cluster.control_plane import ControlPlane
from tests.cluster.eventually import eventually
from tests.cluster.kubelet import Kubelet
from tests.operator.builders import PLACE, FakeServer, adapter, pool, resource

DEPLOY = Path(__file__).parents[2] / "deploy"
SYSTEM = "octomesh-system"
QUICK = LeaseTimes(lease_seconds=3, renew_seconds=2.0, retry_seconds=0.2)
Api = Any
PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/v[^/]+/(?:namespaces/[^/]+/)?"
    r"(?P<resource>[a-z]+)(?P<name>/[^/]+)?(?P<part>/[a-z]+)?"
)
Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl as somebody who may do everything."""

    plane: ControlPlane
    place: Path
    """For its cache, and for kustomizations."""

    async def __call__(self, *words: str, stdin: str = "") -> str:
        environment = os.environ | {"KUBECONFIG": str(self.plane.kubeconfig), "KUBECACHEDIR": str(self.place / "cache")}
        command = ["kubectl", *words]
        done = await asyncio.to_thread(
            subprocess.run, command, input=stdin, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return str(done.stdout)

    def own(self, name: str, **kustomization: Any) -> Path:
        """A kustomization of somebody's own, based on one of ours."""
        directory = self.place / "own"
        directory.mkdir(exist_ok=True)
        base = os.path.relpath(DEPLOY / name, directory.resolve())
        (directory / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [base], **kustomization}))
        return directory

    async def apply(self, directory: Path) -> tuple[list[Object], list[str]]:
        """What was applied, and what kubectl said about each."""
        known = set((await self("api-versions")).split())
        objects = list(yaml.safe_load_all(await self("kustomize", str(directory))))
        applied = [each for each in objects if each["apiVersion"] in known]
        assert {each["kind"] for each in objects if each not in applied} <= {"PodDisruptionBudget"}
        return applied, (await self("apply", "-f", "-", stdin=yaml.safe_dump_all(applied))).splitlines()


@pytest.fixture
def kubectl(control_plane: ControlPlane, communication_pools: None, tmp_path: Path) -> Kubectl:
    if shutil.which("kubectl") is None:
        pytest.skip("NO KUBECTL: whether an API server takes deploy/ is not tested")
    return Kubectl(control_plane, tmp_path)


# Applying


@pytest.mark.parametrize("name", ["crd", "server", "operator/cluster", "operator/namespaced"])
async def test_the_api_server_takes_it_and_applying_it_again_changes_nothing(
    kubectl: Kubectl, namespace: str, name: str
) -> None:
    directory = kubectl.own(name, namespace=namespace) if name == "operator/namespaced" else DEPLOY / name
    applied, first = await kubectl.apply(directory)
    _, again = await kubectl.apply(directory)
    assert len(first) == len(applied) > 0
    assert [said for said in again if not said.endswith(" unchanged")] == []


@pytest.mark.parametrize(("name", "namespace_of_it"), [("server", "octomesh"), ("operator/cluster", SYSTEM)])
async def test_pods_are_made_for_both_replicas(
    kubectl: Kubectl, api_client: ApiClient, name: str, namespace_of_it: str
) -> None:
    await kubectl.apply(DEPLOY / name)
    core: Api = CoreV1Api(api_client)

    async def pods() -> list[Any]:
        return list((await core.list_namespaced_pod(namespace_of_it)).items)

    found = await eventually(pods, lambda pods: len(pods) == 2)
    assert {each.spec.containers[0].image for each in found} == {f"octomesh-graphql:{__version__}"}


# What the operator may do


class WatchedClient(ApiClient):
    """Remembers the rights that its requests took, and what was forbidden."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration)
        self.used: set[Right] = set()
        self.forbidden: list[str] = []

    async def call_api(self, resource_path: str, method: str, *others: Any, **more: Any) -> Any:
        query, headers = dict(more["query_params"]), more["header_params"]
        self.used |= rights_for(method, resource_path, query, headers["Content-Type"])
        answer = await super().call_api(resource_path, method, *others, **more)
        if answer.status == 403:
            self.forbidden.append(f"{method} {resource_path}")
        return answer


def rights_for(method: str, path: str, query: Mapping[str, str], content_type: str) -> set[Right]:
    """What the API server asks its authorizer before it does this."""
    request = PATH.fullmatch(path)
    assert request, path
    resource = request["resource"] + (request["part"] or "")
    verbs = {"POST": ["create"], "PUT": ["update"], "DELETE": ["delete"], "PATCH": ["patch"]}.get(method, ["get"])
    if method == "GET" and not request["name"]:
        verbs = ["watch" if "watch" in query else "list"]
    if content_type == "application/apply-patch+yaml" and not request["part"]:
        verbs = ["patch", "create"]  # what is applied may not be there yet
    return {(request["group"] or "", resource, verb) for verb in verbs}


def granted(objects: list[Object]) -> set[Right]:
    """What the roles among these allow."""
    return {
        (group, resource, verb)
        for role in objects
        for rule in role.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@dataclass(frozen=True)
class Installation:
    """An operator's place in the cluster, and the credentials of its service account."""

    home: str
    serves: str
    watches: str | None
    rights: set[Right]
    kubeconfig: Path

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[Kubernetes, WatchedClient]]:
        """The cluster as its operator sees it."""
        configuration = Configuration()
        await load_kube_config(config_file=str(self.kubeconfig), client_configuration=configuration)
        async with WatchedClient(configuration) as client:
            yield Kubernetes(client, name="test", namespace=self.home, lease=LEASE, times=QUICK), client


@pytest.fixture(params=["cluster", "namespaced"])
async def installation(
    request: pytest.FixtureRequest, kubectl: Kubectl, api_client: ApiClient, namespace: str
) -> Installation:
    watches = namespace if request.param == "namespaced" else None
    home = watches or SYSTEM
    own = kubectl.own("operator/namespaced", namespace=namespace)
    objects, _ = await kubectl.apply(own if watches else DEPLOY / "operator" / "cluster")
    await kubectl("delete", "lease", LEASE, f"--namespace={home}", "--ignore-not-found")  # of another test
    core: Api = CoreV1Api(api_client)
    wanted = {"spec": {"audiences": ["https://kubernetes.default.svc"]}}
    answer = await core.create_namespaced_service_account_token("octomesh-operator", home, wanted)
    kubeconfig = kubectl.plane.kubeconfig_with(answer.status.token)
    installed = Installation(home, namespace, watches, granted(objects), kubeconfig)
    await eventually(lambda: allowed(installed), bool)
    return installed


async def allowed(installation: Installation) -> bool:
    """Whether the API server has heard of both roles; it takes a moment."""
    async with installation.connected() as (cluster, _):
        try:
            await cluster.objects(Kind.COMMUNICATION_POOL, namespace=installation.watches)
            await cluster.ask("GET", f"/apis/coordination.k8s.io/v1/namespaces/{installation.home}/leases/{LEASE}")
        except ClusterRefused as error:
            return error.status == 404
    return True


@dataclass
class Operating:
    """An operator at work with its own credentials, and a server that says what is wished."""

    client: WatchedClient
    server: FakeServer = field(default_factory=FakeServer)
    queue: WorkQueue[Key] = field(default_factory=WorkQueue)
    results: list[Result] = field(default_factory=list)

    def reconciled(self, result: Result, seconds: float) -> None:
        self.results.append(result)


@asynccontextmanager
async def operating(installation: Installation) -> AsyncIterator[Operating]:
    async with installation.connected() as (cluster, client), cluster.leading():
        operator = Operating(client)
        reconciler = Reconciler(
            cluster,
            operator.server,
            PLACE,
            operator_id="plant-1",
            look_at=operator.queue.add,
            now=lambda: datetime.now(UTC),
            clock=time.monotonic,
        )
        reconciler.begin(await cluster.objects(Kind.COMMUNICATION_POOL, namespace=installation.watches))
        noticing = Noticing(cluster, reconciler.charges, operator.queue.add, namespace=installation.watches)
        tasks = [asyncio.create_task(each) for each in (noticing.run(), work(operator.queue, reconciler, operator))]
        try:
            yield operator
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


@dataclass(frozen=True)
class Admin:
    """Somebody who looks at a namespace, and changes things in it."""

    cluster: Kubernetes
    namespace: str

    async def all(self, kind: Kind) -> list[Object]:
        labels = {"app.kubernetes.io/managed-by": "octomesh-operator"}
        return await self.cluster.objects(kind, namespace=self.namespace, labels=labels)

    async def scale(self, replicas: int) -> None:
        (deployment,) = await self.all(Kind.DEPLOYMENT)
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{deployment['metadata']['name']}"
        change = {"spec": {"replicas": replicas}}
        await self.cluster.ask("PATCH", path, {"fieldManager": "kubectl-edit"}, change, "application/merge-patch+json")

    async def replicas(self) -> list[int]:
        return [each["spec"]["replicas"] for each in await self.all(Kind.DEPLOYMENT)]

    async def mended(self) -> int:
        """How often the operator said so."""
        events = await self.cluster.objects(Kind.EVENT, namespace=self.namespace)
        return max((event["count"] for event in events if event["reason"] == "Mended"), default=0)

    async def nothing_left(self) -> bool:
        kinds = (Kind.DEPLOYMENT, Kind.POD, Kind.SECRET, Kind.SERVICE)
        left = [each for kind in kinds for each in await self.all(kind)]
        return not left and not await self.cluster.objects(Kind.COMMUNICATION_POOL, namespace=self.namespace)


async def test_a_pools_whole_life_takes_each_right_the_operator_has_and_no_other(
    installation: Installation, api_client: ApiClient, node: Kubelet
) -> None:
    admin = Admin(Kubernetes(api_client, name="test", namespace="default", lease="none"), installation.serves)
    wished = resource(namespace=installation.serves)
    async with operating(installation) as operator:
        served = operator.server
        served.wishing(pool(), adapter(port=8080, health_path="/healthz", configuration={"speed": 3}))
        await admin.cluster.apply(wished)
        await eventually(lambda: told(served), lambda phases: Phase.AVAILABLE in phases)
        assert [len(await admin.all(kind)) for kind in (Kind.DEPLOYMENT, Kind.SECRET, Kind.SERVICE)] == [1, 1, 1]

        for times in (1, 2):
            await admin.scale(0)
            await eventually(admin.mended, partial(eq, times))
            assert await admin.replicas() == [1]

        served.wishing(pool(), adapter(generation=2))
        operator.queue.add(key_of(wished))
        await eventually(lambda: admin.all(Kind.SERVICE), lambda found: not found)
        await eventually(lambda: admin.all(Kind.SECRET), lambda found: not found)

        await admin.cluster.ask("DELETE", path_of(wished))
        await eventually(admin.nothing_left, bool)
        await eventually(lambda: released(served), bool)

    assert operator.client.forbidden == []
    assert "failed" not in operator.results
    assert operator.client.used == installation.rights


async def told(server: FakeServer) -> set[Phase]:
    return set(server.phases().values())


async def released(server: FakeServer) -> bool:
    return server.released == [pool()]


def path_of(pool: Object) -> str:
    metadata = pool["metadata"]
    return f"/apis/{GROUP}/{VERSION}/namespaces/{metadata['namespace']}/communicationpools/{metadata['name']}"


CORE, RBAC, POOLS = "/api/v1", "/apis/rbac.authorization.k8s.io/v1", f"/apis/{GROUP}/{VERSION}"
LEASES = "/apis/coordination.k8s.io/v1"
NEVER = [
    ("GET", f"{CORE}/nodes"),
    ("POST", f"{CORE}/namespaces/SERVED/pods"),
    ("POST", f"{CORE}/namespaces/SERVED/pods/any/exec"),
    ("DELETE", f"{CORE}/namespaces/SERVED"),
    ("GET", f"{CORE}/namespaces/SERVED/configmaps"),
    ("DELETE", f"{CORE}/namespaces/SERVED/secrets"),  # of all at once
    ("POST", f"{CORE}/namespaces/HOME/serviceaccounts/octomesh-operator/token"),
    ("POST", f"{RBAC}/namespaces/SERVED/rolebindings"),
    ("PATCH", f"{RBAC}/namespaces/HOME/roles/octomesh-operator-leading"),
    ("PATCH", f"{RBAC}/clusterroles/octomesh-operator"),
    ("POST", f"{POOLS}/namespaces/SERVED/communicationpools"),
    ("DELETE", f"{POOLS}/namespaces/SERVED/communicationpools/any"),
    ("GET", f"{LEASES}/namespaces/HOME/leases"),
    ("GET", f"{LEASES}/namespaces/HOME/leases/another"),
    ("GET", f"{LEASES}/namespaces/kube-system/leases/octomesh-operator"),
]
NOT_ELSEWHERE = [
    ("GET", f"{CORE}/secrets"),
    ("GET", f"{CORE}/namespaces/kube-system/secrets"),
    ("GET", f"{CORE}/namespaces/default/pods"),
    ("GET", f"{CORE}/namespaces/default/events"),
    ("POST", "/apis/apps/v1/namespaces/default/deployments"),
    ("GET", f"{POOLS}/communicationpools"),
    ("PATCH", f"{POOLS}/namespaces/default/communicationpools/any/status"),
]


async def test_what_is_none_of_the_operators_business_is_forbidden_to_it(installation: Installation) -> None:
    places = {"SERVED": installation.serves, "HOME": installation.home}
    async with installation.connected() as (cluster, _):
        for method, template in NEVER + (NOT_ELSEWHERE if installation.watches else []):
            path = re.sub("SERVED|HOME", lambda found: places[found[0]], template)
            with pytest.raises(ClusterRefused, match="is forbidden") as refused:
                await cluster.ask(method, path, body={} if method != "GET" else None)
            assert refused.value.status == 403, path
