"""What an operator is told to bring about, and what it tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from octomesh_graphql.domain.adapter import Adapter, Phase
from octomesh_graphql.domain.states import AdapterType


@dataclass(frozen=True, kw_only=True)
class WishedAdapter:
    """One adapter as its operator needs to know it."""

    rt_id: str
    ck_type_id: str = Adapter.ck_type_id
    name: str
    type: AdapterType
    wanted: bool
    """Whether it is to run; else it is to be gone."""
    generation: int
    """Which wish this is; the report about it says so."""
    image_name: str
    image_version: str
    configuration: Any = None
    port: int | None = None
    health_path: str | None = None


@dataclass(frozen=True, kw_only=True)
class PoolWish:
    """All that is wished about a pool: its adapters that are wanted or not yet gone. What is not named shall not be."""

    tenant_id: str
    pool_rt_id: str
    pool_name: str
    adapters: Sequence[WishedAdapter] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What an operator found about one adapter, having acted on the wish `generation`."""

    rt_id: str
    generation: int
    phase: Phase
    message: str | None = None
    """What it waits for, or the cause of a failure with a hint, in plain language."""


def wished(adapter: Adapter) -> WishedAdapter:
    """The part of an adapter that concerns its operator."""
    return WishedAdapter(
        rt_id=adapter.rt_id,
        name=adapter.name,
        type=adapter.type,
        wanted=adapter.wanted,
        generation=adapter.generation,
        image_name=adapter.image_name,
        image_version=adapter.image_version,
        configuration=adapter.configuration,
        port=adapter.port,
        health_path=adapter.health_path,
    )
