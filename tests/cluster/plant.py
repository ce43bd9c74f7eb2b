"""A plant: servers and operators that are real programs, a namespace with a played kubelet, clients of tenants.

    async with a_server(...) as server:
        tenant = await server.tenant()
        async with place.operator(server.url) as operator:
            pool = await tenant.served_pool(place, "opcua", "modbus")

What users do goes through GraphQL, what administrators do through kubectl.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
from kubernetes_asyncio.client import ApiClient, ApiException, AppsV1Api, CoreV1Api, CustomObjectsApi

from octomesh_graphql.domain.resource import ADAPTER_RT_ID, GROUP, PLURAL, TENANT, VERSION, resource_name
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.mongo import Mongo
from octomesh_graphql.store.tenants import Registry
from tests.api.conftest import Api, Socket
from tests.builders import NOW
from tests.cli.conftest import Answer, Octomesh, Started
from tests.cluster.control_plane import ControlPlane
from tests.cluster.eventually import eventually, until_one_ends
from tests.cluster.kubelet import Kubelet
from tests.conftest import drop_databases
from tests.ports import reserved_port

Entity = dict[str, Any]
Object = dict[str, Any]

IMAGES: Final = "registry.example.com/plant"
POOL: Final = "rtId name communicationState deploymentState statusMessage deleting operator { id cluster namespace }"
ADAPTER: Final = "rtId name generation wanted deploymentState statusMessage lastError imageVersion"
COMMUNICATION: Final = "subscription { communicationStateChanges { kind previous current reason entity { name } } }"

_START_SECONDS: Final = 30.0
"""For a program to say what it has to: usual are two, most of them imports."""


# Programs


@dataclass(kw_only=True)
class Program:
    """`octomesh` with these words. It may die and be started again; each time it has a directory of its own."""

    directory: Path
    words: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    _started: Started | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def logged(self) -> list[Entity]:
        """What it has logged since it was started last."""
        return self._now.logged

    async def start(self, until: str) -> Entity:
        """Start it and wait until it logs this sentence; returns that line."""
        self.spawn()
        return await self.says(until)

    def spawn(self) -> None:
        """Start it."""
        assert self._started is None
        directory = self.directory / secrets.token_hex(4)
        directory.mkdir(parents=True)
        octomesh = Octomesh(directory=directory, variables=self.variables)
        self._started = self._stack.enter_context(octomesh.started(*self.words))

    async def says(self, event: str, *, within: float = _START_SECONDS) -> Entity:
        """The first line with this sentence, waited for without standing in the way of what we play."""

        async def lines() -> list[Entity]:
            assert self._now.process.poll() is None, self._now.errors
            return [line for line in self._now.logged if line["event"] == event]

        (line, *_) = await eventually(lines, bool, within=within)
        return line

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._now.process.send_signal(number)

    def kill(self) -> None:
        """It dies at once, as with the loss of its machine."""
        self._stack.close()
        self._started = None

    async def stop(self) -> int:
        """Ask it to stop, as Kubernetes would; returns its exit code."""
        code = await asyncio.to_thread(self._now.stop)
        self.kill()
        return code

    @property
    def _now(self) -> Started:
        assert self._started
        return self._started


@dataclass(frozen=True, kw_only=True)
class Server:
    """`octomesh serve` on a port of its own, where it can be started again."""

    program: Program
    address: str
    registry: Registry
    clients: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.address}"

    async def start(self) -> None:
        """Start it and wait until it listens."""
        await self.program.start("listening")

    async def tenant(self, id: str | None = None) -> Tenant:
        """A client of a new tenant."""
        id = id or f"tenant-{secrets.token_hex(4)}"
        await self.registry.create(id, id.capitalize(), NOW)
        return await self.known(id)

    async def known(self, id: str) -> Tenant:
        """A client of a tenant that is there."""
        http = await self.clients.enter_async_context(httpx.AsyncClient(base_url=self.url))
        return Tenant(api=Api(self.address, id, http), store=await self.registry.open(id))

    def run(self, *words: str) -> Answer:
        """Run a command with its database."""
        return Octomesh(directory=self.program.directory, variables=self.program.variables).run(*words)

    async def epoch(self, operator_id: str) -> int:
        """The how-manieth session an operator has, as the database keeps it."""
        found = await self.registry.mongo.find_one(self.registry.system, "operators", {"_id": operator_id})
        assert found
        return int(found["epoch"])


@asynccontextmanager
async def a_server(
    directory: Path, mongo: Mongo, mongo_uri: str, *, prefix: str | None = None, lease_seconds: float | None = None
) -> AsyncIterator[Server]:
    """A running server with databases of its own, or with those of `prefix`, which stay."""
    registry = Registry(mongo, prefix=prefix or f"p{secrets.token_hex(6)}_")
    await registry.prepare()
    variables = {"MONGO_URI": mongo_uri, "DATABASE_PREFIX": registry.prefix, "LOG_FORMAT": "json"}
    variables |= {} if lease_seconds is None else {"LEASE_SECONDS": str(lease_seconds)}
    with reserved_port() as port:
        program = Program(directory=directory, words=("serve", "--port", str(port)), variables=variables)
        server = Server(program=program, address=f"127.0.0.1:{port}", registry=registry)
        try:
            await server.start()
            yield server
        finally:
            await server.clients.aclose()
            program.kill()
            if prefix is None:
                await drop_databases(registry)


@asynccontextmanager
async def relayed(*servers: Server) -> AsyncIterator[str]:
    """The URL of what stands in front of several servers: each connection goes to the first one that takes it."""
    connections: set[asyncio.Task[None]] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.add(task)
        task.add_done_callback(connections.discard)
        with suppress(OSError):
            await _relay(reader, writer, await _first_that_answers(servers))
        writer.close()

    relay = await asyncio.start_server(forward, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{relay.sockets[0].getsockname()[1]}"
    finally:
        relay.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _first_that_answers(servers: Collection[Server]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for server in servers:
        host, _, port = server.address.partition(":")
        with suppress(OSError):
            return await asyncio.open_connection(host, int(port))
    raise ConnectionError("none of them answers")


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    behind: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Both ways, until one end has had enough."""
    try:
        await until_one_ends(_copy(reader, behind[1]), _copy(behind[0], writer))
    finally:
        behind[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


# What users see


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A user of one tenant, by GraphQL."""

    api: Api
    store: TenantStore

    @property
    def id(self) -> str:
        """The tenant's."""
        return self.api.tenant

    async def do(self, mutation: str, answer: str = "", **input: Any) -> Entity:
        """A mutation that nothing must stand in the way of; its payload with these fields."""
        payload = await self.attempt(mutation, answer, **input)
        assert payload["errors"] == [], payload
        return payload

    async def attempt(self, mutation: str, answer: str = "", **input: Any) -> Entity:
        """A mutation, and what stood in its way."""
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        errors = "errors { code message ... on StillDeployed { adapters { name } } }"
        text = f"mutation($input: {kind}!) {{ done: {mutation}(input: $input) {{ {errors} {answer} }} }}"
        data = await self.api.ask(text, input=input)
        payload: Entity = data["done"]
        return payload

    async def create_pool(self, name: str = "Halle") -> str:
        """The rtId of a new pool."""
        created = await self.do("createPool", "pool { rtId }", name=name)
        return str(created["pool"]["rtId"])

    async def create_adapter(self, pool: str, name: str, **given: Any) -> str:
        """The rtId of a new adapter whose image is called as it is. With a probe: then it counts as available at once,
        and not after the five seconds that one without must have run."""
        image = {"imageName": f"{IMAGES}/{name}", "imageVersion": "1.0.0", "port": 8080, "healthPath": "/healthz"}
        spec = {"name": name, "type": "EDGE", "poolRtId": pool} | image | given
        created = await self.do("createAdapter", "adapter { rtId }", **spec)
        return str(created["adapter"]["rtId"])

    async def served_pool(self, place: Place, *adapters: str) -> str:
        """The rtId of a new pool with these adapters, which is installed there and ONLINE."""
        pool = await self.create_pool()
        for name in adapters:
            await self.create_adapter(pool, name)
        await place.install(self, pool)
        await self.pool_turns(pool, "ONLINE")
        return pool

    async def deployed_pool(self, place: Place, *adapters: str) -> str:
        """A served pool whose adapters are deployed."""
        pool = await self.served_pool(place, *adapters)
        await self.do("deployPoolAdapters", rtId=pool)
        await self.adapters_turn(pool, "DEPLOYED")
        return pool

    async def install_manifest(self, pool: str) -> str:
        """What to apply in the cluster."""
        data = await self.api.ask("query($p: OctoObjectId!) { pool(rtId: $p) { installManifest } }", p=pool)
        return str(data["pool"]["installManifest"])

    async def pool(self, rt_id: str) -> Entity:
        """A pool; empty when it is not there."""
        data = await self.api.ask(f"query($p: OctoObjectId!) {{ pool(rtId: $p) {{ {POOL} }} }}", p=rt_id)
        return data["pool"] or {}

    async def adapter(self, rt_id: str) -> Entity:
        """An adapter."""
        data = await self.api.ask(f"query($a: OctoObjectId!) {{ adapter(rtId: $a) {{ {ADAPTER} }} }}", a=rt_id)
        adapter: Entity = data["adapter"]
        return adapter

    async def adapters(self, pool: str) -> dict[str, Entity]:
        """The adapters of a pool by name."""
        text = f"query($p: OctoObjectId!) {{ pool(rtId: $p) {{ adapters(first: 500) {{ nodes {{ {ADAPTER} }} }} }} }}"
        data = await self.api.ask(text, p=pool)
        return {adapter["name"]: adapter for adapter in data["pool"]["adapters"]["nodes"]}

    async def pool_turns(self, rt_id: str, state: str, *, within: float = 30.0) -> Entity:
        """The pool as soon as its communication state is this one."""
        return await eventually(
            lambda: self.pool(rt_id), lambda pool: pool["communicationState"] == state, within=within
        )

    async def adapter_turns(self, rt_id: str, state: str, *, within: float = 30.0) -> Entity:
        """The adapter as soon as its deployment state is this one."""
        return await eventually(
            lambda: self.adapter(rt_id), lambda adapter: adapter["deploymentState"] == state, within=within
        )

    async def adapters_turn(self, pool: str, state: str, *, within: float = 30.0) -> dict[str, Entity]:
        """All adapters of the pool as soon as their deployment state is this one."""

        def all_are(adapters: Mapping[str, Entity]) -> bool:
            return {each["deploymentState"] for each in adapters.values()} == {state}

        return await eventually(lambda: self.adapters(pool), all_are, within=within)

    async def history(self, rt_id: str, what: str) -> list[Entity]:
        """What became of one aspect of a pool or an adapter, oldest first."""
        text = """query($e: OctoObjectId!) {
          pool(rtId: $e) { ...history } adapter(rtId: $e) { ...history } }
        fragment history on CommunicationEntity {
          transitions(first: 200) { nodes { entityRtId what from to who reason } } }"""
        data = await self.api.ask(text, e=rt_id)
        nodes = (data["pool"] or data["adapter"])["transitions"]["nodes"]
        return [each for each in reversed(nodes) if (each["entityRtId"], each["what"]) == (rt_id, what)]

    async def communication(self, pool: str) -> list[str]:
        """The communication states that a pool has had, oldest first."""
        return [each["to"] for each in await self.history(pool, "COMMUNICATION")]


async def told_states(socket: Socket, count: int) -> list[tuple[str, str, str]]:
    """The next transitions of communication states."""
    changes: list[Any] = []
    while len(changes) < count:
        change = await socket.next()
        changes += [change] if change["kind"] == "UPDATED" else []
    return [(each["entity"]["name"], each["previous"], each["current"]) for each in changes]


# What administrators see


class KubectlFailed(Exception):
    """kubectl ended with an error; the message is its own."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A namespace, and the one who may do everything in it."""

    control_plane: ControlPlane
    api_client: ApiClient
    namespace: str
    node: Kubelet
    directory: Path

    @asynccontextmanager
    async def operator(
        self, server_url: str, *more: str, linked: bool = True, lease: str | None = None
    ) -> AsyncIterator[Program]:
        """An operator of this namespace, until the block ends. It has its Lease here, or in the namespace `lease`;
        `more` are flags."""
        words = ("operator", "--kubeconfig", str(self.kubeconfig), "--server-url", server_url)
        where = ("--watch-namespace", self.namespace, "--lease-namespace", lease or self.namespace)
        program = Program(
            directory=self.directory / f"operator-{secrets.token_hex(4)}",
            words=(*words, *where, *more, "--operator-health-port", "0", "--log-format", "json"),
        )
        program.spawn()
        try:
            if linked:
                await program.says("linked to the server")
            yield program
        finally:
            program.kill()

    @property
    def kubeconfig(self) -> Path:
        """Of the one who may do everything."""
        return self.control_plane.kubeconfig

    async def kubectl(self, *words: str, input: str = "") -> str:
        """What kubectl prints about this namespace. Raises `KubectlFailed`."""
        where = ("--kubeconfig", str(self.kubeconfig), "--cache-dir", str(self.directory / "kubectl"))
        process = await asyncio.create_subprocess_exec(
            "kubectl", *where, "--namespace", self.namespace, *words, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(input.encode()), 90)
        except TimeoutError:
            process.kill()
            await process.communicate()
            raise
        if process.returncode:
            raise KubectlFailed(f"kubectl {' '.join(words)}: {errors.decode()}")
        return output.decode()

    async def install(self, tenant: Tenant, pool: str) -> None:
        """Apply what a pool's `installManifest` says."""
        await self.kubectl("apply", "-f", "-", input=await tenant.install_manifest(pool))

    async def resource(self, tenant: Tenant, pool: str) -> Object | None:
        """The CommunicationPool of a pool, if there is one."""
        custom: Any = CustomObjectsApi(self.api_client)
        try:
            found: Object = await custom.get_namespaced_custom_object(
                GROUP, VERSION, self.namespace, PLURAL, resource_name(tenant.id, pool)
            )
        except ApiException as error:
            if error.status != 404:
                raise
            return None
        return found

    async def resource_says(self, tenant: Tenant, pool: str, reason: str, *, within: float = 30.0) -> Object:
        """The condition `Registered` of a CommunicationPool, as soon as it gives this reason."""

        async def condition() -> Object:
            found = await self.resource(tenant, pool) or {}
            conditions = found.get("status", {}).get("conditions", [])
            return next((each for each in conditions if each["type"] == "Registered"), {})

        return await eventually(condition, lambda each: each.get("reason") == reason, within=within)

    async def resource_goes(self, tenant: Tenant, pool: str, *, within: float = 30.0) -> None:
        """Wait until the CommunicationPool of a pool is gone."""
        await eventually(lambda: self.resource(tenant, pool), lambda found: found is None, within=within)

    async def deployments(self, tenant: Tenant | None = None) -> dict[str, Object]:
        """The Deployments that are here, or those of a tenant, by the rtId of their adapter."""
        apps: Any = AppsV1Api(self.api_client)
        selector = f"{TENANT}={tenant.id}" if tenant else ADAPTER_RT_ID
        found = await apps.list_namespaced_deployment(self.namespace, label_selector=selector)
        objects: list[Object] = self.api_client.sanitize_for_serialization(found.items)
        return {each["metadata"]["labels"][ADAPTER_RT_ID]: each for each in objects}

    async def deployments_settle(self) -> dict[str, Object]:
        """The Deployments, when their controller has nothing more to say about any of them."""

        def settled(deployment: Object) -> bool:
            conditions = deployment.get("status", {}).get("conditions", [])
            return any(each.get("reason") == "NewReplicaSetAvailable" for each in conditions)

        return await eventually(self.deployments, lambda found: bool(found) and all(map(settled, found.values())))

    async def left(self, tenant: Tenant) -> list[str]:
        """Kinds and names of all that is left here of a tenant's adapters."""
        core: Any = CoreV1Api(self.api_client)
        kinds = {
            "Deployment": AppsV1Api(self.api_client).list_namespaced_deployment,
            "Pod": core.list_namespaced_pod,
            "Service": core.list_namespaced_service,
            "Secret": core.list_namespaced_secret,
        }
        return [
            f"{kind} {each.metadata.name}"
            for kind, listed in kinds.items()
            for each in (await listed(self.namespace, label_selector=f"{TENANT}={tenant.id}")).items
        ]

    async def events(self, reason: str) -> list[Object]:
        """The Events with this reason."""
        core: Any = CoreV1Api(self.api_client)
        found = await core.list_namespaced_event(self.namespace, field_selector=f"reason={reason}")
        events: list[Object] = self.api_client.sanitize_for_serialization(found.items)
        return events

    async def release_resources(self) -> None:
        """Let the CommunicationPools go, whose operator is gone: nothing else would end the namespace."""
        custom: Any = CustomObjectsApi(self.api_client)
        listed = await custom.list_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL)
        for each in listed["items"]:
            name, free = each["metadata"]["name"], {"metadata": {"finalizers": list[str]()}}
            with suppress(ApiException):  # gone meanwhile
                await custom.patch_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, PLURAL, name, free, _content_type="application/merge-patch+json"
                )


def has_kubectl() -> bool:
    """Whether there is one to act with as administrators do."""
    return shutil.which("kubectl") is not None


def identities(deployments: Mapping[str, Object]) -> dict[str, tuple[str, int]]:
    """What changes when a Deployment is made or rolled out anew: uid and generation."""
    metadata = {rt_id: each["metadata"] for rt_id, each in deployments.items()}
    return {rt_id: (each["uid"], each["generation"]) for rt_id, each in metadata.items()}


def versions(deployments: Mapping[str, Object]) -> dict[str, str]:
    """What changes when a Deployment is touched at all."""
    return {rt_id: each["metadata"]["resourceVersion"] for rt_id, each in deployments.items()}


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """A promise: what happens in the block takes no longer."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    yield
    took = clock() - begun
    assert took <= seconds, f"it took {took:.1f} s instead of {seconds:.0f}"
