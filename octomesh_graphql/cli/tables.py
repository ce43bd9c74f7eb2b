"""Tables: with lines and colours on a terminal, and in plain columns where a program reads them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_COLOURS: Final = {
    **dict.fromkeys(("ONLINE", "DEPLOYED", "CONFIGURED", "OK"), "green"),
    **dict.fromkeys(("PENDING", "WARN"), "yellow"),
    **dict.fromkeys(("ERROR", "CRITICAL"), "red"),
    **dict.fromkeys(("OFFLINE",), "bright_red"),
    **dict.fromkeys(("UNREGISTERED", "UNDEPLOYED", "UNCONFIGURED", "UNKNOWN", "-"), "dim"),
}


def show(rows: Sequence[Mapping[str, str]], *, spare: Sequence[str] = ()) -> None:
    """Print rows, of which there is at least one; the headings are the keys of the first. On a terminal that is too
    narrow those of the columns `spare` go, the first of them first."""
    if sys.stdout.isatty():
        console = Console()
        console.print(_coloured(_fitting(rows, spare, console.width)))
    else:
        print(plain(rows))


def plain(rows: Sequence[Mapping[str, str]]) -> str:
    """Columns as wide as they need to be; nothing is cut, so that it can be searched."""
    lines = [[heading.upper() for heading in rows[0]], *([*row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _fitting(rows: Sequence[Mapping[str, str]], spare: Sequence[str], width: int) -> Sequence[Mapping[str, str]]:
    if not spare or max(map(cell_len, plain(rows).splitlines())) <= width:
        return rows
    fewer = [{heading: cell for heading, cell in row.items() if heading != spare[0]} for row in rows]
    return _fitting(fewer, spare[1:], width)


def _coloured(rows: Sequence[Mapping[str, str]]) -> Table:
    """The first column takes what the others leave of the width."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for index, heading in enumerate(rows[0]):
        table.add_column(heading.upper(), overflow="fold", no_wrap=index > 0)
    for row in rows:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row.values()))
    return table
