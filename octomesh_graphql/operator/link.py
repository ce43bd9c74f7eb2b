"""The link: one WebSocket to the API server, over which the operator says and hears everything.

It connects again for as long as it runs, keeps the session if it is still good and registers anew if not. The only file
that knows the client library.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

import structlog
from gql import GraphQLRequest
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed, InvalidStatus

from octomesh_graphql.credentials import NOBODY, Credentials, NoToken, authorization
from octomesh_graphql.domain.session import GRACE_SECONDS, AgentErrorCode, AgentRefused, OperatorFacts, Session
from octomesh_graphql.domain.states import AdapterType
from octomesh_graphql.domain.text import shown
from octomesh_graphql.domain.wish import Finding, PoolWish, WishedAdapter
from octomesh_graphql.operator.clocks import boot_time
from octomesh_graphql.operator.server import LinkDown, ServerUnavailable
from octomesh_graphql.operator.together import until_one_ends

log = structlog.get_logger()
logging.getLogger("gql").setLevel(logging.ERROR)  # for debugging it tells whole frames: tokens and configurations

REQUEST_SECONDS: Final = 10.0
"""How long the server may take to answer anything. Usual are milliseconds."""

PING_SECONDS: Final = 1.5
"""Between a sign of life and asking for the next. The server shortens the lease to `GRACE_SECONDS` when it sees the
connection break, which this side may not see: so the lease is certain only for so long after a sign."""

PONG_SECONDS: Final = 6.0
"""Without a sign of life for so long, another connection is tried."""

GOODBYE_SECONDS: Final = 1.0
"""How long signing off may take: who does not sign off is missed a little later."""

LARGEST_MESSAGE: Final = 16 * 1024 * 1024
"""Bytes: a page of 100 adapters with configurations of 64 KiB, and room."""

REPORTED_AT_ONCE: Final = 200
"""Findings in one request; the server takes no more."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds between attempts to connect
_STEADY_SECONDS = 10.0  # a connection that held this long was good: the next attempt comes at once
_NEVER = float("-inf")
_LOST_RENEWALS = 2  # then another connection, perhaps to another server, is the better bet

_NOT_LET_IN = (401, 403)
_TOKEN_REFUSED = 4403  # with this the server closes a WebSocket whose token it does not take, or no longer

_REGISTER = """mutation ($id: String!, $cluster: String!, $version: String!) {
  registerOperator(id: $id, cluster: $cluster, version: $version) { agent epoch leaseSeconds renewSeconds } }"""
_RENEW = "mutation ($session: SessionInput!) { renew(session: $session) { agent epoch leaseSeconds renewSeconds } }"
_GOODBYE = "mutation ($session: SessionInput!) { goodbye(session: $session) }"
_CLAIM = """mutation ($session: SessionInput!, $tenantId: String!, $poolRtId: OctoObjectId!, $namespace: String!) {
  claimPool(session: $session, tenantId: $tenantId, poolRtId: $poolRtId, namespace: $namespace) { name } }"""
_RELEASE = """mutation ($session: SessionInput!, $tenantId: String!, $poolRtId: OctoObjectId!) {
  releasePool(session: $session, tenantId: $tenantId, poolRtId: $poolRtId) }"""
_REPORT = """mutation (
  $session: SessionInput!, $tenantId: String!, $poolRtId: OctoObjectId!, $adapters: [FindingInput!]!
) { reportPool(session: $session, tenantId: $tenantId, poolRtId: $poolRtId, adapters: $adapters) }"""
_WISH = """query ($session: SessionInput!, $tenantId: String!, $poolRtId: OctoObjectId!, $after: OctoObjectId) {
  poolWish(session: $session, tenantId: $tenantId, poolRtId: $poolRtId, after: $after) {
    poolName
    next
    adapters {
      rtId ckTypeId name type wanted generation imageName imageVersion configuration port healthPath
    }
  }
}"""
_LOOK_AGAIN = "subscription ($session: SessionInput!) { lookAgain(session: $session) { tenantId poolRtId } }"

Hook = Callable[[], None]
LookAgain = Callable[[str | None, str | None], None]


