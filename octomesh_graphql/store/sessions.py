"""Sessions of agents, and which pools operators have claimed, in the system database.

Leases are kept by MongoDB's own clock, so all servers agree on when one runs out, and they outlive every server. A
renewal writes one small document, however many pools its operator serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from octomesh_graphql.domain.session import (
    GRACE_SECONDS,
    LEASE_SECONDS,
    RENEWALS_PER_LEASE,
    OperatorFacts,
    RegisteredOperator,
    Session,
    adapter_agent,
)
from octomesh_graphql.store.entities import Step
from octomesh_graphql.store.mongo import Document, Duplicate, IndexModel, Pipeline
from octomesh_graphql.store.tenants import Registry

_OPERATORS: Final = "operators"
_ADAPTERS: Final = "adapterSessions"
_CLAIMS: Final = "claims"

_KEPT_SECONDS: Final = 30 * 24 * 3600
"""How long the session of an adapter that has not come back is remembered: nothing of it is on its way any more."""

_LEASE: Final = IndexModel({"ended": 1, "leaseExpiry": 1}, name="lease")
_UNSETTLED: Final = IndexModel({"settleAfter": 1}, name="unsettled", sparse=True)
_INDEXES: Final = {
    _OPERATORS: [_LEASE, _UNSETTLED],
    _ADAPTERS: [_LEASE, _UNSETTLED, IndexModel({"endedAt": 1}, name="kept", expireAfterSeconds=_KEPT_SECONDS)],
    _CLAIMS: [IndexModel({"agent": 1, "epoch": 1}, name="agent")],
}

_RUN_OUT: Final[Document] = {"ended": False, "$expr": {"$lt": ["$leaseExpiry", "$$NOW"]}}
_DUE: Final[Document] = {"$expr": {"$lte": ["$settleAfter", "$$NOW"]}, "settleAfter": {"$exists": True}}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An entity that a session speaks for: a pool of an operator's, or the adapter of its own process."""

    session: Session
    tenant_id: str
    rt_id: str

    @property
    def key(self) -> str:
        """Names it among all claims: one for each pool and agent."""
        return f"{self.tenant_id}/{self.rt_id}/{self.session.agent}"


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A session that is over, or was followed by another one of its agent: what it spoke for must be looked after."""

    session: Session
    """The latest of the agent."""
    ended: bool
    """Whether that one is over too."""
    why: str
    """In a sentence, for people who look at the entities."""
    goodbye: bool = False
    """Whether the agent signed off by its own word."""


class Sessions:
    """The sessions of all agents of a deployment."""

    def __init__(self, registry: Registry, lease_seconds: float = LEASE_SECONDS) -> None:
        self.registry = registry
        self.lease_seconds = lease_seconds
        self.renew_seconds = lease_seconds / RENEWALS_PER_LEASE
        self._grace_seconds = min(GRACE_SECONDS, lease_seconds)
        self._mongo = registry.mongo
        self._system = registry.system

    async def prepare(self) -> None:
        """Set up what the sweeper looks things up by; boring when it is there."""
        for collection, indexes in _INDEXES.items():
            await self._mongo.create_indexes(self._system, collection, indexes)

    # One session

    async def begin_operator(self, facts: OperatorFacts, holder: str = "") -> Session:
        """A new session of an operator. Every earlier one of the same id is over.

        Raises `AgentRefused` while somebody else than the holder has one.
        """
        return await self._begin(_OPERATORS, facts.id, holder, {"cluster": facts.cluster, "version": facts.version})

    async def begin_adapter(self, tenant_id: str, rt_id: str, holder: str = "") -> Session:
        """A new session of an adapter's process. Every earlier one of the same adapter is over.

        Raises `AgentRefused` while somebody else than the holder has one.
        """
        return await self._begin(_ADAPTERS, adapter_agent(tenant_id, rt_id), holder, {})

    async def renew(self, session: Session, *, link: str | None = None) -> None:
        """Hold the lease for its full time from now on; `link` names the connection that is open from now on.

        Raises `AgentRefused` when the session is over.
        """
        fields: Document = {"leaseExpiry": _in(self.lease_seconds), "lastSeen": "$$NOW", "broken": False}
        if link:
            fields["link"] = {"$literal": link}
        if not await self._change(session, {}, fields):
            raise session.stale()

    async def unlink(self, session: Session, link: str) -> None:
        """This connection broke: unless the agent is connected by another one, its lease lasts a few seconds only."""
        ending = {"$min": ["$leaseExpiry", _in(self._grace_seconds)]}
        await self._change(session, {"link": link}, {"leaseExpiry": ending, "broken": True})

    async def end(self, session: Session) -> Loss | None:
        """The agent signed off. None when the session was over already."""
        why = _sentence(session, "signed off")
        done = await self._change(session, {}, _ending(why) | {"goodbye": True})
        return Loss(session=session, ended=True, why=why, goodbye=True) if done else None

    async def check(self, session: Session) -> Document:
        """What is known of the agent. Raises `AgentRefused` when the session is over."""
        found = await self._mongo.find_one(self._system, _collection(session), _alive(session))
        if found is None:
            raise session.stale()
        return found

    async def operator(self, session: Session) -> RegisteredOperator:
        """The operator of a session. Raises `AgentRefused` when the session is over, or is not an operator's."""
        if session.of_adapter:
            raise session.stale()
        return _operator(await self.check(session))

    async def operators(self, ids: Sequence[str]) -> Mapping[str, RegisteredOperator]:
        """Those that have ever registered, by id."""
        found = await self._mongo.aggregate(self._system, _OPERATORS, [{"$match": {"_id": {"$in": list(ids)}}}])
        return {document["_id"]: _operator(document) for document in found}

    # What a session speaks for
    #
    # A claim is written down before its pool is, and the session is looked at in between. So whoever ends the session
    # finds the claim in time, or the claim finds the session ended; and a write to the pool in between meets the hold
    # of the one who looks after the claim. The session itself is part of no transaction: one that is never finished,
    # because its server froze, would keep the agent from renewing for as long as MongoDB waits for it.

    async def claim(self, session: Session, tenant_id: str, pool_rt_id: str) -> None:
        """Write down that the session is about to speak for this pool."""
        claim = Claim(session=session, tenant_id=tenant_id, rt_id=pool_rt_id)
        await self._mongo.update(
            self._system,
            _CLAIMS,
            {"_id": claim.key},
            {
                "$set": {
                    "tenantId": tenant_id,
                    "poolRtId": pool_rt_id,
                    "agent": session.agent,
                    "epoch": session.epoch,
                }
            },
            upsert=True,
        )

    def unclaiming(self, session: Session, tenant_id: str, pool_rt_id: str) -> Step:
        """A step of the transaction that releases this pool: the claim goes with it."""
        claim = Claim(session=session, tenant_id=tenant_id, rt_id=pool_rt_id)
        return lambda transaction: self._forget(claim, transaction)

    async def forget(self, claim: Claim) -> None:
        """Forget a claim, unless a later session of the agent has it by now."""
        await self._forget(claim, None)

    async def _forget(self, claim: Claim, transaction: Any) -> None:
        query = {"_id": claim.key, "epoch": {"$lte": claim.session.epoch}}
        await self._mongo.delete(self._system, _CLAIMS, query, session=transaction)

    # Sweeping

    async def lapse(self) -> None:
        """End the sessions whose lease ran out. Several servers may do so at once; each session is ended once."""
        for collection in (_OPERATORS, _ADAPTERS):
            due = await self._mongo.aggregate(self._system, collection, [{"$match": _RUN_OUT}])
            for document in due:
                session = _session(document)
                words = "lost its connection" if document.get("broken") else "has not renewed its lease in time"
                await self._change(session, _RUN_OUT, _ending(_sentence(session, words)))  # it may just have renewed

    async def losses(self) -> Sequence[Loss]:
        """What has to be settled now, by whichever server."""
        return [
            _loss(document)
            for collection in (_OPERATORS, _ADAPTERS)
            for document in await self._mongo.aggregate(self._system, collection, [{"$match": _DUE}])
        ]

    async def claims(self, loss: Loss) -> Sequence[Claim]:
        """What nobody speaks for after this loss."""
        session = loss.session
        if session.of_adapter:
            tenant_id, rt_id = session.adapter
            return [Claim(session=session, tenant_id=tenant_id, rt_id=rt_id)] if loss.ended else []
        over = {"$lte" if loss.ended else "$lt": session.epoch}
        found = await self._mongo.aggregate(
            self._system, _CLAIMS, [{"$match": {"agent": session.agent, "epoch": over}}, {"$sort": {"_id": 1}}]
        )
        return [
            Claim(
                session=Session(agent=document["agent"], epoch=document["epoch"]),
                tenant_id=document["tenantId"],
                rt_id=document["poolRtId"],
            )
            for document in found
        ]

    async def settled(self, loss: Loss) -> None:
        """All that the loss left behind has been looked after."""
        session = loss.session
        query = {"_id": session.agent, "epoch": session.epoch, "ended": loss.ended}
        await self._mongo.update(self._system, _collection(session), query, {"$unset": {"settleAfter": ""}})

    # Underneath

    async def _begin(self, collection: str, agent: str, holder: str, facts: Mapping[str, str]) -> Session:
        fields: Document = {
            "holder": {"$literal": holder},
            "epoch": {"$add": [{"$ifNull": ["$epoch", 0]}, 1]},
            "leaseExpiry": _in(self.lease_seconds),
            "lastSeen": "$$NOW",
            "ended": False,
            "broken": False,
            "settleAfter": _in(self.lease_seconds),  # by then it has claimed anew what it still serves
            **{name: {"$literal": text} for name, text in facts.items()},
        }
        stages: Pipeline = [{"$set": fields}, {"$unset": ["link", "why", "goodbye", "endedAt"]}]
        free = {"_id": agent, "$or": [{"ended": True}, {"holder": {"$in": ["", None, holder]}}]}
        try:
            begun = await self._mongo.modify(self._system, collection, free, stages, upsert=True)
        except Duplicate:  # somebody else has it, or two registered for the first time at once
            begun = await self._mongo.modify(self._system, collection, free, stages)
        if begun is None:
            raise Session(agent=agent, epoch=0).held()
        return _session(begun)

    async def _change(self, session: Session, matching: Document, fields: Document) -> bool:
        """Set fields of a session that is alive, and matches; whether it is and does."""
        query = {**matching, **_alive(session)}
        return bool(await self._mongo.modify(self._system, _collection(session), query, [{"$set": fields}]))


