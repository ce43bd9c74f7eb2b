"""Entities as documents, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.states import AdapterType, CommunicationState, ConfigurationState, DeploymentState
from octomesh_graphql.domain.transition import Aspect, Transition
from octomesh_graphql.store.codec import Codec, camel
from octomesh_graphql.store.entities import ADAPTERS, POOLS
from octomesh_graphql.store.mongo import ObjectId, pack, unpack
from tests.builders import NOW, a_pool, a_served_pool, an_adapter

words = st.text(max_size=20)
maybe_words = st.none() | words
ids = st.binary(min_size=12, max_size=12).map(bytes.hex)
times = st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
)
counts = st.integers(0, 2**31)
json_values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner | st.none(), max_size=3) | st.dictionaries(words, inner | st.none(), max_size=3),
    max_leaves=8,
)
adapters = st.builds(
    Adapter,
    rt_id=ids,
    rt_well_known_name=maybe_words,
    rt_version=counts,
    rt_creation_date_time=times,
    rt_changed_date_time=times,
    revision=counts,
    name=words,
    name_key=words,
    description=maybe_words,
    communication_state=st.sampled_from(CommunicationState),
    communication_state_timestamp=st.none() | times,
    communication_reason=maybe_words,
    status_message=maybe_words,
    type=st.sampled_from(AdapterType),
    image_name=words,
    image_version=words,
    configuration=st.none() | json_values,
    pool_rt_id=st.none() | ids,
    wanted=st.booleans(),
    generation=counts,
    observed_generation=counts,
    deployment_state=st.sampled_from(DeploymentState),
    configuration_state=st.sampled_from(ConfigurationState),
    last_error=maybe_words,
    last_error_timestamp=st.none() | times,
)
TRANSITIONS = Codec(Transition)


@given(adapters)
def test_an_adapter_comes_back_as_it_was(adapter: Adapter) -> None:
    assert ADAPTERS.decode(unpack(pack(ADAPTERS.encode(adapter)))) == adapter


@given(adapters, adapters)
def test_an_update_makes_one_document_the_other(before: Adapter, after: Adapter) -> None:
    document = ADAPTERS.encode(before)
    update = ADAPTERS.update(before, after)
    for key in update.get("$unset", {}):
        del document[key]
    assert document | update.get("$set", {}) == ADAPTERS.encode(after)
    assert ADAPTERS.update(after, after) == {}


def test_a_pool_comes_back_with_its_operator() -> None:
    pool = a_served_pool(description="At the sea.")
    assert POOLS.decode(unpack(pack(POOLS.encode(pool)))) == pool
    assert POOLS.decode(unpack(pack(POOLS.encode(a_pool(rt_id=pool.rt_id))))).operator is None


def test_a_document_names_its_fields_as_the_api_does() -> None:
    pool = a_pool(name="North")
    document = ADAPTERS.encode(an_adapter(name="OPC UA", pool=pool, configuration={"$where": 1}))
    assert document["ckTypeId"] == "System.Communication/Adapter"
    assert document["poolRtId"] == ObjectId(pool.rt_id)
    assert document["rtCreationDateTime"] == NOW
    assert document["deploymentState"] == 0
    assert document["configuration"] == '{"$where":1}'
    assert "description" not in document
    assert "rtId" not in document
    assert "tally" not in POOLS.encode(pool)


def test_a_transition_comes_back_with_what_it_does_not_have() -> None:
    transition = Transition(
        entity_rt_id="0" * 24,
        entity_name="North",
        pool_rt_id=None,
        what=Aspect.EXISTENCE,
        from_=None,
        to="EXISTS",
        who="alice",
        reason=None,
        at=NOW,
    )
    document = TRANSITIONS.encode(transition)
    assert "from" not in document
    assert TRANSITIONS.decode(document, id="7").to == "EXISTS"
    assert TRANSITIONS.decode(document) == transition


def test_fields_of_a_newer_version_are_left_alone() -> None:
    document = POOLS.encode(a_pool()) | {"colour": "red"}
    assert POOLS.decode(document).name == "North"
    assert POOLS.update(POOLS.decode(document), POOLS.decode(document)) == {}


@dataclass(frozen=True, kw_only=True)
class Older:
    rt_id: str
    anything: Any
    note: str | None
    place: str | None = "here"
    many: list[str] = field(default_factory=list)


def test_what_an_older_version_did_not_store_gets_its_default() -> None:
    assert Codec(Older).decode({"_id": ObjectId("0" * 24)}) == Older(rt_id="0" * 24, anything=None, note=None)


def test_names_become_camels() -> None:
    names = {"name": "name", "rt_creation_date_time": "rtCreationDateTime", "from_": "from"}
    assert {name: camel(name) for name in names} == names


@given(json_values)
def test_configuration_is_kept_as_text(value: Any) -> None:
    document = ADAPTERS.encode(an_adapter(configuration=value))
    assert json.loads(document["configuration"]) == value


def test_unknown_numbers_are_not_taken_for_states() -> None:
    document = POOLS.encode(a_pool()) | {"communicationState": 99}
    with pytest.raises(ValueError, match="99"):
        POOLS.decode(document)
