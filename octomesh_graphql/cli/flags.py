"""Flags: what was said on a command line, on its way to the settings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Flags:
    """What was said on the command line."""

    @property
    def given(self) -> dict[str, Any]:
        """Settings by name, without those that were not mentioned."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
