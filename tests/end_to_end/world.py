"""A whole world in one process: users of a tenant, a real server, clusters with operators, and lines that break."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from octomesh_graphql.actions import clock
from octomesh_graphql.actions.arranging import edit_adapter
from octomesh_graphql.actions.deploying import deploy_pool_adapters, undeploy_pool_adapters
from octomesh_graphql.actions.registering import register_operator
from octomesh_graphql.actions.sweeping import sweep
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.session import AgentRefused, OperatorFacts, Session
from octomesh_graphql.domain.states import CommunicationState, DeploymentState
from octomesh_graphql.domain.transition import Aspect
from octomesh_graphql.operator.charges import PoolId, key_of
from octomesh_graphql.operator.cluster import Kind, Object
from octomesh_graphql.operator.manifests import PlaceSettings
from octomesh_graphql.operator.operating import Operator, OperatorPlan
from octomesh_graphql.operator.simulated import SimulatedCluster
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.mongo import MongoUnavailable
from octomesh_graphql.store.paging import PageRequest
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry
from tests.api.test_agents import AgentsApi
from tests.builders import ALICE, created_adapter, created_pool
from tests.end_to_end.test_many import Counting
from tests.operator.builders import resource

FACTS: Final = OperatorFacts(id="plant-1", cluster="plant", version="1.0")
"""How an operator introduces itself."""


@dataclass(frozen=True)
class World:
    """A tenant, the server that has it, and a cluster in which everything happens at once."""

    store: TenantStore
    base: str
    """Host and port of the server."""
    cluster: SimulatedCluster

    # What users do

    async def pool(self, name: str = "North") -> Pool:
        """A new pool, whose resource is applied in the cluster."""
        pool = await created_pool(self.store, name)
        self.install(pool)
        return pool

    async def adapter(self, pool: Pool, name: str = "OPC UA", **given: Any) -> Adapter:
        """A new adapter of a pool, of which all are wished deployed."""
        adapter = await created_adapter(self.store, name, pool=pool, **given)
        await self.deploy(pool)
        return adapter

    async def deploy(self, pool: Pool) -> None:
        """Wish all adapters of a pool deployed."""
        await deploy_pool_adapters(self.store, ALICE, clock.now(), rt_id=pool.rt_id)

    async def undeploy(self, pool: Pool) -> None:
        """Wish all adapters of a pool gone."""
        await undeploy_pool_adapters(self.store, ALICE, clock.now(), rt_id=pool.rt_id)

    async def edit(self, adapter: Adapter, **given: Any) -> Adapter:
        """Edit an adapter."""
        return await edit_adapter(self.store, ALICE, clock.now(), rt_id=adapter.rt_id, given=given)

    # What administrators of the cluster do

    def install(self, pool: Pool) -> Object:
        """Apply the resource of a pool."""
        return self.cluster.put(resource(self._id(pool)))

    def uninstall(self, pool: Pool) -> None:
        """Delete it again."""
        self.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource(self._id(pool))))

    @asynccontextmanager
    async def operating(self, counting: Counting | None = None, **more: Any) -> AsyncIterator[Operator]:
        """An operator at work in the cluster; `more` is about its plan."""
        url = f"http://{self.base}"
        plan = OperatorPlan(**{"server_url": url, "place": PlaceSettings(server_url=url), **more})
        operator = Operator(self.cluster, plan, counting or Counting())
        running = asyncio.create_task(operator.run())
        try:
            yield operator
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    # What can be seen

    async def comes(self, *adapters: Adapter, to: DeploymentState) -> None:
        """Wait until these adapters are in this state."""
        await until(lambda: self._are(adapters, to))

    async def communicates(self, pool: Pool, state: CommunicationState) -> None:
        """Wait until a pool is in this state."""
        await until(lambda: self._communicates(pool, state))

    async def now(self, entity: CommunicationEntity) -> Any:
        """A pool or an adapter as it is now; None if it is gone."""
        return await (self.store.pool if isinstance(entity, Pool) else self.store.adapter)(entity.rt_id)

    async def history(self, entity: CommunicationEntity, what: Aspect = Aspect.COMMUNICATION) -> list[str | None]:
        """The states it came to, oldest first."""
        page = await self.store.transition_page(entity, PageRequest(first=100))
        return [row.to for row in reversed(page.rows) if row.what is what and row.entity_rt_id == entity.rt_id]

    async def left(self, *kinds: Kind) -> list[Object]:
        """The objects of these kinds."""
        return [each for kind in kinds for each in await self.cluster.objects(kind)]

    async def is_rid_of(self, kind: Kind) -> None:
        """Wait until no object of this kind is there."""
        while await self.left(kind):
            await asyncio.sleep(0.01)

    async def pods(self) -> set[str]:
        """The pods there are, each of which is another one after a restart."""
        return {pod["metadata"]["uid"] for pod in await self.cluster.objects(Kind.POD)}

    async def images(self) -> set[str]:
        """The versions that run."""
        pods = await self.cluster.objects(Kind.POD)
        return {pod["spec"]["containers"][0]["image"].partition(":")[2] for pod in pods}

    async def container(self) -> Object:
        """What the one Deployment there is runs."""
        [deployment] = await self.cluster.objects(Kind.DEPLOYMENT)
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        return dict(container)

    async def _are(self, adapters: tuple[Adapter, ...], state: DeploymentState) -> bool:
        found = await self.store.adapters([each.rt_id for each in adapters])
        return len(found) == len(adapters) and {each.deployment_state for each in found.values()} == {state}

    async def _communicates(self, pool: Pool, state: CommunicationState) -> bool:
        return (await self.now(pool)).communication_state is state

    def _id(self, pool: Pool) -> PoolId:
        return PoolId(self.store.tenant.id, pool.rt_id)


@dataclass
class Balancer:
    """The one address in front of servers: its connections can be cut, and can lose what servers say."""

    target: str = ""
    address: str = ""
    mute: bool = False
    lost: int = 0
    """Bytes that servers said while it was mute."""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Balancer]:
        """Listening until the block ends."""
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """All connections break at once."""
        for writer in self._open:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self.target.split(":")
        from_server, to_server = await asyncio.open_connection(host, int(port))
        both = {writer, to_server}
        self._open |= both
        try:
            await asyncio.gather(self._copy(reader, to_server), self._copy(from_server, writer, answers=True))
        finally:
            self._open -= both

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if answers and self.mute:
                    self.lost += len(data)
                else:
                    writer.write(data)
        writer.close()


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that comes soon; the condition may have to be awaited."""
    async with asyncio.timeout(10):
        while not (await met if isawaitable(met := condition()) else met):
            await asyncio.sleep(0.01)


