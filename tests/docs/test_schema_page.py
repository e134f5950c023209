"""docs/reference/schema.md and job.md say what the schema and the JOB document are."""

from __future__ import annotations

import re

import pytest

import source_words
from atom_backfill.backfill.progress import job_view
from atom_backfill.db.pool import Database
from atom_backfill.db.scope import Operator
from job_rows import a_row

REFERENCE = source_words.ROOT / "docs" / "reference"
SCHEMA = (REFERENCE / "schema.md").read_text("utf-8")
JOB = (REFERENCE / "job.md").read_text("utf-8")
TABLES = re.findall(r"^## `(\w+)`$", SCHEMA, re.MULTILINE)


@pytest.mark.parametrize("table", TABLES)
async def test_every_public_column_is_there_for_the_operator(database: Database, table: str) -> None:
    section = SCHEMA.split(f"## `{table}`")[1].split("\n## ")[0]
    columns = [name for cell in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in _names(cell)]
    assert columns
    async with database.transaction(Operator()) as transaction:
        await transaction.fetch_all(_select(table, columns))  # type: ignore[arg-type]


async def test_the_statements_of_operators_work_as_they_stand(database: Database) -> None:
    statements = [part for part in SCHEMA.split("```sql\n")[1].split("```")[0].split(";") if part.strip()]
    assert len(statements) == 2
    async with database.transaction(Operator()) as transaction:
        for statement in statements:
            await transaction.fetch_all(statement)  # type: ignore[arg-type]


def test_every_field_of_a_job_is_documented() -> None:
    document = job_view(a_row())
    parts = {"": document, "ingest": document["ingest"], "graph": document["graph"]}
    for name, fields in parts.items():
        section = JOB.split(f"\n## `{name}`")[1].split("\n## ")[0] if name else JOB.split("\n## ")[0]
        listed = [field for cell in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for field in _names(cell)]
        assert sorted(listed) == sorted(fields), name


def _names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def _select(table: str, columns: list[str]) -> str:
    return f"SELECT {', '.join(columns)} FROM {table} LIMIT 1"
