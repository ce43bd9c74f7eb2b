"""The operator's door to Kubernetes, before an API server that answers as the test says: failures hard to provoke."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from kubernetes_asyncio.client import ApiClient, Configuration

from octomesh_graphql.operator.cluster import WARNINGS, ClusterRefused, ClusterUnavailable, Kind, Object, Sighting
from octomesh_graphql.operator.kubeconfig import ClusterNotFound
from octomesh_graphql.operator.kubernetes import Kubernetes, Patience, connected

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
SILENT = Patience(request_seconds=0.05, watch_seconds=(0, 0), silence_seconds=0.05)


@dataclass
class ApiServer:
    """Gives one answer after the other and remembers what it was asked. After the last it gives none at all."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[web.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self.answers:
            return await self.answers.pop(0)(request)
        return await self.silence(request)

    async def silence(self, request: web.Request) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            self.hung_up.set()
        raise AssertionError

    async def pause(self, seconds: float) -> None:
        """What the client calls instead of sleeping."""
        self.pauses.append(seconds)

    @property
    def watched_from(self) -> list[str]:
        return [each.query["resourceVersion"] for each in self.asked if "watch" in each.query]

    @property
    def lists(self) -> int:
        return sum("limit" in each.query for each in self.asked)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    yield server
    await runner.cleanup()


@asynccontextmanager
async def a_cluster(server: ApiServer, patience: Patience | None = None) -> AsyncIterator[Kubernetes]:
    async with ApiClient(Configuration(host=server.url)) as api:
        yield Kubernetes(
            api, name="scripted", namespace="octo", lease="operator", patience=patience, sleep=server.pause
        )


# Answers


def says(status: int, body: Any, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, headers=headers)

    return answer


def fails(code: int, reason: str, message: str, **headers: str) -> Answer:
    return says(code, {"kind": "Status", "code": code, "reason": reason, "message": message}, **headers)


def lists(*names: str, version: str, rest: str = "") -> Answer:
    items = [{"metadata": {"name": name, "namespace": "octo", "uid": f"uid-{name}"}} for name in names]
    return says(200, {"metadata": {"resourceVersion": version, "continue": rest}, "items": items})


