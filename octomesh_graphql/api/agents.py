"""The agents' API: what operators and the processes of adapters say, for any tenant. `agents.graphql` is its printed
form.

Each field calls one action. A refusal is a GraphQL error with a code, because who asks is a program that acts on it in
one place, whatever it asked for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import strawberry
from strawberry import Info, Parent, argument

from octomesh_graphql.actions import configuring, following, registering, reporting, sweeping
from octomesh_graphql.actions.clock import now
from octomesh_graphql.api.admitting import Gate
from octomesh_graphql.api.scalars import Json, OctoObjectId
from octomesh_graphql.api.types import described
from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.caller import Caller
from octomesh_graphql.domain.pool import Pool as DomainPool
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, OperatorFacts
from octomesh_graphql.domain.session import Session as DomainSession
from octomesh_graphql.domain.states import AdapterType, ConfigurationState
from octomesh_graphql.domain.tenant import no_tenant
from octomesh_graphql.domain.wish import Finding
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions


@dataclass
class AgentContext:
    """What one operation of an agent finds."""

    gate: Gate
    caller: Caller
    sessions: Sessions
    feed: Feed
    request_id: str

    def session(self, given: SessionInput) -> DomainSession:
        """The session as the caller's own. Raises `AgentRefused` when it is of an adapter they must not know."""
        session = DomainSession(agent=given.agent, epoch=given.epoch, holder=self.caller.id)
        if session.of_adapter and not self.caller.may_enter(session.adapter[0]):
            raise session.stale()
        return session

    def tenant(self, tenant_id: str) -> str:
        """Itself. Raises `AgentRefused` when the caller must not know whether there is this tenant."""
        if not self.caller.may_enter(tenant_id):
            raise AgentRefused(AgentErrorCode.NOT_FOUND, no_tenant(tenant_id).message)
        return tenant_id


@strawberry.input(description="The session in which an agent speaks, as it was given when it registered.")
class SessionInput:
    agent: str = strawberry.field(description="Who speaks.")
    epoch: int = strawberry.field(description="The how-manieth session of it; an older one is refused.")


@strawberry.type(description="A session of an agent: it lasts as long as its lease is renewed in time.")
class Session:
    agent: str = described("Whose session it is: the id of an operator, or tenant and rtId of an adapter.")
    epoch: int = described("The how-manieth session of this agent; it goes with everything the agent says.")
    lease_seconds: float = described("How long the agent counts as there without renewing.")
    renew_seconds: float = described("How often to renew.")


@strawberry.type(description="A pool that an operator serves now.")
class ClaimedPool:
    name: str = described("What people call it.")


@strawberry.type(description="An adapter as its operator needs to know it.")
class WishedAdapter:
    rt_id: OctoObjectId = described("Identifies it inside its tenant.")
    ck_type_id: str = described("Its construction kit type.")
    name: str = described("What people call it; not for names of objects.")
    type: AdapterType = described("Where it is at home.")
    wanted: bool = described("Whether it is to run; else it is to be gone.")
    generation: int = described("Which wish this is; a report about it says so.")
    image_name: str = described("The container image, without its version.")
    image_version: str = described("The version of the image: a tag or a digest.")
    configuration: Json | None = described("What it is told to do.")
    port: int | None = described("Where it listens, if it does.")
    health_path: str | None = described("The HTTP path on that port that tells whether it is well.")


@strawberry.type(description="Some of what is wished about a pool: adapters that are wanted or not yet gone.")
class PoolWishPage:
    adapters: list[WishedAdapter] = described("In order of their ids, at most 100. What is nowhere named shall not be.")
    next: OctoObjectId | None = described("Pass it as `after` to get the next page; null after the last.")

    @strawberry.field(description="What people call the pool.")
    @staticmethod
    def pool_name(root: Parent[reporting.WishPage]) -> str:
        return root.pool.name


