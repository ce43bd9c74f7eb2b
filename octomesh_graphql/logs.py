"""How logs look, wherever they come from: ours, uvicorn's, any library's.

A line is a constant sentence and its facts. What must not be read by whoever reads logs is taken out here once more,
though nobody should have put it in: credentials, tokens, and configurations of adapters.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor

HIDDEN: Final = "[hidden]"

_SECRET_KEY: Final = re.compile(
    r"(.*_)?(authorization|configuration|cookie|credentials|mongo_uri|password|secret|token)", re.IGNORECASE
)
"""Names of facts that are never written, whatever they hold."""

_SECRET_TEXT: Final = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@]+@"  # credentials in a URL
    r"|(?P<bearer>\bBearer )[\w.~+/=-]+"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*",  # a JSON Web Token
    re.IGNORECASE,
)

_CHATTY: Final = ("asyncio", "gql", "pymongo", "uvicorn", "websockets")
"""They tell too much below warning: PyMongo whole documents, websockets whole frames, uvicorn the query strings."""


def configure(format: str, level: str, stream: TextIO | None = None, *, quiet: Sequence[str] = ()) -> None:
    """Log everything to `stream` (standard error, because standard output is for what a command answers).

    `format` is auto, json or console; `level` is debug, info, warning or error. Where people read, the loggers `quiet`
    and those below them tell only warnings and what is graver.
    """
    stream = stream or sys.stderr
    console = stream.isatty() if format == "auto" else format == "console"
    _configure_structlog()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_COMMON,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                without_secrets,
                *_rendering(console=console, colors=stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in (*_CHATTY, *(quiet if console else ())):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class Trouble:
    """Something that lasts, told once for each reason, and when it is over: an hour of it would fill the log."""

    def __init__(self, log: Any, *, broken: str, well: str, **facts: Any) -> None:
        self.reason = ""
        self._log = log
        self._broken = broken
        self._well = well
        self._facts = facts

    def note(self, reason: str, **facts: Any) -> None:
        """It is there, or still there."""
        if reason != self.reason:
            self._log.warning(self._broken, **self._facts, reason=reason, **facts)
        self.reason = reason

    def end(self) -> None:
        """It is over, if it was there."""
        if self.reason:
            self._log.info(self._well, **self._facts)
        self.reason = ""


def without_secrets(logger: Any, method: str, event: EventDict) -> EventDict:
    """The event with everything secret hidden."""
    return {key: _shown(key, value) for key, value in event.items()}


def _shown(key: str, value: Any) -> Any:
    if _SECRET_KEY.fullmatch(key):
        return HIDDEN
    match value:
        case str():
            return _SECRET_TEXT.sub(_hidden, value)
        case dict():
            return {name: _shown(str(name), of) for name, of in value.items()}
        case list() | tuple() | set():
            return [_shown("", of) for of in value]
        case BaseException():
            return _shown("", str(value))
        case _:
            return value


def _hidden(found: re.Match[str]) -> str:
    if scheme := found["scheme"]:
        return f"{scheme}{HIDDEN}@"
    return f"{found['bearer'] or ''}{HIDDEN}"


def _timestamp(logger: Any, method: str, event: EventDict) -> EventDict:
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


_COMMON: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    _timestamp,
]
"""What every line has."""


def _configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_COMMON,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _leading(logger: Any, method: str, event: EventDict) -> EventDict:
    """What every line has, first."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event", "logger") if key in event}
    return {**first, **event}


def _rendering(*, console: bool, colors: bool) -> list[Processor]:
    if console:
        # The plain traceback: the pretty one shows local variables, which hold configurations and credentials.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain, pad_event_to=30)]
    return [_leading, structlog.processors.JSONRenderer(ensure_ascii=False)]
