"""What must be true of all that users did, whatever happened meanwhile."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2 as httpx

from tests.faults.users import Done, Users

ALL_POOLS = """query($a: String) { page: pools(first: 500, after: $a) {
  nodes { rtId name description rtVersion } pageInfo { hasNextPage endCursor } } }"""
ALL_ADAPTERS = "{ page: adapters(first: 500) { nodes { rtId rtVersion pool { rtId } } pageInfo { hasNextPage } } }"


class Present:
    """Everything as it is now."""

    def __init__(self, pools: Sequence[Mapping[str, Any]], adapters: Sequence[Mapping[str, Any]]) -> None:
        self.names = [pool["name"] for pool in pools]
        self.pools = {pool["rtId"]: pool for pool in pools}
        self.adapters = {adapter["rtId"]: adapter for adapter in adapters}


async def present(users: Users) -> Present:
    """What the first server tells."""
    url = f"{users.servers[0]()}/tenants/{users.tenant}/graphql"
    async with httpx.AsyncClient(timeout=30) as http:
        pools: list[Mapping[str, Any]] = []
        page: Any = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
        while page["pageInfo"]["hasNextPage"]:
            after = {"a": page["pageInfo"]["endCursor"]}
            page = (await http.post(url, json={"query": ALL_POOLS, "variables": after})).json()["data"]["page"]
            pools += page["nodes"]
        adapters = (await http.post(url, json={"query": ALL_ADAPTERS})).json()["data"]["page"]["nodes"]
    return Present(pools, adapters)


def check(users: Users, now: Present) -> None:
    """Nothing acknowledged is lost, and nothing was done twice."""
    acknowledged = [done for done in users.history if done.outcome == "ok"]
    assert [done for done in users.history if done.outcome == "refused"] == [], "done before, and not recognised"
    entities = {**now.pools, **now.adapters}
    assert [done for done in acknowledged if done.rt_id not in entities] == [], "lost"
    for created in (done for done in acknowledged if done.kind == "create pool"):
        assert now.pools[str(created.rt_id)]["name"] == created.input["name"]
    assert len(now.names) == len(set(now.names)), "created twice"
    for rt_id, done in _by_entity(acknowledged).items():
        _check_order(done)
        last = max(int(each.version or 0) for each in done)
        assert entities[rt_id]["rtVersion"] >= last, f"{rt_id} had version {last}"
        if done[0].kind in ("edit", "move"):
            _check_outcome(users.history, done, entities[rt_id])


def _by_entity(acknowledged: Sequence[Done]) -> Mapping[str, list[Done]]:
    changes = [done for done in acknowledged if done.kind in ("edit", "move")]
    found: dict[str, list[Done]] = defaultdict(list)
    for done in changes:
        found[str(done.rt_id)].append(done)
    return found


def _wish(done: Done) -> Any:
    return done.input["description"] if done.kind == "edit" else done.input["poolRtId"]


def _check_order(changes: Sequence[Done]) -> None:
    """Two changes never got one version, and what began after another was acknowledged has the higher one.

    A move to where the adapter is already changes nothing and takes no version.
    """
    for version, same in itertools.groupby(sorted(changes, key=_version), key=_version):
        wishes = [_wish(done) for done in same]
        assert len(set(wishes)) == 1, f"several changes have version {version}: {wishes}"
        assert len(wishes) == 1 or changes[0].kind == "move", f"one change was acknowledged twice: {wishes}"
    for earlier, later in itertools.permutations(changes, 2):
        if earlier.ended < later.asked:
            assert _version(earlier) <= _version(later), (earlier, later)


def _check_outcome(history: Sequence[Done], changes: Sequence[Done], entity: Mapping[str, Any]) -> None:
    """It is as the last acknowledged change left it, or as one after that of which nobody knows what came of it."""
    last = max(changes, key=_version)
    is_now = entity["description"] if last.kind == "edit" else (entity["pool"] or {}).get("rtId")
    if entity["rtVersion"] == last.version:
        assert is_now == _wish(last), f"{last} was acknowledged, but it is {is_now}"
    else:
        open_ = [done for done in history if done.kind == last.kind and done.outcome in ("unknown", "unavailable")]
        assert is_now in [_wish(done) for done in open_ if done.input["rtId"] == last.rt_id]


def _version(done: Done) -> int:
    return int(done.version or 0)
