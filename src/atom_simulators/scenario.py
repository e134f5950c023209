"""Scripted faults: which call of which operation goes wrong, and how.

A script is a JSON list of `{"on": operation, "kind": kind, "at": [n, …] | "every": k, "times": m, …}`.
`n` counts the calls of `on` from 1 (`any` counts all of them); without `at` and `every` each call is hit;
`times` caps how often the rule strikes. Where several rules are due at once the first one in the list wins.
Every simulator states its own operations, kinds and the details a kind may carry as a `Grammar`.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ANY = "any"
_COMMON_KEYS = frozenset({"on", "kind", "at", "every", "times"})


class ScenarioError(ValueError):
    """The fault script is not one; the message is a sentence for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a simulator's script may say.

    `details` names the extra keys of a kind, each `number` (not negative), `text` or `flag`; a name ending in
    `!` must be there. `only_on` limits a kind to some operations. With `any_status` every HTTP status from 400
    to 599 is a kind too, and may carry `retry_after`.
    """

    operations: frozenset[str]
    details: Mapping[str, Mapping[str, str]]
    only_on: Mapping[str, frozenset[str]] = field(default_factory=dict)
    any_status: bool = False

    def keys_of(self, kind: str) -> Mapping[str, str] | None:
        """The details that a kind may carry, or None where there is no such kind."""
        if kind in self.details:
            return self.details[kind]
        if self.any_status and kind.isdecimal() and 400 <= int(kind) <= 599:
            return {"retry_after": "number"}
        return None


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule of a script."""

    on: str
    kind: str
    at: tuple[int, ...] = ()
    every: int | None = None
    times: int | None = None
    details: Mapping[str, float | str | bool | None] = field(default_factory=dict)

    @property
    def standing(self) -> bool:
        """True where the rule holds for every call, not for chosen ones."""
        return not self.at and self.every in (None, 1)

    def due(self, call: int) -> bool:
        """Whether the rule names this call (counted from 1)."""
        return call in self.at if self.at else call % (self.every or 1) == 0

    def seconds(self, default: float) -> float:
        """The detail `seconds`, or a default."""
        value = self.details.get("seconds")
        return float(value) if isinstance(value, int | float) else default

    def text(self, key: str, default: str = "") -> str:
        """A detail that is text, or a default."""
        value = self.details.get(key)
        return value if isinstance(value, str) else default


class Script:
    """The rules with their counts. One per running simulator."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.faults = tuple(faults)
        self._calls: Counter[str] = Counter()
        self._strikes: Counter[int] = Counter()

    def call(self, operation: str, *, leave: frozenset[str] = frozenset()) -> Fault | None:
        """Count one call and return the fault that strikes it, if any; kinds in `leave` never strike here."""
        # Counted whether a rule strikes or not: "at" names calls, not strikes.
        self._calls[operation] += 1
        self._calls[ANY] += 1
        for number, fault in enumerate(self.faults):
            if fault.kind in leave or fault.on not in (operation, ANY):
                continue
            if fault.due(self._calls[fault.on]) and self._take(number, fault):
                return fault
        return None

    def standing(self, kind: str, operation: str) -> list[Fault]:
        """The rules of a kind that is a property of the data rather than of a call, as of the present call."""
        return [
            fault
            for number, fault in enumerate(self.faults)
            if fault.kind == kind
            and (fault.times is None or self._strikes[number] < fault.times)
            and (fault.standing or (fault.on in (operation, ANY) and fault.due(self._calls[fault.on])))
        ]

    def struck(self, fault: Fault) -> None:
        """Record that a standing rule showed itself."""
        self._take(self.faults.index(fault), fault)

    def _take(self, number: int, fault: Fault) -> bool:
        if fault.times is not None and self._strikes[number] >= fault.times:
            return False
        self._strikes[number] += 1
        return True


def read_script(path: Path, grammar: Grammar) -> Script:
    """Read and check a fault file. Raises ScenarioError with the first thing that is wrong."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ScenarioError(f"{path}: is not JSON ({error})") from error
    try:
        return Script(parse_faults(document, grammar))
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error


