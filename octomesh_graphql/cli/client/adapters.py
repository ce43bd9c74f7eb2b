"""`octomesh adapters`: what each of its words does."""

from __future__ import annotations

import shlex
from typing import Any, Final

from octomesh_graphql.cli.client import telling
from octomesh_graphql.cli.client.connection import Api
from octomesh_graphql.cli.client.finding import ADAPTER, POOL, found
from octomesh_graphql.cli.client.paging import all_of
from octomesh_graphql.cli.client.pools import STATES, reached, unserved
from octomesh_graphql.cli.client.waiting import Goal

ROW: Final = f"""rtId name type imageName imageVersion rtVersion wanted {STATES}
  pool {{ rtId name communicationState }}"""
FIELDS: Final = f"{ROW} description configuration port healthPath lastError lastErrorTimestamp"

_LIST: Final = f"""query ($after: String, $filter: AdapterFilter, $search: String) {{
  page: adapters(first: 200, after: $after, filter: $filter, search: $search) {{
    nodes {{ {ROW} }} pageInfo {{ hasNextPage endCursor }} }} }}"""


def _mutation(name: str, input: str) -> str:
    return f"""mutation ($input: {input}!) {{
  done: {name}(input: $input) {{ adapter {{ {FIELDS} }} errors {{ code message path }} }} }}"""


_CREATE: Final = _mutation("createAdapter", "CreateAdapterInput")
_EDIT: Final = _mutation("editAdapter", "EditAdapterInput")
_MOVE: Final = _mutation("moveAdapter", "MoveAdapterInput")
_DEPLOY: Final = _mutation("deployAdapter", "DeployAdapterInput")
_UNDEPLOY: Final = _mutation("undeployAdapter", "UndeployAdapterInput")
_DELETE: Final = """mutation ($input: DeleteAdapterInput!) {
  deleteAdapter(input: $input) { deletedRtId errors { code message path } } }"""


async def show_list(api: Api, *, pool: str | None, filter: dict[str, Any], search: str | None, json: bool) -> None:
    """Print the adapters."""
    if pool is not None:
        filter = {**filter, "poolRtId": (await found(api, POOL, pool))["rtId"]}
    adapters = [adapter async for adapter in all_of(api, _LIST, filter=filter, search=search)]
    if json:
        telling.as_json(adapters)
        return
    nothing = "No adapter is like that." if filter or search else "There is no adapter yet."
    telling.listed(list(telling.adapter_rows(adapters)), nothing)


async def show(api: Api, word: str, *, json: bool) -> None:
    """Print all about one adapter, but for its configuration, which is for programs."""
    adapter = await found(api, ADAPTER, word, FIELDS)
    if json:
        telling.as_json(adapter)
        return
    health, version = adapter["health"], adapter["imageVersion"]
    more = [reason for reason in health["reasons"] if reason != health["headline"]]
    telling.facts(
        [
            ("Name", adapter["name"]),
            ("rtId", adapter["rtId"]),
            ("Description", adapter["description"]),
            ("Pool", (adapter["pool"] or {}).get("name") or "none"),
            ("Type", adapter["type"]),
            ("Image", f"{adapter['imageName']}{telling.separator(version)}{version}"),
            ("Port", str(adapter["port"]) if adapter["port"] else None),
            ("Health path", adapter["healthPath"]),
            ("Wanted", "yes" if adapter["wanted"] else "no"),
            ("Health", "\n".join([f"{health['level']}, {health['headline']}", *more])),
            ("Communication", adapter["communicationState"]),
            ("Deployment", adapter["deploymentState"]),
            ("Configuration", adapter["configurationState"]),
            ("Message", adapter["statusMessage"]),
            ("Last error", adapter["lastError"]),
            ("Version", str(adapter["rtVersion"])),
        ]
    )


async def create(api: Api, given: dict[str, Any], *, pool: str | None, json: bool) -> None:
    """Create an adapter; `given` are fields of the API."""
    if pool is not None:
        given = {**given, "poolRtId": (await found(api, POOL, pool))["rtId"]}
    adapter = (await api.change(_CREATE, input=given))["adapter"]
    follow = f" Next: octomesh adapters deploy {shlex.quote(adapter['name'])}" if adapter["pool"] else ""
    where = f"in the pool '{adapter['pool']['name']}'" if adapter["pool"] else "in no pool"
    sentence = f"The adapter '{adapter['name']}' is there ({adapter['rtId']}), {where}.{follow}"
    telling.done(sentence, adapter, json=json)


async def edit(api: Api, word: str, given: dict[str, Any], *, json: bool) -> None:
    """Edit an adapter; `given` are fields of the API."""
    adapter = await found(api, ADAPTER, word)
    edited = (await api.change(_EDIT, input={"rtId": adapter["rtId"], **given}))["adapter"]
    rolled = " What runs is exchanged now." if edited["deploymentState"] == "PENDING" and edited["wanted"] else ""
    telling.done(
        f"The adapter '{edited['name']}' is edited; its version is {edited['rtVersion']}.{rolled}", edited, json=json
    )


async def move(api: Api, word: str, to: str | None, *, json: bool) -> None:
    """Put an adapter into another pool, or into none."""
    adapter = await found(api, ADAPTER, word)
    pool_rt_id = (await found(api, POOL, to))["rtId"] if to is not None else None
    moved = (await api.change(_MOVE, input={"rtId": adapter["rtId"], "poolRtId": pool_rt_id}))["adapter"]
    where = f"in the pool '{moved['pool']['name']}'" if moved["pool"] else "in no pool"
    telling.done(f"The adapter '{moved['name']}' is {where} now.", moved, json=json)


async def delete(api: Api, adapter: dict[str, Any], *, json: bool) -> None:
    """Delete an adapter that was found."""
    result = await api.change(_DELETE, input={"rtId": adapter["rtId"]})
    telling.done(f"The adapter '{adapter['name']}' is deleted.", result, json=json)


async def deploy(api: Api, word: str, *, wanted: bool, wait: float | None, json: bool) -> None:
    """Wish an adapter deployed or undeployed, and wait for it so many seconds, if at all."""
    adapter = await found(api, ADAPTER, word)
    adapter = (await api.change(_DEPLOY if wanted else _UNDEPLOY, input={"rtId": adapter["rtId"]}))["adapter"]
    pool = adapter["pool"]
    if pool and adapter["deploymentState"] == "PENDING" and pool["communicationState"] != "ONLINE":
        telling.hint(unserved(pool))
    what, participle = f"the adapter '{adapter['name']}'", "deployed" if wanted else "undeployed"
    if wait is None:
        follow = f"octomesh adapters show {shlex.quote(adapter['name'])}"
        wished = f"{telling.begun(what)} is wished to be {participle}, and is {adapter['deploymentState']}."
        telling.done(f"{wished} How it goes: {follow}", adapter, json=json)
        return

    async def as_shown() -> dict[str, Any]:
        return await found(api, ADAPTER, adapter["rtId"], FIELDS)

    await reached(api, Goal(wanted=wanted, adapter_rt_id=adapter["rtId"]), what, wait, as_shown if json else None)
