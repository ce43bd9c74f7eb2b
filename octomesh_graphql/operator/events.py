"""Events, as `kubectl describe` shows them. The same thing about the same object is one Event that counts."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

from octomesh_graphql.operator.cluster import Kind, Object

_NAME_CHARACTERS: Final = 253
_MESSAGE_CHARACTERS: Final = 1_024
"""Kubernetes refuses longer ones."""


def event_about(about: Object, type: str, reason: str, message: str, *, source: str, now: datetime) -> Object:
    """The Event, told for the first time. Its name comes from what it says, so that a second one meets the first."""
    metadata = about["metadata"]
    said = "\n".join((metadata["uid"], source, type, reason, message))
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    named = metadata["name"][: _NAME_CHARACTERS - len(digest) - 1]
    return {
        "apiVersion": Kind.EVENT.api_version,
        "kind": Kind.EVENT.kind,
        "metadata": {"name": f"{named}.{digest}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "type": type,
        "reason": reason,
        "message": message[:_MESSAGE_CHARACTERS],
        "source": {"component": source},
        "reportingComponent": source,
        "reportingInstance": "",
        "firstTimestamp": time_text(now),
        "lastTimestamp": time_text(now),
        "count": 1,
    }


def told_again(event: Object, now: datetime) -> Object:
    """What changes in an Event when the same is told once more."""
    return {"count": event.get("count", 1) + 1, "lastTimestamp": time_text(now)}


def time_text(time: datetime) -> str:
    """As Kubernetes writes times."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
