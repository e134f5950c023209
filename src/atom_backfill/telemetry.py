"""Structured logs: JSON lines on stderr, ids and numbers only.

Nothing that mail says gets in: no subject, address, body, token or key. An exception is logged as its place and kind,
without its text, since libraries like to quote what they choked on; and what a library warns of as its name and place.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Literal, TextIO, cast

import structlog

Format = Literal["json", "text"]


def configure(log_format: Format, level: str = "info") -> None:
    """Send the logs of this process to stderr. Called once, by the process's entry point."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"), event_key="event", timestamp_key="ts"
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            _place_of_error,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Unfailing(sys.stderr))),
        # A process may configure anew, as tests do; a logger that was kept would write to the former stream.
        cache_logger_on_first_use=False,
    )
    # By force: a library that has set the root logger up would print its words beside ours.
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)


class _Libraries(logging.Handler):
    """Passes on that a library has warned, and where, without its words."""

    def emit(self, record: logging.LogRecord) -> None:
        place = f"{record.filename}:{record.lineno}"
        structlog.get_logger().log(
            record.levelno, "library", logger=record.name, place=place, exc_info=record.exc_info or None
        )


class _Unfailing:
    """A stream that cannot fail: a full disk or a closed pipe under the log must not stop the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def _place_of_error(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its kind and the places it passed."""
    told = event.pop("exc_info", None)
    error = sys.exc_info()[1] if told is True else told[1] if isinstance(told, tuple) else told
    if isinstance(error, BaseException):
        event["at"] = [f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
        event["exception"] = type(error).__name__
    return event
