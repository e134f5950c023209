"""The passage table's columns: rows as Arrow has them, and back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from atom_backfill.memory.ports import Hit, Kept, PassageRow, Vectors
from atom_backfill.memory.rows import PRINTED, WORDS, column_of, fingerprint

UNIT_TOLERANCE = 0.01
"""Of a vector's length; rounding stays far below it."""
HIT_COLUMNS = ["id", "message_id", "thread_id", "subject", "text", "start", "end", "generation"]


def schema_of(dim: int) -> pa.Schema:
    """Return the table's columns, for vectors of so many."""
    words = pa.list_(pa.string())
    # Without the primary-key metadata, concurrent merges double rows (LanceDB 0.40; measured).
    key = {b"lance-schema:unenforced-primary-key": b"true"}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=key),
            *(pa.field(name, pa.string()) for name in ("message_id", "account_id", "thread_id")),
            *(pa.field(name, pa.int32()) for name in ("seq", "start", "end")),
            *(pa.field(name, pa.string()) for name in ("subject", "text", WORDS, "content_hash", "from_address")),
            pa.field("to_addresses", words),
            pa.field("folder_ids", words),
            pa.field("has_attachments", pa.bool_()),
            pa.field("received_at", pa.timestamp("us", "UTC")),
            pa.field("generation", pa.string()),
            pa.field("fence", pa.int64()),
            pa.field("vector", pa.list_(pa.float32(), dim)),
        ]
    )


def arrow(rows: Sequence[PassageRow], vectors: Vectors, dim: int) -> pa.Table:
    """Lay rows out with their vectors, in order."""
    schema = schema_of(dim)
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1), pa.float32())
    columns = [
        pa.FixedSizeListArray.from_arrays(flat, dim)
        if field.name == "vector"
        else pa.array([column_of(row, field.name) for row in rows], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def kept(batch: pa.RecordBatch, dim: int) -> list[Kept]:
    """Read a batch of rows with all that the table keeps of them, and their addresses."""
    lengths = np.linalg.norm(matrix(batch.column("vector"), dim), axis=1)
    sound = np.abs(lengths - 1) < UNIT_TOLERANCE  # not a number is no unit, either
    rows = batch.drop_columns(["vector"]).to_pylist()
    return [
        Kept(
            id=row["id"],
            message_id=uuid_or_none(row["message_id"]),
            account_id=uuid_or_none(row["account_id"]),
            generation=row["generation"],
            seq=row["seq"],
            fence=row["fence"],
            folder_ids=frozenset(row["folder_ids"] or ()),
            fingerprint=fingerprint(row[column] for column in PRINTED),
            sound=bool(unit),
            address=row["_rowid"],
        )
        for row, unit in zip(rows, sound, strict=True)
    ]


def uuid_or_none(text: str | None) -> UUID | None:
    """Read an id; None where it is none any more."""
    try:
        return UUID(text or "")
    except ValueError:
        return None


def matrix(column: pa.Array, dim: int) -> Vectors:
    """Read vectors: float32, (rows, dim)."""
    return np.asarray(column.flatten(), np.float32).reshape(-1, dim)


def hits(found: pa.Table, scores: Sequence[float]) -> list[Hit]:
    """Number what a leg has found, best first, by its scores."""
    rows: Iterator[dict[str, Any]] = iter(found.select(HIT_COLUMNS).to_pylist())
    return [
        Hit(**{**row, "message_id": UUID(row["message_id"])}, rank=rank, score=score)
        for rank, (row, score) in enumerate(zip(rows, scores, strict=True), start=1)
    ]
