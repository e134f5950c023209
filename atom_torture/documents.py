"""Schedules written as JSON, read field by field; what is wrong is said in a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

GREATEST = 2**63


class ScheduleError(ValueError):
    """The schedule is not one; the message is a sentence for the person who wrote it."""


def read_document(text: str, form: type) -> Mapping[str, Any]:
    """Read a schedule; `form` is the dataclass that it becomes."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ScheduleError(f"a schedule is one JSON object; this is no JSON ({error})") from None
    return checked(document, form, "a schedule")


def checked(document: Any, form: type, what: str) -> Mapping[str, Any]:
    """Refuse what is no object, and fields that the dataclass `form` does not have."""
    if not isinstance(document, dict):
        raise ScheduleError(f"{what} is one JSON object")
    unknown = document.keys() - form.__dataclass_fields__.keys()  # type: ignore[attr-defined]
    if unknown:
        raise ScheduleError(f"{what} has no {min(unknown)!r}")
    return document


def list_of(document: Mapping[str, Any], name: str) -> list[Any]:
    """Read a list, empty where there is none."""
    value = document.get(name, [])
    if not isinstance(value, list):
        raise ScheduleError(f"{name!r} is a list")
    return value


def whole(document: Mapping[str, Any], name: str, least: int, most: int = GREATEST) -> int:
    """Read a whole number."""
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ScheduleError(f"{name!r} is a whole number{_within(least, most)}, not {json.dumps(value)[:40]}")
    return value


def number(document: Mapping[str, Any], name: str, least: float, most: float) -> float:
    """Read a number."""
    value = document.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise ScheduleError(f"{name!r} is a number{_within(least, most)}, not {json.dumps(value)[:40]}")
    return value


def one_of(value: Any, name: str, known: Sequence[str]) -> str:
    """Read a word of a list."""
    if value not in known:
        raise ScheduleError(f"{name!r} is one of {', '.join(known)}, not {json.dumps(value)[:40]}")
    return str(value)


def _within(least: float, most: float) -> str:
    return f" from {least}" + (f" to {most}" if most < GREATEST else "")
