"""What a client asked for below a field."""

from __future__ import annotations

from collections.abc import Iterable

from strawberry import Info
from strawberry.types.nodes import SelectedField, Selection


def selects(info: Info, name: str) -> bool:
    """Whether the field `name` is asked for directly below the present one, in fragments too."""
    return any(_directly(field.selections, name) for field in info.selected_fields)


def _directly(selections: Iterable[Selection], name: str) -> bool:
    return any(
        selection.name == name if isinstance(selection, SelectedField) else _directly(selection.selections, name)
        for selection in selections
    )
