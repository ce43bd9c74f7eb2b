"""Tables: plain where programs read, fitting where people do."""

from __future__ import annotations

import os
import pty
import sys

import pytest

from octomesh_graphql.cli import tables

ROWS = [
    {"name": "Werk Nürnberg", "state": "ERROR", "rtId": "00000000000000000000a001"},
    {"name": "工厂", "state": "-", "rtId": "00000000000000000000a002"},
]


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> str:
    """What people see."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        tables.show(ROWS, spare=("rtId", "other"))
        terminal.flush()
        shown = os.read(ours, 65_536).decode()
    os.close(ours)
    return shown


def test_on_a_pipe_columns_are_plain_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(ROWS, spare=("rtId",))
    assert capsys.readouterr().out == (
        "NAME            STATE   RTID\n"
        "Werk Nürnberg   ERROR   00000000000000000000a001\n"
        "工厂              -       00000000000000000000a002\n"
    )


def test_on_a_terminal_states_are_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = on_a_terminal(monkeypatch, 80)
    assert "\x1b[31mERROR" in shown
    assert "00000000000000000000a001" in shown


def test_on_a_narrow_terminal_what_matters_least_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = on_a_terminal(monkeypatch, 40)
    assert "RTID" not in shown
    assert "Werk Nürnberg" in shown