class Link:
    """The server, as an operator that is registered there sees it, as long as the lead is `held`.

    `look_again` is called with a tenant and a pool, or twice None: look at everything, which also comes with each
    connection. `lost` is called when the lease has run out. Both must only take a note.
    """

    def __init__(
        self,
        server_url: str,
        facts: OperatorFacts,
        *,
        look_again: LookAgain,
        lost: Hook = lambda: None,
        credentials: Credentials = NOBODY,
        held: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        self._url = f"ws{server_url.removeprefix('http').rstrip('/')}/agents/graphql"
        self._facts = facts
        self._look_again = look_again
        self._lost = lost
        self._credentials = credentials
        self._held = held
        self._clock = clock
        self._transport: WebsocketsTransport | None = None
        self._session: Session | None = None
        self._ended = asyncio.Event()
        self._held_until = self._registered_at = self._heard_at = _NEVER
        self._renew_seconds = REQUEST_SECONDS
        self._stale_at_once = 0
        self.connected = asyncio.Event()
        """Set while the server listens to us and we to it."""
        self._trouble = "The server has not been asked yet."

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[NoReturn]]:
        """Connected as often as possible until the block ends; then the server is told goodbye. The task never ends."""
        task = asyncio.create_task(self._run())
        try:
            yield task
        finally:
            await self._goodbye()
            task.cancel()
            await asyncio.wait({task})

    @property
    def session(self) -> Session | None:
        """The present session; None: none yet, or it has ended."""
        return self._session

    @property
    def leased(self) -> bool:
        """Whether the lease is certainly still held: counted from before its last renewal was sent, and only as long as
        the server can't have missed us, counted from before the last thing was sent that it answered."""
        heard = self._clock() < self._heard_at + GRACE_SECONDS
        return self._session is not None and heard and not self.away

    @property
    def away(self) -> bool:
        """Whether the last lease is over, or there never was one. A session that is just being renewed is not that."""
        return self._clock() >= self._held_until

    @property
    def trouble(self) -> str:
        """Why there is no connection; empty: there is one."""
        return self._trouble

    # What is asked and told

    async def claim(self, tenant_id: str, pool_rt_id: str, namespace: str) -> str:
        """Serve a pool from now on, in this session; returns its name."""
        pool = await self._say(_CLAIM, tenantId=tenant_id, poolRtId=pool_rt_id, namespace=namespace)
        return str(pool["name"])

    async def wish(self, tenant_id: str, pool_rt_id: str) -> PoolWish:
        """All that is wished about a pool, page by page."""
        adapters: list[WishedAdapter] = []
        after = None
        while True:
            page = await self._say(_WISH, tenantId=tenant_id, poolRtId=pool_rt_id, after=after)
            adapters += [_wished(adapter) for adapter in page["adapters"]]
            after = page["next"]
            if after is None:
                return PoolWish(
                    tenant_id=tenant_id, pool_rt_id=pool_rt_id, pool_name=page["poolName"], adapters=adapters
                )

    async def report(self, tenant_id: str, pool_rt_id: str, findings: Sequence[Finding]) -> None:
        """Tell what was found. Told twice it is boring, so after a failure everything may be told again."""
        for first in range(0, len(findings), REPORTED_AT_ONCE):
            adapters = [_told(finding) for finding in findings[first : first + REPORTED_AT_ONCE]]
            await self._say(_REPORT, tenantId=tenant_id, poolRtId=pool_rt_id, adapters=adapters)

    async def release(self, tenant_id: str, pool_rt_id: str) -> None:
        """Serve a pool no longer."""
        await self._say(_RELEASE, tenantId=tenant_id, poolRtId=pool_rt_id)

    async def _say(self, document: str, **variables: Any) -> Any:
        """A request in the present session. Raises `AgentRefused`, `ServerUnavailable`."""
        session = self._session
        if session is None:
            raise LinkDown(self.trouble)
        try:
            return await self._request(document, session=_named(session), **variables)
        except AgentRefused as refusal:
            if refusal.code is AgentErrorCode.STALE_SESSION and session == self._session:
                self._ended.set()
            raise

    async def _request(self, document: str, **variables: Any) -> Any:
        """The one field of the answer. Raises `AgentRefused`, `ServerUnavailable`."""
        if self._transport is None:
            raise LinkDown(self.trouble)
        sent = self._clock()
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                answer = await self._transport.execute(GraphQLRequest(document, variable_values=variables))
        except TimeoutError as error:
            raise ServerUnavailable(f"The server did not answer within {REQUEST_SECONDS:.0f} s.") from error
        except TransportQueryError as error:
            raise _refusal(error.errors) from error
        except TransportError as error:
            raise LinkDown(f"The connection to the server broke: {_reason(error)}.") from error
        self._heard_at = max(self._heard_at, sent)
        return _field(answer)

    # Being there

    async def _run(self) -> NoReturn:
        """Connected, again and again."""
        failures = 0
        while True:
            begun = self._clock()
            try:
                await self._stay()
            except ServerUnavailable as error:
                self._note(str(error))
            except AgentRefused as refusal:
                self._note(f"The server refuses: {refusal}")
                if refusal.code is AgentErrorCode.STALE_SESSION:
                    self._forget_session()
            _heed_cancellation()
            self._tell_if_lost()
            failures = 0 if self._clock() - begun > _STEADY_SECONDS else failures + 1
            await asyncio.sleep(random.uniform(0.5, 1) * min(_FIRST_PAUSE * 2 ** min(failures, 10), _LONGEST_PAUSE))

    def _note(self, trouble: str) -> None:
        """Say it once: a server that is away for an hour would fill the log."""
        if trouble != self.trouble:
            log.warning("link to the server is down", reason=trouble)
        self._trouble = trouble

    async def _stay(self) -> None:
        """Connected once; ends by raising what ended it."""
        async with self._opened():
            self._ended.clear()
            await self._enter()
            await until_one_ends(self._listen(), self._keep_renewing(), self._keep_hearing(), self._until_stale())

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        transport = await self._new_transport()
        try:
            try:
                await transport.connect()
            except (TransportError, TimeoutError, OSError) as error:
                raise LinkDown(f"The server at {self._url} can't be reached: {_reason(error)}.") from error
            self._transport = transport
            yield
        except TransportError as error:
            self._look_at_end(error)
            raise LinkDown(f"The connection to the server broke: {_reason(error)}.") from error
        except LinkDown as error:
            self._look_at_end(error.__cause__)
            raise
        finally:
            self._transport = None
            self.connected.clear()
            # The server sees it too, and shortens the lease.
            self._held_until = min(self._held_until, self._clock() + GRACE_SECONDS)
            await transport.close()

    async def _new_transport(self) -> WebsocketsTransport:
        header = await self._authorization()
        return WebsocketsTransport(
            self._url,
            headers=header,
            init_payload=header,
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
            connect_timeout=REQUEST_SECONDS,
            close_timeout=GOODBYE_SECONDS,
            connect_args={"max_size": LARGEST_MESSAGE, "close_timeout": GOODBYE_SECONDS},
        )

    async def _authorization(self) -> dict[str, str]:
        """Asked for each connection, because tokens are short-lived."""
        try:
            return await authorization(self._credentials)
        except NoToken as error:
            raise LinkDown(str(error)) from error

    def _look_at_end(self, error: BaseException | None) -> None:
        """Let the credentials know when it was the token that the server did not take."""
        cause = (error.__cause__ or error) if error else None
        by_status = isinstance(cause, InvalidStatus) and cause.response.status_code in _NOT_LET_IN
        by_code = isinstance(cause, ConnectionClosed) and cause.rcvd is not None and cause.rcvd.code == _TOKEN_REFUSED
        if by_status or by_code:
            self._credentials.refused()

    async def _enter(self) -> None:
        """In a session: the one there was, if the server still knows it, else a new one."""
        if self._session is not None:
            try:
                await self._renew(self._session)
            except AgentRefused as refusal:
                if refusal.code is not AgentErrorCode.STALE_SESSION:
                    raise
                self._forget_session()
        if self._session is None:
            await self._register()

    async def _register(self) -> None:
        if not self._held():  # it would end the session of the replica that leads now
            raise LinkDown("The lead is not held any more.")
        sent = self._clock()
        facts = self._facts
        answer = await self._request(_REGISTER, id=facts.id, cluster=facts.cluster, version=facts.version)
        self._session = Session(agent=answer["agent"], epoch=answer["epoch"])
        self._registered_at = sent
        self._holding(answer, sent)
        log.info("registered", operator=facts.id, epoch=answer["epoch"], lease_seconds=answer["leaseSeconds"])

    async def _renew(self, session: Session) -> None:
        sent = self._clock()
        self._holding(await self._request(_RENEW, session=_named(session)), sent)

    def _holding(self, answer: dict[str, Any], sent: float) -> None:
        self._held_until = sent + answer["leaseSeconds"]
        self._renew_seconds = answer["renewSeconds"]

    async def _keep_renewing(self) -> None:
        lost = 0
        while session := self._session:
            await asyncio.sleep(self._renew_seconds)
            try:
                await self._renew(session)
                lost = 0
            except LinkDown:
                raise
            except ServerUnavailable as error:
                lost += 1
                log.warning("lease not renewed", reason=str(error))
                if lost == _LOST_RENEWALS:
                    raise

    async def _keep_hearing(self) -> NoReturn:
        """Ask for a sign of life all the time: the lease is certain only after one."""
        assert self._transport is not None
        while True:
            sent = self._clock()
            self._transport.pong_received.clear()
            await self._transport.send_ping()
            try:
                async with asyncio.timeout(PONG_SECONDS):
                    await self._transport.pong_received.wait()
            except TimeoutError as error:
                raise LinkDown(f"The server gave no sign of life for {PONG_SECONDS:.0f} s.") from error
            self._heard_at = max(self._heard_at, sent)
            await asyncio.sleep(PING_SECONDS)

    async def _listen(self) -> None:
        """Pass on which pools are to be looked at again."""
        assert self._transport is not None
        assert self._session is not None
        request = GraphQLRequest(_LOOK_AGAIN, variable_values={"session": _named(self._session)})
        try:
            async for answer in self._transport.subscribe(request):
                place = _field(answer)
                if not self.connected.is_set():
                    self._arrived()
                self._look_again(place["tenantId"], place["poolRtId"])
        except TransportQueryError as error:
            raise _refusal(error.errors) from error
        raise LinkDown("The server ended the subscription.")

    def _arrived(self) -> None:
        log.info("linked to the server", url=self._url)
        self._trouble = ""
        self.connected.set()

    async def _until_stale(self) -> NoReturn:
        await self._ended.wait()
        assert self._session is not None
        raise self._session.stale()

    def _forget_session(self) -> None:
        at_once = self._clock() - self._registered_at < _STEADY_SECONDS
        self._stale_at_once = self._stale_at_once + 1 if at_once else 0
        if self._stale_at_once > 1:
            log.warning(
                "sessions end as soon as they begin; another program may use the same operator id",
                operator=self._facts.id,
                times=self._stale_at_once,
            )
        self._session = None

    def _tell_if_lost(self) -> None:
        if self.away and self._held_until != _NEVER:
            self._held_until = _NEVER
            self._lost()

    async def _goodbye(self) -> None:
        """So that the server need not wait for the lease to run out."""
        if self._session is None or self._transport is None:
            return
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._request(_GOODBYE, session=_named(self._session))
        except (TimeoutError, ServerUnavailable, AgentRefused) as error:
            log.info("left without a goodbye", reason=str(error) or "no answer")
        finally:
            self._session = None


