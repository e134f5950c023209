"""The loader of .sql files refuses what would only fail later."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

import pytest

from atom_backfill.db.named_sql import load_queries, parse_queries
from atom_backfill.errors import BugError

GOOD = """-- Statements about things.

-- name: first_thing
-- The one that comes first, 100 %;
-- said on two lines.
SELECT 1
-- inside
WHERE true;

-- name: second_thing
-- Another.
DELETE FROM things WHERE name = '-- name: not_a_header';
"""


def test_statements_are_found_by_name_in_the_order_of_the_file() -> None:
    queries = parse_queries(GOOD, "test")
    assert queries.names() == ["first_thing", "second_thing"]
    assert queries["first_thing"] == "/* first_thing */ SELECT 1\n-- inside\nWHERE true;"
    assert queries["second_thing"].endswith("'-- name: not_a_header';")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-- name: a\n-- Why.\nSELECT 1;\n-- name: a\n-- Why.\nSELECT 2;", "twice"),
        ("-- name: a\n-- Why.\n;\n-- only a comment", "empty"),
        ("-- name: a\n-- Why.", "empty"),
        ("-- name: a\nSELECT 1;", "what it is for"),
        ("-- name:\n-- Why.\nSELECT 1;", "no proper name"),
        ("-- name: a-b\n-- Why.\nSELECT 1;", "no proper name"),
        ("SELECT 0;\n-- name: a\n-- Why.\nSELECT 1;", "before the first name"),
    ],
)
def test_a_malformed_file_is_refused_when_it_is_loaded(text: str, reason: str) -> None:
    with pytest.raises(BugError, match=reason):
        parse_queries(text, "test")


def test_an_unknown_name_is_an_error_at_once() -> None:
    with pytest.raises(KeyError):
        parse_queries(GOOD, "test")["third_thing"]


def _sql_files(folder: Traversable, package: str) -> list[tuple[str, str]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "migrations":
            found += _sql_files(entry, f"{package}.{entry.name}")
        elif entry.name.endswith(".sql"):
            found.append((package, entry.name))
    return found


@pytest.mark.parametrize(("package", "name"), _sql_files(files("atom_backfill"), "atom_backfill"))
def test_every_sql_file_of_the_product_loads(package: str, name: str) -> None:
    assert load_queries(package, name).names()