def streams(*lines: Object | str, cut: bool = False) -> Answer:
    """A watch that tells these lines, and then ends, as a whole or cut."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write((line if isinstance(line, str) else json.dumps(line) + "\n").encode())
        if cut:
            assert request.transport
            request.transport.close()
        return response

    return answer


def seen(type: str, name: str, version: str) -> Object:
    metadata = {"name": name, "namespace": "octo", "uid": f"uid-{name}", "resourceVersion": version}
    return {"type": type, "object": {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}}


def in_words(sighting: Sighting) -> str:
    return sighting.step.value + (f" {sighting.object['metadata']['name']}" if sighting.object else "")


async def watched(server: ApiServer, count: int, patience: Patience | None = None) -> list[str]:
    """The first things a watch tells."""
    async with (
        asyncio.timeout(20),
        a_cluster(server, patience) as cluster,
        aclosing(cluster.watch(Kind.SECRET)) as sightings,
    ):
        return [in_words(await anext(sightings)) for _ in range(count)]


# Requests


@pytest.mark.parametrize("status", [429, 500, 503, 504])
async def test_a_cluster_that_is_overloaded_says_when_to_come_back(server: ApiServer, status: int) -> None:
    server.answers = [fails(status, "TooManyRequests", "please wait", **{"Retry-After": "3"})]

    async with a_cluster(server) as cluster:
        with pytest.raises(ClusterUnavailable, match="please wait") as unavailable:
            await cluster.get(Kind.SECRET, "octo", "one")

    assert unavailable.value.retry_after == 3.0


async def test_a_date_to_come_back_at_is_none_to_count_with(server: ApiServer) -> None:
    server.answers = [fails(503, "", "away", **{"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})]

    async with a_cluster(server) as cluster:
        with pytest.raises(ClusterUnavailable) as unavailable:
            await cluster.get(Kind.SECRET, "octo", "one")

    assert unavailable.value.retry_after is None


@pytest.mark.parametrize(("status", "reason"), [(400, "BadRequest"), (401, "Unauthorized"), (409, "Conflict")])
async def test_a_refusal_is_told_in_the_words_of_the_cluster(server: ApiServer, status: int, reason: str) -> None:
    server.answers = [fails(status, reason, "that is why")]

    async with a_cluster(server) as cluster:
        with pytest.raises(ClusterRefused, match="that is why") as refused:
            await cluster.get(Kind.SECRET, "octo", "one")

    assert (refused.value.status, refused.value.reason) == (status, reason)


async def test_what_stands_before_the_cluster_may_refuse_in_its_own_words(server: ApiServer) -> None:
    server.answers = [says(403, "<h1>blocked by the proxy</h1>"), says(502, "<h1>Bad Gateway</h1>")]

    async with a_cluster(server) as cluster:
        with pytest.raises(ClusterRefused, match="blocked by the proxy"):
            await cluster.get(Kind.SECRET, "octo", "one")
        with pytest.raises(ClusterUnavailable, match="Bad Gateway"):
            await cluster.get(Kind.SECRET, "octo", "one")


async def test_an_answer_that_is_no_json_is_none(server: ApiServer) -> None:
    server.answers = [says(200, "<h1>Welcome to the hotel</h1>")]

    async with a_cluster(server) as cluster:
        with pytest.raises(ClusterUnavailable, match="no JSON"):
            await cluster.get(Kind.SECRET, "octo", "one")


async def test_no_answer_in_time_is_unavailable(server: ApiServer) -> None:
    async with a_cluster(server, SILENT) as cluster:
        with pytest.raises(ClusterUnavailable, match="GET /api/v1/namespaces/octo/secrets/one: no answer in time"):
            await cluster.get(Kind.SECRET, "octo", "one")


async def test_a_list_that_grew_too_old_between_two_pages_is_to_be_tried_again(server: ApiServer) -> None:
    server.answers = [lists("one", version="1", rest="more"), fails(410, "Expired", "the continue is too old")]

    async with a_cluster(server) as cluster:
        with pytest.raises(ClusterUnavailable, match="too old"):
            await cluster.objects(Kind.SECRET)

    assert server.asked[1].query["continue"] == "more"


# Watching


async def test_a_watch_that_ends_goes_on_from_where_it_was(server: ApiServer) -> None:
    server.answers = [
        lists("one", version="1"),
        streams(seen("ADDED", "two", "5")),
        streams(seen("DELETED", "two", "6")),
    ]

    assert await watched(server, 4) == ["SEEN one", "LISTED", "SEEN two", "GONE two"]
    assert server.watched_from[:2] == ["1", "5"]
    assert (server.lists, server.pauses) == (1, [])


async def test_a_bookmark_moves_on_without_a_word(server: ApiServer) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Secret", "metadata": {"resourceVersion": "9"}}}
    server.answers = [lists(version="1"), streams(bookmark), streams(seen("ADDED", "one", "10"))]

    assert await watched(server, 2) == ["LISTED", "SEEN one"]
    assert server.watched_from == ["1", "9"]


@pytest.mark.parametrize(
    "breaking",
    [
        streams('{"type": "ADDED", "obj', cut=True),
        streams('{"type": "ADDED", "obj'),
        streams({"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}),
        fails(410, "Expired", "too old resource version"),
        fails(429, "TooManyRequests", "please wait"),
        fails(403, "Forbidden", "cannot watch"),
        streams(),
    ],
    ids=["cut in a line", "ended in a line", "expired", "expired at once", "overloaded", "forbidden", "without a word"],
)
async def test_a_watch_that_breaks_lists_anew_and_tells_what_went(server: ApiServer, breaking: Answer) -> None:
    server.answers = [
        lists("one", "two", version="1"),
        breaking,
        lists("two", "three", version="7"),
        streams(seen("ADDED", "four", "8")),
    ]

    assert await watched(server, 7) == [
        "SEEN one",
        "SEEN two",
        "LISTED",
        "GONE one",
        "SEEN two",
        "SEEN three",
        "SEEN four",
    ]
    assert server.watched_from == ["1", "7"]
    assert len(server.pauses) == 1


async def test_a_watch_that_falls_silent_is_given_up(server: ApiServer) -> None:
    server.answers = [lists("one", version="1"), server.silence, lists(version="2"), server.silence]

    assert await watched(server, 3, SILENT) == ["SEEN one", "LISTED", "GONE one"]


async def test_a_watch_that_falls_silent_after_it_began_is_given_up_too(server: ApiServer) -> None:
    async def begins(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write((json.dumps(seen("ADDED", "one", "2")) + "\n").encode())
        return await server.silence(request)

    server.answers = [lists(version="1"), begins, lists(version="3")]

    assert await watched(server, 3, SILENT) == ["LISTED", "SEEN one", "GONE one"]


async def test_pauses_grow_until_a_watch_tells_something(server: ApiServer) -> None:
    down = fails(503, "", "away")
    told = [lists(version="1"), streams(seen("ADDED", "one", "2"), cut=True)]
    server.answers = [down] * 9 + told + [down, lists("one", version="3")]

    assert await watched(server, 3) == ["LISTED", "SEEN one", "SEEN one"]

    *growing, first, second = server.pauses
    limits = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert all(limit / 2 <= pause <= limit for pause, limit in zip(growing, limits, strict=True))
    assert 0.25 <= first <= 0.5
    assert 0.5 <= second <= 1


async def test_an_object_made_anew_under_its_old_name_is_gone_before_it_is_seen(server: ApiServer) -> None:
    metadata = {"name": "one", "namespace": "octo", "uid": "another uid"}
    anew = says(200, {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": metadata}]})
    server.answers = [lists("one", version="1"), streams(), anew]

    assert await watched(server, 4) == ["SEEN one", "LISTED", "GONE one", "SEEN one"]


async def test_a_closed_watch_hangs_up(server: ApiServer) -> None:
    server.answers = [lists(version="1")]
    async with asyncio.timeout(20), a_cluster(server) as cluster:
        async with aclosing(cluster.watch(Kind.SECRET)) as sightings:
            assert in_words(await anext(sightings)) == "LISTED"
            waiting = asyncio.ensure_future(anext(sightings))
            while not server.watched_from:
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await server.hung_up.wait()


# Finding the cluster


def a_kubeconfig(directory: Path, server: ApiServer) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "plant",
        "contexts": [
            {"name": name, "context": {"cluster": "c", "user": name, "namespace": "octo"}} for name in ("plant", "hall")
        ],
        "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "users": [{"name": name, "user": {"token": f"token-of-{name}"}} for name in ("plant", "hall")],
    }
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize(("context", "used"), [(None, "plant"), ("hall", "hall")])
async def test_a_context_gives_the_name_and_the_credentials(
    server: ApiServer, tmp_path: Path, context: str | None, used: str
) -> None:
    server.answers = [lists(version="1")]

    async with connected(
        kubeconfig=a_kubeconfig(tmp_path, server), context=context, namespace="octo", lease="operator"
    ) as cluster:
        await cluster.objects(Kind.SECRET)

    assert cluster.name == used
    headers = server.asked[0].headers
    assert headers["Authorization"] == f"Bearer token-of-{used}"
    assert headers["User-Agent"].startswith("octomesh-operator/")


async def test_the_variable_of_kubectl_is_honoured(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{a_kubeconfig(tmp_path, server)}")

    async with connected(name="Hall 1", namespace="octo", lease="operator") as cluster:
        assert cluster.name == "Hall 1"


async def why_not_connected(kubeconfig: Path | None = None, context: str | None = None) -> str:
    """What is told of a cluster that is not found."""
    with pytest.raises(ClusterNotFound) as told:
        async with connected(kubeconfig=kubeconfig, context=context, namespace="octo", lease="operator"):
            pass
    return str(told.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "The kubeconfig PATH is none: it has no contexts, clusters and users."),
        (b"\xff", "The kubeconfig PATH can't be read: it is not text."),
        (b"a: b: s3cret", "The kubeconfig PATH is no YAML: mapping values are not allowed here, in line 1."),
        (b"a: \0", "The kubeconfig PATH is no YAML."),
        (b"not: a kubeconfig", "The kubeconfig PATH names no current context."),
        (b"current-context: x", "The kubeconfig PATH has no context 'x', though it names it as the current one."),
    ],
)
async def test_a_kubeconfig_that_is_none_is_told(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(content)
    assert await why_not_connected(path) == why.replace("PATH", str(path))


async def test_a_directory_is_no_kubeconfig(tmp_path: Path) -> None:
    assert await why_not_connected(tmp_path) == f"The kubeconfig {tmp_path} can't be read: Is a directory."


@pytest.mark.parametrize(
    ("cluster", "user", "why"),
    [
        ({}, {}, "names no cluster whose server is known."),
        ({"server": "https://127.0.0.1:1"}, None, "names no user that is known."),
        (
            {"server": "https://127.0.0.1:1", "certificate-authority": "/nowhere"},
            {"token": "s3cret"},
            "can't be used: File does not exists: /nowhere.",
        ),
        ({"server": "http://127.0.0.1:1"}, {"tokenFile": "/no"}, "can't be used: No such file or directory ('/no')."),
        ({"server": "https://127.0.0.1:1"}, {"client-key-data": "s3cret"}, "can't be used: "),
        (
            {"server": "http://127.0.0.1:1"},
            {"exec": {"command": "false", "apiVersion": "client.authentication.k8s.io/v1"}},
            "can't be used with the credentials that the program 'false' gives out: exec: process returned 1.",
        ),
    ],
)
async def test_a_context_that_leads_nowhere_is_named_without_a_credential_or_a_line_of_the_library(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cluster: Object, user: Object | None, why: str
) -> None:
    path = tmp_path / "kubeconfig"
    users = [{"name": "u", "user": user} if user is not None else {"name": "u", "token": "s3cret"}]
    contexts = [{"name": "plant", "context": {"cluster": "c", "user": "u"}}]
    path.write_text(
        yaml.safe_dump({"contexts": contexts, "clusters": [{"name": "c", "cluster": cluster}], "users": users})
    )
    told = await why_not_connected(path, "plant")
    assert told.startswith(f"The context 'plant' of the kubeconfig {path} {why}")
    assert "s3cret" not in told
    assert caplog.messages == []


async def test_a_server_that_asks_nobody_who_they_are_needs_no_user(server: ApiServer, tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path, server)
    config = yaml.safe_load(path.read_text())
    del config["users"], config["contexts"][0]["context"]["user"]
    path.write_text(yaml.safe_dump(config))
    server.answers = [lists(version="1")]
    async with connected(kubeconfig=path, namespace="octo", lease="operator") as cluster:
        assert await cluster.objects(Kind.SECRET) == []


async def test_without_kubeconfig_and_pod_there_is_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing"
    monkeypatch.setenv("KUBECONFIG", str(missing))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert await why_not_connected() == f"There is no kubeconfig at {missing}, and this is no pod of a cluster."
    assert await why_not_connected(context="plant") == f"There is no kubeconfig at {missing}."
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert "and as a pod this can't ask its cluster: Service host/port is not set." in await why_not_connected()


# What is not there


async def test_an_object_that_is_gone_is_told_from_an_api_that_is_not_served(server: ApiServer) -> None:
    gone = {"kind": "Status", "code": 404, "reason": "NotFound", "message": "gone", "details": {"name": "pool"}}
    unknown = {"kind": "Status", "code": 404, "reason": "NotFound", "message": "no such resource", "details": {}}
    server.answers = [says(404, gone), says(404, unknown), says(404, "404 page not found")]
    async with a_cluster(server) as cluster:
        assert await cluster.get(Kind.COMMUNICATION_POOL, "octo", "pool") is None
        for _ in range(2):
            with pytest.raises(ClusterRefused):
                await cluster.get(Kind.COMMUNICATION_POOL, "octo", "pool")


async def test_a_watch_may_be_for_some_fields_only(server: ApiServer) -> None:
    server.answers = [lists(version="1")]
    async with a_cluster(server) as cluster, aclosing(cluster.watch(Kind.EVENT, fields=WARNINGS)) as watch:
        await anext(watch)
    assert server.asked[0].query["fieldSelector"] == "type=Warning"
