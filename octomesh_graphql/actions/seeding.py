"""Seeding: the tenant of the demo, invented but believable.

It is filled once. A filling that was interrupted goes on where it stopped; after that the tenant belongs to the user,
who may empty it, and it stays empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from octomesh_graphql.actions.arranging import create_adapter, create_pool
from octomesh_graphql.actions.deploying import deploy_adapter
from octomesh_graphql.domain.caller import SERVER
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.problem import NotFound, Refused
from octomesh_graphql.domain.states import AdapterType
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.notes import is_noted, take_note
from octomesh_graphql.store.tenants import Registry

DEMO: Final = "demo"
"""The id of the tenant."""

PLANNED: Final = "demo-planned"
"""The well-known name of the one pool that is not installed in the demo's cluster."""

_NOTE: Final = "demo filled"


async def seed_demo(registry: Registry, now: datetime) -> bool:
    """Make sure that the demo tenant exists and was filled once; returns whether this filled it."""
    store = await _demo_tenant(registry, now)
    if await is_noted(registry, store.tenant, _NOTE):
        return False
    for plan in _POOLS:
        await _fill(store, now, plan, await _pool(store, now, plan))
    for adapter in _UNASSIGNED:
        await _adapter(store, now, adapter, None)
    await take_note(registry, store.tenant, _NOTE, now)
    return True


async def _demo_tenant(registry: Registry, now: datetime) -> TenantStore:
    try:
        return await registry.open(DEMO)
    except Refused as refused:
        if not all(isinstance(problem, NotFound) for problem in refused.problems):
            raise
    await registry.create(DEMO, "Demo", now)
    return await registry.open(DEMO)


async def _fill(store: TenantStore, now: datetime, plan: _PoolPlan, pool: Pool) -> None:
    for adapter in plan.adapters:
        rt_id = await _adapter(store, now, adapter, pool)
        if adapter.deployed:
            await deploy_adapter(store, SERVER, now, rt_id=rt_id)


async def _pool(store: TenantStore, now: datetime, plan: _PoolPlan) -> Pool:
    there = await store.pool_named(plan.name)
    return there or await create_pool(
        store, SERVER, now, name=plan.name, description=plan.description, rt_well_known_name=plan.well_known_name
    )


async def _adapter(store: TenantStore, now: datetime, plan: _AdapterPlan, pool: Pool | None) -> str:
    there = await store.adapter_named(plan.name)
    if there:
        return there.rt_id
    created = await create_adapter(store, SERVER, now, given=plan.given, pool_rt_id=pool.rt_id if pool else None)
    return created.rt_id


# What is in it


@dataclass(frozen=True, kw_only=True)
class _AdapterPlan:
    name: str
    description: str
    type: AdapterType = AdapterType.EDGE
    image: str
    version: str
    configuration: Mapping[str, Any]
    deployed: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """As a user would give it."""
        return {
            "name": self.name,
            "description": self.description,
            "type": self.type,
            "image_name": f"registry.example.com/{self.image}",
            "image_version": self.version,
            "configuration": dict(self.configuration),
        }


@dataclass(frozen=True, kw_only=True)
class _PoolPlan:
    name: str
    description: str
    adapters: tuple[_AdapterPlan, ...] = ()
    well_known_name: str | None = None