def _collection(session: Session) -> str:
    return _ADAPTERS if session.of_adapter else _OPERATORS


def _alive(session: Session) -> Document:
    return {"_id": session.agent, "epoch": session.epoch, "holder": session.holder, "ended": False}


def _session(document: Document) -> Session:
    return Session(agent=document["_id"], epoch=document["epoch"], holder=document.get("holder", ""))


def _loss(document: Document) -> Loss:
    session, ended = _session(document), document["ended"]
    again = _sentence(session, "registered anew and did not come back to this one")
    return Loss(
        session=session, ended=ended, why=document["why"] if ended else again, goodbye=document.get("goodbye", False)
    )


def _operator(document: Document) -> RegisteredOperator:
    return RegisteredOperator(
        id=document["_id"], cluster=document["cluster"], version=document["version"], last_seen=document["lastSeen"]
    )


def _ending(why: str) -> Document:
    return {"ended": True, "endedAt": "$$NOW", "why": {"$literal": why}, "settleAfter": "$$NOW"}


def _in(seconds: float) -> Document:
    """So many seconds from now, by MongoDB's clock."""
    return {"$add": ["$$NOW", round(seconds * 1000)]}


def _sentence(session: Session, what: str) -> str:
    words = session.words
    return f"{words[0].upper()}{words[1:]} {what}."
