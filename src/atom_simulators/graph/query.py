"""The `$filter` language: from text to a condition.

Supported are comparisons of a property with a literal, `and`, `or`, `not`, brackets, and `contains`,
`startswith`, `endswith`. Errors are those of the service: 400 BadRequest, "Invalid filter clause: …".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import dates, schema
from .conditions import Both, Compare, Condition, Either, Literal, Match, Not
from .errors import GraphError, bad_request

# A date begins as a number does, and is tried first.
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


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a $filter is read: of which resource, and where the service's ways are not settled."""

    words: schema.Vocabulary
    property_code: str = "BadRequest"
    date_only: bool = False


def parse_filter(text: str, dialect: Dialect) -> Condition:
    """Read a $filter. Raises GraphError (400)."""
    return _Parser(text, dialect).whole()


def unknown_property(path: str, words: schema.Vocabulary, code: str) -> GraphError:
    """The refusal of a property that does not exist."""
    name = path.rsplit("/", maxsplit=1)[-1]
    return GraphError(400, code, f"Could not find a property named '{name}' on type '{words.type_name}'.")


class _Parser:
    """Recursive descent over the tokens of one $filter."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text = text
        self._dialect = dialect
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
        # `contains(subject, 'x') eq true`, as some clients write.
        if self._word("eq"):
            wanted = self._take("name")
            return Match(name, path, _unquoted(value)) if wanted == "true" else Not(Match(name, path, _unquoted(value)))
        return Match(name, path, _unquoted(value))

    def _typed(self, path: str) -> str:
        kind = self._dialect.words.type_of(path)
        if kind is None:
            raise self._unknown(path)
        return kind

    def _unknown(self, path: str) -> GraphError:
        return unknown_property(path, self._dialect.words, self._dialect.property_code)

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
        raise self._unknown(text)

    def _date(self, text: str, kind: str, operator: str) -> int:
        moment = dates.seconds(text)
        if moment is None and self._dialect.date_only:
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


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")