_POOLS: Final = (
    _PoolPlan(
        name="Werk Schärding – Halle 1",
        description="Injection moulding: twelve machines, the energy meters and the climate of the hall.",
        adapters=(
            _AdapterPlan(
                name="OPC UA Spritzguss 1–12",
                description="Cycle times, pressures and temperatures of the injection moulding machines.",
                image="octomesh/opcua-adapter",
                version="3.13.2",
                configuration={
                    "endpoint": "opc.tcp://10.20.1.10:4840",
                    "securityPolicy": "Basic256Sha256",
                    "publishingIntervalMs": 500,
                    "nodes": ["ns=2;s=Machine.CycleTime", "ns=2;s=Machine.Mould.Temperature"],
                },
                deployed=True,
            ),
            _AdapterPlan(
                name="Modbus Energiezähler Halle 1",
                description="Active power and energy of the main distribution, every five seconds.",
                image="octomesh/modbus-adapter",
                version="2.8.0",
                configuration={
                    "host": "10.20.1.40",
                    "unitIds": [1, 2, 3],
                    "pollIntervalSeconds": 5,
                    "registers": [{"address": 19026, "type": "float32", "name": "activePower", "unit": "kW"}],
                },
                deployed=True,
            ),
            _AdapterPlan(
                name="MQTT Hallenklima",
                description="Temperature, humidity and fine dust from the wireless sensors under the roof.",
                image="octomesh/mqtt-adapter",
                version="4.1.1",
                configuration={"broker": "mqtt://10.20.1.5:1883", "topics": ["halle1/klima/+/state"], "qos": 1},
            ),
        ),
    ),
    _PoolPlan(
        name="Werk Schärding – Halle 2",
        description="Presses and the paint shop. The network of this hall goes down for maintenance on Sundays.",
        adapters=(
            _AdapterPlan(
                name="S7 Pressenstraße",
                description="Data blocks of the press line's controllers.",
                image="octomesh/s7-adapter",
                version="1.9.4",
                configuration={
                    "host": "10.20.2.11",
                    "rack": 0,
                    "slot": 1,
                    "tags": [{"db": 100, "offset": 0, "type": "REAL", "name": "pressForce"}],
                },
                deployed=True,
            ),
            _AdapterPlan(
                name="OPC UA Lackieranlage",
                description="Recipes and oven temperatures of the paint shop.",
                image="octomesh/opcua-adapter",
                version="3.13.2",
                configuration={"endpoint": "opc.tcp://10.20.2.30:4840", "publishingIntervalMs": 1000},
                deployed=True,
            ),
            _AdapterPlan(
                name="Kamera Oberflächenprüfung",
                description="Verdicts of the surface inspection. Its image is broken: a deployment that fails.",
                image="broken/vision-adapter",
                version="0.4.0-rc.2",
                configuration={"camera": "rtsp://10.20.2.60/stream1", "model": "paint-defects-v3", "threshold": 0.82},
                deployed=True,
            ),
        ),
    ),
    _PoolPlan(
        name="Werk Nürnberg",
        description="Assembly of control cabinets, with the building's own automation.",
        adapters=(
            _AdapterPlan(
                name="OPC UA Montagelinie",
                description="Stations, cycle counters and interlocks of the assembly line.",
                image="octomesh/opcua-adapter",
                version="3.12.0",
                configuration={"endpoint": "opc.tcp://172.16.4.20:4840", "publishingIntervalMs": 250},
            ),
            _AdapterPlan(
                name="BACnet Gebäudeleittechnik",
                description="Heating, ventilation and the compressed air of the building.",
                image="octomesh/bacnet-adapter",
                version="1.2.7",
                configuration={"interface": "eth1", "deviceIds": [2001, 2002, 2017], "pollIntervalSeconds": 60},
            ),
        ),
    ),
    _PoolPlan(
        name="Zentrale Linz",
        description="The central cluster: what connects the plants with the business systems.",
        adapters=(
            _AdapterPlan(
                name="SAP S/4HANA Fertigungsaufträge",
                description="Production orders from SAP to the plants, confirmations back.",
                type=AdapterType.MESH,
                image="octomesh/sap-adapter",
                version="5.0.3",
                configuration={
                    "baseUrl": "https://s4.example.com/sap/opu/odata4",
                    "client": "100",
                    "plants": ["AT01", "DE02"],
                    "pollIntervalSeconds": 30,
                },
                deployed=True,
            ),
            _AdapterPlan(
                name="Kafka Ereignisstrom",
                description="Everything the plants report, for whoever analyses it.",
                type=AdapterType.MESH,
                image="octomesh/kafka-adapter",
                version="2.3.0",
                configuration={
                    "bootstrapServers": ["kafka-1.example.com:9092", "kafka-2.example.com:9092"],
                    "topic": "octomesh.measurements",
                    "compression": "zstd",
                },
                deployed=True,
            ),
            _AdapterPlan(
                name="PostgreSQL Qualitätsdaten",
                description="Inspection results for the quality department's reports.",
                type=AdapterType.MESH,
                image="octomesh/sql-adapter",
                version="1.15.1",
                configuration={"host": "quality-db.example.com", "database": "quality", "batchRows": 500},
            ),
            _AdapterPlan(
                name="E-Mail Störmeldungen",
                description="Mails the shift lead when a line stands still for more than five minutes.",
                type=AdapterType.MESH,
                image="octomesh/mail-adapter",
                version="1.0.9",
                configuration={"smtpHost": "mail.example.com", "to": ["schicht@example.com"], "afterMinutes": 5},
            ),
        ),
    ),
    _PoolPlan(
        name="Umspannwerk Köln-Süd",
        description="Planned for the autumn; nothing is installed there yet.",
        well_known_name=PLANNED,
    ),
)

_UNASSIGNED: Final = (
    _AdapterPlan(
        name="Modbus Kläranlage Würzburg",
        description="Prepared; waits for a pool to be put into.",
        image="octomesh/modbus-adapter",
        version="2.8.0",
        configuration={"host": "192.168.7.12", "unitIds": [1], "pollIntervalSeconds": 15},
    ),
    _AdapterPlan(
        name="IEC 60870-5-104 Fernwirktechnik",
        description="For the transformer station in Köln, once it has a cluster.",
        image="octomesh/iec104-adapter",
        version="0.9.0",
        configuration={"host": "10.80.0.2", "commonAddress": 47, "originatorAddress": 1},
    ),
)
