"""Flags: what was said on a command line, on its way to the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any

from cyclopts import CycloptsError, Parameter, Token

from octomesh_graphql.domain.text import shown


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Flags:
    """What was said on the command line."""

    @property
    def given(self) -> dict[str, Any]:
        """Settings by name, without those that were not mentioned."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


Number = Annotated[str | None, Parameter(metavar="NUM", allow_leading_hyphen=True)]
"""A number that is a setting, as it was said: the settings tell what is wrong with it, or that it is none."""


def number(low: float, high: float, expected: str) -> Parameter:
    """A number that is no setting; `expected` completes the sentence "it must be …"."""

    def read(type: Callable[[str], float], tokens: Sequence[Token]) -> float:
        said = tokens[0]
        try:
            value = type(said.value)
        except ValueError:
            value = float("nan")
        if low <= value <= high:
            return value
        raise CycloptsError(msg=f"{said.keyword} is '{shown(said.value)}'; it must be {expected}.")

    return Parameter(converter=read, metavar="NUM")