def _named(session: Session) -> dict[str, Any]:
    return {"agent": session.agent, "epoch": session.epoch}


def _wished(adapter: dict[str, Any]) -> WishedAdapter:
    return WishedAdapter(
        rt_id=adapter["rtId"],
        ck_type_id=adapter["ckTypeId"],
        name=adapter["name"],
        type=AdapterType[adapter["type"]],
        wanted=adapter["wanted"],
        generation=adapter["generation"],
        image_name=adapter["imageName"],
        image_version=adapter["imageVersion"],
        configuration=adapter["configuration"],
        port=adapter["port"],
        health_path=adapter["healthPath"],
    )


def _told(finding: Finding) -> dict[str, Any]:
    return {
        "rtId": finding.rt_id,
        "generation": finding.generation,
        "phase": finding.phase.value,
        "message": finding.message,
    }


def _field(answer: Any) -> Any:
    """The only field of an answer. Raises what its error means."""
    if answer.errors:
        raise _refusal(answer.errors)
    (value,) = answer.data.values()
    return value


def _heed_cancellation() -> None:
    """The client library swallows one now and then, when it comes while a connection is made or closed."""
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


def _refusal(errors: Sequence[Any] | None) -> AgentRefused | ServerUnavailable:
    error = errors[0] if errors else {}
    code, message = (error.get("extensions") or {}).get("code"), str(error.get("message"))
    try:
        return AgentRefused(AgentErrorCode(code), message)
    except ValueError:
        return ServerUnavailable(f"The server answers {code or 'with an error'}: {message}")


def _reason(error: BaseException) -> str:
    """What is behind an error of the transport, in its own words; none of them has a header in it."""
    cause = error.__cause__ or error
    if isinstance(error, TimeoutError) or isinstance(cause, TimeoutError):
        return "it does not answer"
    if isinstance(cause, InvalidStatus):
        return f"it answers {cause.response.status_code} instead of a WebSocket{_said(cause.response.body)}"
    return (str(cause) or type(cause).__name__).rstrip(".")


def _said(body: bytes | bytearray | None) -> str:
    """Why, in the words of our server; what stands before it may say something else, which nobody would understand."""
    try:
        said = str(json.loads(body or b"")["errors"][0]["message"])
    except (ValueError, LookupError, TypeError):
        return ""
    return f": {shown(said, 200).rstrip('.')}"