@strawberry.input(description="What an operator found about one adapter, having acted on a wish.")
class FindingInput:
    rt_id: OctoObjectId = strawberry.field(description="The adapter.")
    generation: int = strawberry.field(description="The wish it acted on. Findings about an older wish are ignored.")
    phase: Phase = strawberry.field(description="What it sees.")
    message: str | None = strawberry.field(
        description="What it waits for, or the cause of a failure with a hint, for people.", default=None
    )


@strawberry.type(description="Where an operator should look again; everywhere when both are null.")
class LookAgain:
    tenant_id: str | None = described("The tenant.")
    pool_rt_id: OctoObjectId | None = described("The pool.")


@strawberry.type(description="A configuration handed to an adapter's process.")
class AdapterConfiguration:
    version: str = described("Names it; the answer says which version it is about.")
    configuration: Json | None = described("What the adapter is told to do; null when there is nothing.")


SessionArgument = Annotated[SessionInput, argument(description="The session of who asks.")]
TenantId = Annotated[str, argument(description="The tenant.")]
PoolRtId = Annotated[OctoObjectId, argument(description="The pool.")]
VersionArgument = Annotated[str, argument(description="The version of the configuration this is about.")]


@strawberry.type(description="What agents can ask.")
class Query:
    @strawberry.field(
        description="What is wished about a pool that this session has claimed.", graphql_type=PoolWishPage
    )
    async def pool_wish(
        self,
        info: Info[AgentContext],
        session: SessionArgument,
        tenant_id: TenantId,
        pool_rt_id: PoolRtId,
        after: Annotated[OctoObjectId | None, argument(description="Only adapters behind this one.")] = None,
    ) -> reporting.WishPage:
        return await reporting.pool_wish(
            info.context.sessions,
            info.context.session(session),
            tenant_id=info.context.tenant(tenant_id),
            pool_rt_id=pool_rt_id,
            after=after,
        )