def parse_faults(document: object, grammar: Grammar) -> list[Fault]:
    """Check a decoded script. Raises ScenarioError naming the rule (from 1) and what is wrong with it."""
    if isinstance(document, dict) and set(document) == {"faults"}:
        document = document["faults"]
    if not isinstance(document, list):
        raise ScenarioError('a fault script is a list of rules like [{"on": "any", "kind": "500", "at": [1]}]')
    return [_parse_rule(rule, number, grammar) for number, rule in enumerate(document, 1)]


def _parse_rule(rule: object, number: int, grammar: Grammar) -> Fault:
    if not isinstance(rule, dict):
        raise ScenarioError(f"rule {number} is not an object")
    on, kind = rule.get("on"), rule.get("kind")
    kind = str(kind) if isinstance(kind, int) and not isinstance(kind, bool) else kind
    if on != ANY and on not in grammar.operations:
        known = ", ".join([*sorted(grammar.operations), ANY])
        raise ScenarioError(f'rule {number}: "on" is {_shown(on)}, but must be one of {known}')
    keys = grammar.keys_of(kind) if isinstance(kind, str) else None
    if keys is None or not isinstance(kind, str):
        more = ", or an HTTP status from 400 to 599" if grammar.any_status else ""
        known = ", ".join(grammar.details)
        raise ScenarioError(f'rule {number}: "kind" is {_shown(kind)}, but must be one of {known}{more}')
    if on != ANY and on not in grammar.only_on.get(kind, grammar.operations):
        where = ", ".join([*sorted(grammar.only_on[kind]), ANY])
        raise ScenarioError(f'rule {number}: "{kind}" can happen on {where} only, not on "{on}"')
    return Fault(on, kind, *_when(rule, number), details=_details(rule, number, kind, keys))


def _when(rule: Mapping[str, object], number: int) -> tuple[tuple[int, ...], int | None, int | None]:
    at, every, times = rule.get("at"), rule.get("every"), rule.get("times")
    if isinstance(at, int) and not isinstance(at, bool):
        at = [at]
    if at is not None and every is not None:
        raise ScenarioError(f'rule {number}: "at" and "every" exclude each other')
    if at is not None and not (isinstance(at, list) and at and all(_is_count(n) for n in at)):
        raise ScenarioError(f'rule {number}: "at" must be a list of call numbers from 1, like [1, 5]')
    for key, value in (("every", every), ("times", times)):
        if value is not None and not _is_count(value):
            raise ScenarioError(f'rule {number}: "{key}" is {_shown(value)}, but must be a whole number from 1')
    return (
        tuple(at) if isinstance(at, list) else (),
        every if isinstance(every, int) else None,
        times if isinstance(times, int) else None,
    )


def _details(
    rule: Mapping[str, object], number: int, kind: str, keys: Mapping[str, str]
) -> dict[str, float | str | bool | None]:
    wanted = {key.rstrip("!"): shape for key, shape in keys.items()}
    details: dict[str, float | str | bool | None] = {}
    for key, value in rule.items():
        if key in _COMMON_KEYS:
            continue
        if key not in wanted:
            raise ScenarioError(f'rule {number}: "{kind}" does not take "{key}"')
        details[key] = _checked(value, wanted[key], f'rule {number}: "{key}"')
    for key in keys:
        if key.endswith("!") and key[:-1] not in details:
            raise ScenarioError(f'rule {number}: "{kind}" needs "{key[:-1]}"')
    return details


def _checked(value: object, shape: str, name: str) -> float | str | bool | None:
    if shape == "number" and isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return value
    if shape == "text" and isinstance(value, str) and value:
        return value
    if shape == "flag" and isinstance(value, bool):
        return value
    if shape == "number" and value is None:
        return None
    meant = {"number": "a number from 0", "text": "text", "flag": "true or false"}[shape]
    raise ScenarioError(f"{name} is {_shown(value)}, but must be {meant}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _shown(value: object) -> str:
    return "missing" if value is None else json.dumps(value)[:60]
