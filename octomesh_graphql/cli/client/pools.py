"""`octomesh pools`: what each of its words does."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from octomesh_graphql.cli.client import telling
from octomesh_graphql.cli.client.connection import Api, Refused
from octomesh_graphql.cli.client.finding import ADAPTER, POOL, found
from octomesh_graphql.cli.client.paging import all_of
from octomesh_graphql.cli.client.waiting import STAYS, Goal, pool_gone, settled
from octomesh_graphql.cli.running import CommandFailed

STATES: Final = "communicationState configurationState deploymentState statusMessage health { level headline reasons }"
FIELDS: Final = f"""rtId name description rtVersion {STATES} deleting
  summary {{ adapters wanted deployed deploymentPending deploymentError }}
  operator {{ id cluster namespace version since lastSeen }}"""
MEMBERS: Final = """adapters(first: 500) { nodes {
  rtId name type imageName imageVersion wanted
  communicationState configurationState deploymentState statusMessage } }"""

_LIST: Final = f"""query ($after: String, $filter: PoolFilter, $search: String) {{
  page: pools(first: 200, after: $after, filter: $filter, search: $search) {{
    nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }}"""
_ERRORS: Final = "errors { code message path }"
_CREATE: Final = f"""mutation ($input: CreatePoolInput!) {{
  createPool(input: $input) {{ pool {{ {FIELDS} }} {_ERRORS} }} }}"""
_EDIT: Final = f"mutation ($input: EditPoolInput!) {{ editPool(input: $input) {{ pool {{ {FIELDS} }} {_ERRORS} }} }}"
_DELETE: Final = f"""mutation ($input: DeletePoolInput!) {{ deletePool(input: $input) {{
  deleted deletedRtId pool {{ {FIELDS} }} leftBehind {{ rtId name }} {_ERRORS} }} }}"""
_DEPLOY: Final = f"""mutation ($input: DeployPoolAdaptersInput!) {{ done: deployPoolAdapters(input: $input) {{
  pool {{ {FIELDS} }} adapters {{ rtId name }} {_ERRORS} }} }}"""
_UNDEPLOY: Final = f"""mutation ($input: UndeployPoolAdaptersInput!) {{ done: undeployPoolAdapters(input: $input) {{
  pool {{ {FIELDS} }} adapters {{ rtId name }} {_ERRORS} }} }}"""


async def show_list(api: Api, *, filter: dict[str, Any], search: str | None, json: bool) -> None:
    """Print the pools."""
    pools = [pool async for pool in all_of(api, _LIST, filter=filter, search=search)]
    if json:
        telling.as_json(pools)
        return
    narrowed = filter or search
    nothing = "No pool is like that." if narrowed else "There is no pool yet. Create one: octomesh pools create NAME"
    telling.listed(list(telling.pool_rows(pools)), nothing)


async def show(api: Api, word: str, *, json: bool) -> None:
    """Print all about one pool."""
    pool = await _whole(api, word)
    members = pool["adapters"]
    if json:
        telling.as_json(pool)
        return
    telling.facts(_facts(pool))
    if members:
        print()
        telling.listed(list(telling.adapter_rows(members, with_pool=False)), "")
        causes = [(f"'{member['name']}'", member["statusMessage"]) for member in members if member["statusMessage"]]
        if causes:
            print()
            telling.facts(causes)


async def _whole(api: Api, word: str) -> dict[str, Any]:
    """A pool with its adapters, as it is shown to programs."""
    pool = await found(api, POOL, word, f"{FIELDS} {MEMBERS}")
    return {**pool, "adapters": pool["adapters"]["nodes"]}


def _facts(pool: dict[str, Any]) -> list[tuple[str, str | None]]:
    summary, operator, health = pool["summary"], pool["operator"], pool["health"]
    where = operator and f"in {operator['cluster']}, namespace {operator['namespace']}"
    served = operator and f"{operator['id']} {where}, last seen {operator['lastSeen']}"
    more = [reason for reason in health["reasons"] if reason != health["headline"]]
    return [
        ("Name", pool["name"]),
        ("rtId", pool["rtId"]),
        ("Description", pool["description"]),
        ("Health", "\n".join([f"{health['level']}, {health['headline']}", *more])),
        ("Communication", pool["communicationState"]),
        ("Deployment", pool["deploymentState"]),
        ("Configuration", pool["configurationState"]),
        ("Message", pool["statusMessage"]),
        ("Served by", served or f"nobody; octomesh pools install {shlex.quote(pool['name'])} | kubectl apply -f -"),
        ("Adapters", f"{summary['adapters']}, wanted {summary['wanted']}, deployed {summary['deployed']}"),
        ("Version", str(pool["rtVersion"])),
        ("Deleting", "as soon as its adapters are undeployed" if pool["deleting"] else None),
    ]


async def create(api: Api, name: str, *, description: str | None, json: bool) -> None:
    """Create a pool."""
    pool = (await api.change(_CREATE, input={"name": name, "description": description}))["pool"]
    next_step = f"octomesh pools install {shlex.quote(pool['name'])} | kubectl apply -f -"
    sentence = f"The pool '{pool['name']}' is there ({pool['rtId']})."
    telling.done(f"{sentence} Next, unless an operator serves it by itself: {next_step}", pool, json=json)


async def edit(
    api: Api, word: str, given: dict[str, Any], *, add: Sequence[str], remove: Sequence[str], json: bool
) -> None:
    """Edit a pool; `given` are fields of the API."""
    pool = await found(api, POOL, word)
    members = {
        "addAdapters": [(await found(api, ADAPTER, each))["rtId"] for each in add],
        "removeAdapters": [(await found(api, ADAPTER, each))["rtId"] for each in remove],
    }
    edit = {"rtId": pool["rtId"], **given, **{name: ids for name, ids in members.items() if ids}}
    edited = (await api.change(_EDIT, input=edit))["pool"]
    telling.done(f"The pool '{edited['name']}' is edited; its version is {edited['rtVersion']}.", edited, json=json)


async def delete(api: Api, pool: dict[str, Any], *, mode: str, wait: float | None, json: bool) -> None:
    """Delete a pool that was found, and wait for it so many seconds, if at all."""
    name = pool["name"]
    try:
        result = await api.change(_DELETE, input={"rtId": pool["rtId"], "mode": mode})
    except Refused as refused:
        if "STILL_DEPLOYED" in refused.codes:
            help = "Here that is --undeploy-first, or --force to leave them where they run."
            raise CommandFailed(f"{refused}\n{help}") from refused
        raise
    if not result["deleted"] and wait is not None:
        await pool_gone(api, pool["rtId"], name, wait)
        result |= {"deleted": True, "deletedRtId": pool["rtId"], "pool": None}
    if result["deleted"]:
        telling.done(f"The pool '{name}' is deleted; its adapters are in no pool now.", result, json=json)
    else:
        telling.done(f"The pool '{name}' goes as soon as its adapters are undeployed.", result, json=json)
    if left := [f"  '{adapter['name']}'" for adapter in result["leftBehind"]]:
        telling.hint("\n".join(["Still in the cluster, perhaps, and no longer known here:", *left]))


async def deploy(api: Api, word: str, *, wanted: bool, wait: float | None, json: bool) -> None:
    """Wish a pool deployed or undeployed, and wait for it so many seconds, if at all."""
    pool = await found(api, POOL, word)
    result = await api.change(_DEPLOY if wanted else _UNDEPLOY, input={"rtId": pool["rtId"]})
    pool, participle = result["pool"], "deployed" if wanted else "undeployed"
    what = f"the pool '{pool['name']}'"
    if not pool["summary"]["adapters"]:
        sentence = f"{telling.begun(what)} has no adapters, so there is nothing to do."
        telling.done(sentence, {**pool, "adapters": []}, json=json)
        return
    if pool["summary"]["deploymentPending"] and pool["communicationState"] != "ONLINE":
        telling.hint(unserved(pool))

    async def as_shown() -> dict[str, Any]:
        return await _whole(api, pool["rtId"])

    if wait is not None:
        await reached(api, Goal(wanted=wanted, pool_rt_id=pool["rtId"]), what, wait, as_shown if json else None)
    elif json:
        telling.as_json(await as_shown())
    else:
        print(_wished(pool, len(result["adapters"]), participle))


def _wished(pool: dict[str, Any], news: int, participle: str) -> str:
    total = pool["summary"]["adapters"]
    if not news:
        return f"The pool '{pool['name']}' was wished to be {participle} already; it is {pool['deploymentState']}."
    follow = f"octomesh pools show {shlex.quote(pool['name'])}"
    return (
        f"The pool '{pool['name']}' is wished to be {participle}, which is news for {news} of its {total} adapters. "
        f"How it goes: {follow}"
    )


async def reached(
    api: Api, goal: Goal, what: str, timeout: float, as_shown: Callable[[], Awaitable[dict[str, Any]]] | None
) -> None:
    """Wait for a goal, and tell what came of it, for programs by `as_shown`.

    Raises `CommandFailed` with all that is not as wished.
    """
    adapters, problems = await settled(api, goal, what, timeout)
    participle = goal.state.lower()
    if as_shown:
        telling.as_json(await as_shown())
    if problems:
        lines = "\n  ".join([f"{telling.begun(what)} is not {participle} as wished:", *problems])
        raise CommandFailed(f"{lines}\n{STAYS}")
    if not as_shown:
        count = f": {len(adapters)} of {len(adapters)} adapters" if goal.pool_rt_id else ""
        print(f"{telling.begun(what)} is {participle}{count}.")


def unserved(pool: dict[str, Any]) -> str:
    """What to do where no operator is there to act on a wish."""
    if pool["communicationState"] == "OFFLINE":
        return f"The operator of the pool '{pool['name']}' is OFFLINE; the wish waits until it is back."
    install = f"octomesh pools install {shlex.quote(pool['name'])} | kubectl apply -f -"
    return f"No operator serves the pool '{pool['name']}' yet; the wish waits for one: {install}"


async def install(api: Api, word: str) -> None:
    """Print the resource that has an operator serve the pool."""
    pool = await found(api, POOL, word, "installManifest")
    print(pool["installManifest"].rstrip("\n"))
