"""Logs: one look for everybody's lines, and nothing in them that is nobody's business."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from octomesh_graphql import logs

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJ0ZW5hbnRfaWQiOiJhY21lIn0.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Everything that is configured here, undone."""
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("asyncio", "pymongo", "talker", "uvicorn", "websockets"))]
    before = [(logger, logger.level) for logger in loggers], root.handlers
    yield
    root.handlers = before[1]
    for logger, level in before[0]:
        logger.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(stream: io.StringIO) -> Any:
    logs.configure("json", "info", stream)
    return structlog.get_logger("octomesh_graphql.here")


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_a_json_object_with_a_sentence_and_its_facts(log: Any, stream: io.StringIO) -> None:
    log.info("pool applied", pool="Werk Schärding", objects=7)
    [line] = lines(stream)
    assert line.pop("timestamp")
    assert line == {
        "level": "info",
        "event": "pool applied",
        "logger": "octomesh_graphql.here",
        "pool": "Werk Schärding",
        "objects": 7,
    }
    assert "Schärding" in stream.getvalue()


def test_times_are_utc_with_milliseconds(log: Any, stream: io.StringIO) -> None:
    log.info("now")
    [line] = lines(stream)
    assert len(line["timestamp"]) == len("2026-03-01T12:00:00.123Z")
    assert line["timestamp"].endswith("Z")


def test_what_is_bound_to_the_context_is_in_every_line(log: Any, stream: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(request_id="r1")
    log.info("ours")
    logging.getLogger("somebody").warning("%s's", "theirs")
    assert [(line["event"], line["request_id"]) for line in lines(stream)] == [("ours", "r1"), ("theirs's", "r1")]


def test_a_traceback_is_one_line_without_credentials(log: Any, stream: io.StringIO) -> None:
    try:
        raise ValueError("mongodb://octo:s3cret@db1/ is odd")
    except ValueError:
        log.exception("failed")
        logging.getLogger("theirs").exception("failed too")
    ours, theirs = lines(stream)
    assert "Traceback" in ours["exception"]
    assert "mongodb://[hidden]@db1/ is odd" in ours["exception"]
    assert "Traceback" in theirs["exception"]
    assert "s3cret" not in stream.getvalue()


@pytest.mark.parametrize("fact", ["token", "access_token", "Authorization", "password", "configuration", "mongo_uri"])
def test_facts_with_a_secret_name_are_hidden(log: Any, stream: io.StringIO, fact: str) -> None:
    log.info("seen", **{fact: "s3cret"}, nested={"deeper": [{fact: "s3cret"}]})
    [line] = lines(stream)
    assert line[fact] == "[hidden]"
    assert line["nested"] == {"deeper": [{fact: "[hidden]"}]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mongodb://octo:s3cret@db1/?w=1", "mongodb://[hidden]@db1/?w=1"),
        ("it said Bearer s3cret.s3cret, twice", "it said Bearer [hidden], twice"),
        (f"the token {JWT} is old", "the token [hidden] is old"),
        ("https://example.com/users/a@b", "https://example.com/users/a@b"),
    ],
)
def test_secrets_inside_a_text_are_hidden(log: Any, stream: io.StringIO, text: str, shown: str) -> None:
    log.info("seen", text=text, error=ValueError(text))
    logging.getLogger("theirs").warning(text)
    ours, theirs = lines(stream)
    assert (ours["text"], ours["error"], theirs["event"]) == (shown, shown, shown)


def test_a_state_of_a_configuration_is_no_secret(log: Any, stream: io.StringIO) -> None:
    log.info("seen", configuration_state="PENDING")
    assert lines(stream)[0]["configuration_state"] == "PENDING"


def test_less_grave_than_the_level_is_not_written(stream: io.StringIO) -> None:
    logs.configure("json", "warning", stream)
    structlog.get_logger("ours").info("no")
    logging.getLogger("theirs").info("no")
    structlog.get_logger("ours").warning("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


@pytest.mark.parametrize("name", ["pymongo.command", "websockets.server", "uvicorn.error"])
def test_libraries_that_tell_documents_and_frames_are_quiet_even_at_debug(stream: io.StringIO, name: str) -> None:
    logs.configure("json", "debug", stream)
    logging.getLogger(name).info("secret frame")
    logging.getLogger(name).warning("broken")
    assert [line["event"] for line in lines(stream)] == ["broken"]


@pytest.mark.parametrize(("format", "told"), [("console", ["yes"]), ("json", ["no", "yes"])])
def test_loggers_can_be_quiet_where_people_read(stream: io.StringIO, format: str, told: list[str]) -> None:
    logs.configure(format, "info", stream, quiet=("talker",))
    logging.getLogger("talker.inner").info("no")
    logging.getLogger("talker.inner").warning("yes")
    words = stream.getvalue().replace('"', " ").split()
    assert [word for word in words if word in ("no", "yes")] == told


def test_on_a_terminal_a_line_is_for_people(stream: io.StringIO) -> None:
    logs.configure("console", "info", stream)
    structlog.get_logger("ours").info("pool applied", pool="Werk Schärding", token="s3cret")
    [line] = stream.getvalue().splitlines()
    assert "pool applied" in line
    assert "Werk Schärding" in line
    assert "token=[hidden]" in line


def test_without_a_terminal_it_is_json_by_itself(stream: io.StringIO) -> None:
    logs.configure("auto", "info", stream)
    structlog.get_logger("ours").info("pool applied")
    assert lines(stream)[0]["event"] == "pool applied"