def idle(operator: Operator) -> bool:
    """Whether the one pool it has was looked at, and need not be again soon."""
    wait = operator.term.queue.wait() if operator.term else None
    return wait is not None and wait > 5


# Servers and their agents


@asynccontextmanager
async def agents_of(base: str) -> AsyncIterator[AgentsApi]:
    """A client of the agents' API of a server."""
    async with httpx.AsyncClient(base_url=f"http://{base}") as http:
        yield AgentsApi(base, "", http)


class Impatient(Sessions):
    """A server that has no patience with a broken connection; counts those it has seen to."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._grace_seconds = 0
        self.broken = 0

    async def unlink(self, session: Session, link: str) -> None:
        await super().unlink(session, link)
        self.broken += 1

    def has_seen(self, breaks: int) -> bool:
        """Whether so many connections have broken."""
        return self.broken == breaks


class Dying(Impatient):
    """A server that is killed as soon as it notices that a connection broke."""

    async def unlink(self, session: Session, link: str) -> None:
        self.broken += 1
        raise MongoUnavailable("killed")


async def fall_silent(sessions: Sessions, session: Session) -> None:
    """The agent's last word was longer ago than its lease."""
    await Sessions(sessions.registry, lease_seconds=0).renew(session)


async def later_swept(sessions: Sessions) -> None:
    """Whatever had run out by now has been seen to, as another agent shows that falls silent only now."""
    canary = await register_operator(sessions, replace(FACTS, id="canary"))
    await fall_silent(sessions, canary)

    async def ended() -> bool:
        await sweep(sessions, clock.now())
        with suppress(AgentRefused):
            await sessions.check(canary)
            return False
        return True

    await until(ended)


async def certified(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody knows, and its key."""
    certificate, key = directory / "server.crt", directory / "server.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(
        subprocess.run, [*command.split(), *extensions, *files], capture_output=True, check=True, timeout=10
    )
    return certificate, key


@asynccontextmanager
async def secure_server(
    certificate: Path, key: Path, answer: Callable[[ServerConnection, Mapping[str, Any]], Awaitable[None]]
) -> AsyncIterator[str]:
    """A server that answers over TLS; gives its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            await answer(connection, json.loads(message))

    protocol = Subprotocol("graphql-transport-ws")
    async with serve(handle, "127.0.0.1", 0, subprotocols=[protocol], ssl=context) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
