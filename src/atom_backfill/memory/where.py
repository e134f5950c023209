"""A search's filter as a where-clause of the passage table. Pure.

LanceDB binds no parameters, and its typed expressions lack `array_has`; so every value passes through `quoted`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from atom_backfill.memory.ports import Filter


def where(narrowed: Filter) -> str | None:
    """Write the clause, or None where nothing is narrowed. Rows without a date are in no range of dates."""
    clauses = [
        f"account_id = {quoted(str(narrowed.account_id))}" if narrowed.account_id else "",
        f"from_address = {quoted(narrowed.from_address.lower())}" if narrowed.from_address else "",
        f"array_has(to_addresses, {quoted(narrowed.to_address.lower())})" if narrowed.to_address else "",
        f"received_at >= {_moment(narrowed.after)}" if narrowed.after else "",
        f"received_at < {_moment(narrowed.before)}" if narrowed.before else "",
        f"array_has_any(folder_ids, {list_of(narrowed.folder_ids)})" if narrowed.folder_ids else "",
        "" if narrowed.has_attachment is None else f"has_attachments = {str(narrowed.has_attachment).lower()}",
    ]
    return " AND ".join(filter(None, clauses)) or None


def one_of(column: str, values: Iterable[str]) -> str:
    """Write `column IN (…)`; no values match nothing."""
    listed = ", ".join(map(quoted, values))
    return f"{column} IN ({listed})" if listed else "false"


def list_of(values: Iterable[str]) -> str:
    """Write a list of strings."""
    return f"[{', '.join(map(quoted, values))}]"


def quoted(value: str) -> str:
    """Write a string literal. A backslash means itself in DataFusion's SQL, so the quote sign alone is doubled."""
    return "'" + value.replace("'", "''") + "'"


def _moment(moment: datetime) -> str:
    return f"timestamp {quoted(moment.astimezone(UTC).isoformat())}"
