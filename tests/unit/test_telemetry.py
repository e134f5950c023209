"""The log: JSON lines with ids, of the product and of its libraries, without anybody's words."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from atom_backfill.telemetry import Format, configure


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


Capture = pytest.CaptureFixture[str]


def lines(told: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.splitlines()]


def fail(error: Exception) -> None:
    raise error


def test_a_line_is_json_with_time_level_event_and_what_is_bound(capsys: Capture) -> None:
    configure("json")
    with structlog.contextvars.bound_contextvars(job="1f0c"):
        structlog.get_logger().warning("lease lost", error_code="lease_lost")
    [line] = lines(capsys.readouterr().err)
    assert line["ts"].endswith("Z")
    assert {name: line[name] for name in ("level", "event", "job", "error_code")} == {
        "level": "warning",
        "event": "lease lost",
        "job": "1f0c",
        "error_code": "lease_lost",
    }


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_an_exception_is_its_kind_and_places_and_never_its_words(capsys: Capture, log_format: Format) -> None:
    configure(log_format)
    try:
        fail(ValueError("Dear Ines, the password is hunter2"))
    except ValueError as error:
        structlog.get_logger().error("unexpected error", exc_info=error)
        structlog.get_logger().exception("unexpected error")
    told = capsys.readouterr().err
    assert "hunter2" not in told
    assert told.count("ValueError") == 2
    assert told.count("test_telemetry.py:") == 4


def test_what_a_library_warns_of_is_a_json_line_with_its_name_and_place_alone(capsys: Capture) -> None:
    configure("json")
    logging.getLogger("psycopg.pool").warning("error connecting: %s\n\tIs it running?", "host db.test user ines")
    try:
        fail(OSError("mail text"))
    except OSError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    told = capsys.readouterr().err
    first, second = lines(told)
    assert (first["level"], first["event"], first["logger"]) == ("warning", "library", "psycopg.pool")
    assert first["place"].startswith("test_telemetry.py:")
    assert (second["level"], second["exception"]) == ("error", "OSError")
    assert "ines" not in told
    assert "mail text" not in told


def test_where_only_the_worst_is_shown_libraries_are_silent_too(capsys: Capture) -> None:
    configure("text", "critical")
    logging.getLogger("psycopg.pool").error("error connecting")
    structlog.get_logger().error("claim failed")
    assert capsys.readouterr().err == ""


def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Full())
    configure("json")
    structlog.get_logger().info("dequeue")
    logging.getLogger("asyncio").warning("slow")
