"""The `$filter` language of messages: text to conditions, and conditions to a choice of messages.

Supported are comparisons of a property with a literal, `and`, `or`, `not`, brackets, and `contains`,
`startswith`, `endswith`. Errors are those of the service: 400 BadRequest, "Invalid filter clause: …".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, assert_never

from . import dates, schema
from .errors import GraphError, bad_request
from .mailbox import Entry

Literal = str | int | bool | None
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<open>\()|(?P<close>\))|(?P<comma>,)"
    r"|(?P<date>\d{4}-[^\s(),']*)|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w/.]*))"
)
_KINDS = {
    "eq": "Equal",
    "ne": "NotEqual",
    "gt": "GreaterThan",
    "ge": "GreaterThanOrEqual",
    "lt": "LessThan",
    "le": "LessThanOrEqual",
}
_FUNCTIONS = frozenset({"contains", "startswith", "endswith"})
_INDEXED: dict[str, Callable[[Entry], Literal]] = {
    "receivedDateTime": lambda entry: entry.received,
    "isRead": lambda entry: entry.is_read,
    "isDraft": lambda entry: entry.is_draft,
    "hasAttachments": lambda entry: entry.has_attachments,
    "internetMessageId": lambda entry: entry.internet_message_id,
    "conversationId": lambda entry: entry.conversation_id,
    "parentFolderId": lambda entry: entry.folder,
}


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


def parse_filter(text: str, property_code: str = "BadRequest", *, date_only: bool = False) -> Condition:
    """Read a $filter. Raises GraphError (400)."""
    return _Parser(text, property_code, date_only).whole()


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


def holds(condition: Condition, entry: Entry) -> bool:
    """Whether a message meets a condition."""
    match condition:
        case Compare():
            return _compare(value_of(entry, condition.path), condition.operator, condition.value)
        case Match():
            found = value_of(entry, condition.path)
            return isinstance(found, str) and _matches(condition.function, found, condition.value)
        case Not():
            return not holds(condition.part, entry)
        case Both():
            return holds(condition.left, entry) and holds(condition.right, entry)
        case Either():
            return holds(condition.left, entry) or holds(condition.right, entry)
        case _:
            assert_never(condition)


def value_of(entry: Entry, path: str) -> Literal:
    """What a message has at a property path; dates as seconds, None where there is nothing to compare."""
    indexed = _INDEXED.get(path)
    if indexed is not None:
        return indexed(entry)
    value: Any = entry.parsed()
    for step in path.split("/"):
        value = value.get(step) if isinstance(value, dict) else None
    if type_of(path) == schema.DATE:
        return dates.seconds(value)
    return value if isinstance(value, str | int | bool) else None


def type_of(path: str) -> str | None:
    """The type of a property path of a message, None where there is no such property."""
    return schema.MESSAGE.get(path) or schema.PATHS.get(path)


def unknown_property(path: str, code: str, type_name: str = schema.MESSAGE_TYPE) -> GraphError:
    """The refusal of a property that does not exist."""
    return GraphError(400, code, f"Could not find a property named '{path}' on type '{type_name}'.")


class _Parser:
    """Recursive descent over the tokens of one $filter."""

    def __init__(self, text: str, property_code: str, date_only: bool) -> None:
        self._text = text
        self._property_code = property_code
        self._date_only = date_only
        self._tokens = list(self._split())
        self._next = 0

    def whole(self) -> Condition:
        condition = self._either()
        if self._next < len(self._tokens):
            raise self._syntax_error()
        return condition

    def _split(self) -> Iterator[tuple[str, str, int]]:
        position = 0
        while self._text[position:].strip():
            match = _TOKEN.match(self._text, position)
            if match is None:
                place = len(self._text) - len(self._text[position:].lstrip())
                raise self._error(
                    f"There is an unterminated string literal at position {len(self._text)} in '{self._text}'."
                    if self._text[place] == "'"
                    else f"Syntax error: character '{self._text[place]}' is not valid at position {place} "
                    f"in '{self._text}'."
                )
            kind = str(match.lastgroup)
            yield kind, match[kind], match.start(kind)
            position = match.end()

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next][:2] if self._next < len(self._tokens) else ("end", "")

    def _take(self, kind: str) -> str:
        found, text = self._peek()
        if found != kind:
            raise self._syntax_error()
        self._next += 1
        return text

    def _word(self, word: str) -> bool:
        if self._peek() == ("name", word):
            self._next += 1
            return True
        return False

    def _either(self) -> Condition:
        left = self._both()
        while self._word("or"):
            left = Either(left, self._both())
        return left

    def _both(self) -> Condition:
        left = self._single()
        while self._word("and"):
            left = Both(left, self._single())
        return left

    def _single(self) -> Condition:
        if self._word("not"):
            return Not(self._single())
        if self._peek()[0] == "open":
            self._take("open")
            inner = self._either()
            self._take("close")
            return inner
        name = self._take("name")
        if self._peek()[0] == "open":
            return self._function(name)
        kind = self._typed(name)
        if self._peek()[0] != "name" or self._peek()[1] not in _KINDS:
            if kind != schema.BOOLEAN:
                raise self._syntax_error()
            return Compare(name, "eq", True)
        operator = self._take("name")
        return Compare(name, operator, self._literal(kind, operator))

    def _function(self, name: str) -> Condition:
        if name not in _FUNCTIONS:
            raise self._error(f"An unknown function with name '{name}' was found.")
        self._take("open")
        path = self._take("name")
        if self._typed(path) != schema.STRING:
            raise self._error(f"No function signature for the function with name '{name}' matches the arguments.")
        self._take("comma")
        value = self._take("string")
        self._take("close")
        if self._word("eq"):
            wanted = self._take("name")
            return Match(name, path, _unquoted(value)) if wanted == "true" else Not(Match(name, path, _unquoted(value)))
        return Match(name, path, _unquoted(value))

    def _typed(self, path: str) -> str:
        kind = type_of(path)
        if kind is None:
            raise unknown_property(path.rsplit("/", maxsplit=1)[-1], self._property_code)
        return kind

    def _literal(self, kind: str, operator: str) -> Literal:
        found, text = self._peek()
        if found not in ("string", "date", "number", "name"):
            raise self._syntax_error()
        self._next += 1
        if (found, text) == ("name", "null"):
            return None
        if found == "string":
            self._expect(kind, schema.STRING, operator)
            return _unquoted(text)
        if found == "date":
            return self._date(text, kind, operator)
        if found == "number":
            self._expect(kind, schema.INTEGER, operator)
            return int(float(text))
        if text in ("true", "false"):
            self._expect(kind, schema.BOOLEAN, operator)
            return text == "true"
        raise unknown_property(text, self._property_code)

    def _date(self, text: str, kind: str, operator: str) -> int:
        moment = dates.seconds(text)
        if moment is None and self._date_only:
            moment = dates.seconds(f"{text}T00:00:00Z")
        if moment is None:
            raise self._error(
                f"The DateTimeOffset text '{text}' should be in format "
                "'yyyy-mm-ddThh:mm:ss('.'s+)?(zzzzzz)?' and each field value is within valid range."
            )
        self._expect(kind, schema.DATE, operator)
        return moment

    def _expect(self, kind: str, literal: str, operator: str) -> None:
        if kind != literal:
            raise self._error(
                f"A binary operator with incompatible types was detected. Found operand types '{kind}' and "
                f"'{literal}' for operator kind '{_KINDS[operator]}'."
            )

    def _syntax_error(self) -> GraphError:
        if self._next < len(self._tokens):
            position = self._tokens[self._next][2]
            return self._error(f"Syntax error at position {position} in '{self._text}'.")
        return self._error(f"Expression expected at position {len(self._text)} in '{self._text}'.")

    @staticmethod
    def _error(message: str) -> GraphError:
        return bad_request(f"Invalid filter clause: {message}")


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
    return False


def _ordered(operator: str, difference: int) -> bool:
    return {"gt": difference > 0, "ge": difference >= 0, "lt": difference < 0, "le": difference <= 0}[operator]


def _matches(function: str, found: str, value: str) -> bool:
    if function == "contains":
        return value in found
    return found.startswith(value) if function == "startswith" else found.endswith(value)


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")