@strawberry.type(description="What agents say.")
class Mutation:
    @strawberry.mutation(description="An operator is there. Every earlier session of the same id is over.")
    async def register_operator(
        self,
        info: Info[AgentContext],
        id: Annotated[str, argument(description="Identifies the operator; it keeps it over restarts.")],
        cluster: Annotated[str, argument(description="The cluster it runs in, as people call it.")],
        version: Annotated[str, argument(description="The version of its program.")],
    ) -> Session:
        sessions = info.context.sessions
        facts = OperatorFacts(id=id, cluster=cluster, version=version)
        return _given(await registering.register_operator(sessions, facts, holder=info.context.caller.id), sessions)

    @strawberry.mutation(description="The process of an adapter is there: the adapter is ONLINE.")
    async def register_adapter(
        self,
        info: Info[AgentContext],
        tenant_id: TenantId,
        rt_id: Annotated[OctoObjectId, argument(description="The adapter.")],
    ) -> Session:
        sessions = info.context.sessions
        holder = info.context.caller.id
        tenant = info.context.tenant(tenant_id)
        begun = await registering.register_adapter(sessions, now(), tenant_id=tenant, rt_id=rt_id, holder=holder)
        return _given(begun, sessions)

    @strawberry.mutation(description="Still there: the lease has its full length again.")
    async def renew(self, info: Info[AgentContext], session: SessionArgument) -> Session:
        sessions = info.context.sessions
        renewed = info.context.session(session)
        await sessions.renew(renewed)
        return _given(renewed, sessions)

    @strawberry.mutation(
        description="The agent stops. An operator's pools are OFFLINE at once, an adapter is UNREGISTERED."
    )
    async def goodbye(self, info: Info[AgentContext], session: SessionArgument) -> bool:
        await sweeping.sign_off(info.context.sessions, info.context.session(session), now())
        return True

    @strawberry.mutation(
        description="Serve a pool: it is ONLINE. Refused while another live operator does. Again is boring.",
        graphql_type=ClaimedPool,
    )
    async def claim_pool(
        self,
        info: Info[AgentContext],
        session: SessionArgument,
        tenant_id: TenantId,
        pool_rt_id: PoolRtId,
        namespace: Annotated[str, argument(description="Where its adapters are deployed.")],
    ) -> DomainPool:
        return await registering.claim_pool(
            info.context.sessions,
            info.context.session(session),
            now(),
            tenant_id=info.context.tenant(tenant_id),
            pool_rt_id=pool_rt_id,
            namespace=namespace,
        )

    @strawberry.mutation(description="Serve a pool no longer, because its resource was removed: it is UNREGISTERED.")
    async def release_pool(
        self, info: Info[AgentContext], session: SessionArgument, tenant_id: TenantId, pool_rt_id: PoolRtId
    ) -> bool:
        await registering.release_pool(
            info.context.sessions,
            info.context.session(session),
            now(),
            tenant_id=info.context.tenant(tenant_id),
            pool_rt_id=pool_rt_id,
        )
        return True

    @strawberry.mutation(description="Tell what was found about adapters of a pool that this session has claimed.")
    async def report_pool(
        self,
        info: Info[AgentContext],
        session: SessionArgument,
        tenant_id: TenantId,
        pool_rt_id: PoolRtId,
        adapters: Annotated[list[FindingInput], argument(description="The findings, at most 200.")],
    ) -> bool:
        await reporting.report_pool(
            info.context.sessions,
            info.context.session(session),
            now(),
            tenant_id=info.context.tenant(tenant_id),
            pool_rt_id=pool_rt_id,
            findings=[_finding(each) for each in adapters],
        )
        return True

    @strawberry.mutation(
        description="Take the adapter's configuration; it is PENDING until it is acknowledged or rejected.",
        graphql_type=AdapterConfiguration,
    )
    async def take_configuration(self, info: Info[AgentContext], session: SessionArgument) -> configuring.Handover:
        return await configuring.hand_configuration(info.context.sessions, info.context.session(session), now())

    @strawberry.mutation(description="The adapter works with this configuration.")
    async def acknowledge_configuration(
        self, info: Info[AgentContext], session: SessionArgument, version: VersionArgument
    ) -> ConfigurationState:
        sessions = info.context.sessions
        adapter = await configuring.acknowledge_configuration(sessions, info.context.session(session), now(), version)
        return adapter.configuration_state

    @strawberry.mutation(description="The adapter can't work with this configuration.")
    async def reject_configuration(
        self,
        info: Info[AgentContext],
        session: SessionArgument,
        version: VersionArgument,
        message: Annotated[str, argument(description="Why, in plain language, for people.")],
    ) -> ConfigurationState:
        adapter = await configuring.reject_configuration(
            info.context.sessions, info.context.session(session), now(), version, message
        )
        return adapter.configuration_state


@strawberry.type(description="The open connection of an agent. When it breaks, the lease ends within seconds.")
class Subscription:
    @strawberry.subscription(
        description="At which of its pools an operator should look again: at first at all of them.",
        graphql_type=AsyncGenerator[LookAgain, None],
    )
    def look_again(self, info: Info[AgentContext], session: SessionArgument) -> AsyncIterator[following.LookAgain]:
        return following.look_again(info.context.sessions, info.context.feed, info.context.session(session))

    @strawberry.subscription(
        description="The version of the configuration to take: at first the present one, then each other one.",
        graphql_type=AsyncGenerator[str, None],
    )
    def configuration_versions(self, info: Info[AgentContext], session: SessionArgument) -> AsyncIterator[str]:
        return following.configuration_versions(info.context.sessions, info.context.feed, info.context.session(session))


def _given(session: DomainSession, sessions: Sessions) -> Session:
    return Session(
        agent=session.agent,
        epoch=session.epoch,
        lease_seconds=sessions.lease_seconds,
        renew_seconds=sessions.renew_seconds,
    )


def _finding(given: FindingInput) -> Finding:
    return Finding(rt_id=given.rt_id, generation=given.generation, phase=given.phase, message=given.message)
