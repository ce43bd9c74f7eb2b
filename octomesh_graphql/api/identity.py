"""Global ids, as Relay has them: the type and the rtId, opaque to clients."""

from __future__ import annotations

from strawberry.relay.utils import from_base64, to_base64

from octomesh_graphql.domain.entity import RT_ID, CommunicationEntity


def global_id(entity: CommunicationEntity) -> str:
    """The id of an entity among everything in its tenant."""
    return to_base64(type(entity).__name__, entity.rt_id)


def parsed_global_id(text: str) -> tuple[str, str] | None:
    """The type name and rtId of a global id; None for what was never one, to the letter: base64 can be written in many
    ways, and readers of it skip what does not belong."""
    try:
        kind, rt_id = from_base64(text)
    except ValueError:
        return None
    return (kind, rt_id) if RT_ID.fullmatch(rt_id) and to_base64(kind, rt_id) == text else None
