"""Loads the named statements of a .sql file: `-- name: claim_chunk`, a comment that says what for, the statement.

Only bound parameters vary, so a statement is the same text each time and PostgreSQL may keep its plan.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import LiteralString

from atom_backfill.errors import BugError

_HEADER = re.compile(r"^-- name:[ \t]*(\S*)[ \t]*$", re.MULTILINE)
_PURPOSE = re.compile(r"\A\s*(--.*\n\s*)+")


class Queries:
    """Statements by name: `queries["claim_chunk"]`."""

    def __init__(self, statements: dict[str, LiteralString]) -> None:
        self._statements = statements

    def __getitem__(self, name: str) -> LiteralString:
        return self._statements[name]

    def names(self) -> list[str]:
        """Return the names in the file's order."""
        return list(self._statements)


def load_queries(package: str, filename: str = "queries.sql") -> Queries:
    """Load the statements of a file beside a module: `load_queries(__package__)`. Raises BugError."""
    return parse_queries(files(package).joinpath(filename).read_text(encoding="utf-8"), origin=f"{package}/{filename}")


def parse_queries(text: str, origin: str) -> Queries:
    """Cut a file's text into statements. Raises BugError on a duplicate, unnamed, unexplained or empty one."""
    before, *parts = _HEADER.split(text)
    if _without_comments(before):
        raise BugError("sql_malformed", f"{origin}: a statement stands before the first name.")
    statements: dict[str, LiteralString] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        problem = _problem(name, body, statements)
        if problem:
            raise BugError("sql_malformed", f"{origin}: {name or 'a statement'} {problem}.")
        # The comment shows in pg_stat_activity; the purpose does not travel, so that it may hold any character.
        statements[name] = f"/* {name} */ {_PURPOSE.sub('', body).strip()}"
    return Queries(statements)


def _problem(name: str, body: str, earlier: dict[str, LiteralString]) -> str | None:
    if not name.isidentifier():
        return "has no proper name"
    if name in earlier:
        return "is there twice"
    if not body.lstrip().startswith("--"):
        return "does not say what it is for"
    return None if _without_comments(body) else "is empty"


def _without_comments(text: str) -> str:
    return re.sub(r"--.*", "", text).strip().strip(";")
