"""Conditions on the properties of a resource, and whether one meets them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from . import dates, schema

Literal = str | int | bool | None
Lookup = Callable[[str], Literal]


@dataclass(frozen=True, slots=True)
class Compare:
    """A property against a literal; dates are seconds since 1970."""

    path: str
    operator: str
    value: Literal


@dataclass(frozen=True, slots=True)
class Match:
    """A string function of a property."""

    function: str
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Both:
    """Two conditions at once."""

    left: "Condition"
    right: "Condition"


@dataclass(frozen=True, slots=True)
class Either:
    """One of two conditions."""

    left: "Condition"
    right: "Condition"


Condition = Compare | Match | Not | Both | Either


def paths(condition: Condition) -> Iterator[str]:
    """The properties that a condition names, from left to right."""
    match condition:
        case Compare() | Match():
            yield condition.path
        case Not():
            yield from paths(condition.part)
        case Both() | Either():
            yield from paths(condition.left)
            yield from paths(condition.right)
        case _:
            assert_never(condition)


def date_range(condition: Condition | None) -> tuple[int | None, int | None, list[Condition]]:
    """Cut a condition into the half-open range of receivedDateTime it asks for, in seconds, and the rest."""
    low: int | None = None
    high: int | None = None
    rest: list[Condition] = []
    for part in _conjuncts(condition):
        if isinstance(part, Compare) and part.path == "receivedDateTime" and isinstance(part.value, int):
            bounds = _bounds(part.operator, part.value)
            if bounds is not None:
                low = bounds[0] if low is None or (bounds[0] is not None and bounds[0] > low) else low
                high = bounds[1] if high is None or (bounds[1] is not None and bounds[1] < high) else high
                continue
        rest.append(part)
    return low, high, rest


def holds(condition: Condition, value: Lookup) -> bool:
    """Whether a resource meets a condition; `value` gives what it has at a property path."""
    match condition:
        case Compare():
            return _compare(value(condition.path), condition.operator, condition.value)
        case Match():
            found = value(condition.path)
            return isinstance(found, str) and _matches(condition.function, found, condition.value)
        case Not():
            return not holds(condition.part, value)
        case Both():
            return holds(condition.left, value) and holds(condition.right, value)
        case Either():
            return holds(condition.left, value) or holds(condition.right, value)
        case _:
            assert_never(condition)


def comparable(resource: Mapping[str, Any], path: str, words: schema.Vocabulary) -> Literal:
    """What a resource has at a property path; dates as seconds, None where there is nothing to compare."""
    value: Any = resource
    for step in path.split("/"):
        value = value.get(step) if isinstance(value, Mapping) else None
    if words.type_of(path) == schema.DATE:
        return dates.seconds(value)
    return value if isinstance(value, str | int | bool) else None


def rank(value: Literal) -> tuple[bool, float, str]:
    """A key to sort by; nothing comes before anything."""
    if isinstance(value, str):
        return (True, 0, value.casefold())
    return (value is not None, value or 0, "")


def _conjuncts(condition: Condition | None) -> Iterator[Condition]:
    if isinstance(condition, Both):
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    elif condition is not None:
        yield condition


def _bounds(operator: str, value: int) -> tuple[int | None, int | None] | None:
    # Fractions of a second are cut on both sides, so one second is the smallest step.
    return {
        "ge": (value, None),
        "gt": (value + 1, None),
        "lt": (None, value),
        "le": (None, value + 1),
        "eq": (value, value + 1),
    }.get(operator)


def _compare(found: Literal, operator: str, value: Literal) -> bool:
    if operator == "eq":
        return found == value
    if operator == "ne":
        return found != value
    if isinstance(found, str) and isinstance(value, str):
        return _ordered(operator, (found > value) - (found < value))
    if isinstance(found, int) and isinstance(value, int):
        return _ordered(operator, found - value)
    # Null is neither before nor after anything.
    return False


def _ordered(operator: str, difference: int) -> bool:
    return {"gt": difference > 0, "ge": difference >= 0, "lt": difference < 0, "le": difference <= 0}[operator]


def _matches(function: str, found: str, value: str) -> bool:
    if function == "contains":
        return value in found
    return found.startswith(value) if function == "startswith" else found.endswith(value)
