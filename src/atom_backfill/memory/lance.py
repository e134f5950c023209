"""PassageIndex in LanceDB: one dataset folder per tenant, its table `passages`.

LanceDB's asynchronous API, not its synchronous one in threads: the synchronous one is a wrapper that runs the same
calls on an event loop of its own, and where a thread would go on after its caller was cancelled, a cancelled call here
commits nothing or everything. The table reads the latest version each time, so every process sees every commit.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from atom_backfill.errors import NeedsOwnerError, RetryLaterError
from atom_backfill.memory.faults import is_conflict, translated
from atom_backfill.memory.ports import Condition, Entry, Filter, Hit, Kept, PassageRow, Vectors
from atom_backfill.memory.rows import PRINTED, WORDS, column_of, fingerprint
from atom_backfill.memory.where import list_of, one_of, where
from atom_backfill.private import make_private

for _level in ("LANCEDB_LOG", "LANCE_LOG"):
    # Read once, at import; their plain lines would stand between the log's on stderr.
    os.environ.setdefault(_level, "error")

import lancedb  # noqa: E402
from lancedb.index import FTS  # noqa: E402
from lancedb.query import MatchQuery  # noqa: E402

TABLE = "passages"
WORDS_INDEX = "words_idx"
SCHEMA_VERSION = 1
OLD_VERSIONS_LIVE = timedelta(hours=1)
"""Longer than any reader or writer holds a version."""
MAX_QUERY_CHARS = 2000
ATTEMPTS = 32
"""Of a commit while other processes commit too, on top of LanceDB's own ten."""
FRAGMENT_ROWS = 20_000
"""Small commits are merged into files of this many rows, and those are left alone: upkeep's cost follows what is new,
not what is there. (LanceDB's own `optimize` rewrites everything each time: 2 s at 30,000 rows, and rising.)"""
MOST_SEGMENTS = 24
"""Of the word index: each upkeep adds one, a query reads them all (9 ms with one, 18 ms with 33; equal scores)."""
SCAN_ROWS = 1000
UNIT_TOLERANCE = 0.01
"""Of a vector's length; rounding stays far below it."""
INDEX_CACHE_BYTES = 64 * 2**20
METADATA_CACHE_BYTES = 32 * 2**20

_ANEW = "make the memory anew with `rebuild`"
_NOBODY = UUID(int=0)
_HIT_COLUMNS = ["id", "message_id", "thread_id", "subject", "text", "start", "end", "generation"]


def new_session() -> lancedb.Session:
    """Make the caches of a process, to be shared by all the indexes that it opens, however many tenants there are."""
    return lancedb.Session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES)


async def open_index(
    uri: str,
    tenant_id: UUID,
    embedder_identity: str,
    dim: int,
    *,
    dataset: str = "",
    creation: AbstractAsyncContextManager[object] | None = None,
    session: lancedb.Session | None = None,
) -> LancePassages:
    """Open a tenant's passages, made if there are none. `uri`: a local folder or `s3://…`; `session`: of `new_session`.

    `dataset` names one of several that a tenant may have, "" the first one.

    `creation` is a lock held while a dataset is made on an object store, where two at once could undo each other.
    Raises NeedsOwnerError `embedder_mismatch` where another embedder made them, and what `LancePassages` raises.
    """
    folder = folder_of(uri, tenant_id, dataset)
    made_by = {b"atom.embedder": embedder_identity.encode(), b"atom.schema": str(SCHEMA_VERSION).encode()}
    schema = _schema(dim).with_metadata(made_by)
    with translated():
        if "://" in folder:
            async with creation or nullcontext():
                table = await _create(await _connect(folder, session), schema)
        else:
            await asyncio.to_thread(make_private, Path(folder_of(uri, tenant_id)))
            table = await _open_local(folder, schema, session)
        found = await table.schema()
    _refuse_mismatch(found, embedder_identity, dim)
    return LancePassages(table, dim)


async def is_made(uri: str, tenant_id: UUID, dataset: str = "") -> bool:
    """Tell whether a tenant has passages, without making any. Raises what `LancePassages` raises."""
    folder = folder_of(uri, tenant_id, dataset)
    if "://" not in folder:
        return await asyncio.to_thread(os.path.isdir, f"{folder}/{TABLE}.lance")
    with translated():
        return TABLE in (await (await _connect(folder)).list_tables()).tables


async def drop(uri: str, tenant_id: UUID, dataset: str) -> None:
    """Delete a dataset's files, as far as there are any. Raises what `LancePassages` raises."""
    folder = folder_of(uri, tenant_id, dataset)
    if "://" not in folder:
        # All of a later one's folder; that of the first one holds the others.
        await asyncio.to_thread(shutil.rmtree, folder if dataset else f"{folder}/{TABLE}.lance", ignore_errors=True)
        return
    with translated():
        await (await _connect(folder)).drop_table(TABLE, ignore_missing=True)


def folder_of(uri: str, tenant_id: UUID, dataset: str = "") -> str:
    """Return where a dataset lies: the first in the tenant's folder, the others in folders below it."""
    return "/".join(filter(None, (uri.rstrip("/"), str(tenant_id), dataset)))


class LancePassages:
    """One tenant's passages.

    Raises NeedsOperatorError (`memory_unwritable`, `disk_full`), NeedsOwnerError (`memory_lost`) and RetryLaterError
    (`memory_busy`, `memory_unreachable`).
    """

    def __init__(self, table: lancedb.AsyncTable, dim: int) -> None:
        self._table = table
        self._dim = dim

    async def known_vectors(self, content_hashes: Sequence[str]) -> dict[str, Vectors]:
        """Find vectors already made for these hashes, each of shape (dim,)."""
        found: dict[str, Vectors] = {}
        wanted = one_of("content_hash", content_hashes)
        async for batch in self._scan(("content_hash", "vector"), wanted):
            vectors = _matrix(batch.column("vector"), self._dim)
            found.update(zip(batch.column("content_hash").to_pylist(), vectors, strict=True))
        return found

    async def upsert(self, rows: Sequence[PassageRow], vectors: Vectors) -> None:
        """Write rows by id. A row that a higher fence has written stays as it is."""
        if not rows:
            return
        merge = (
            self._table.merge_insert("id")
            .when_matched_update_all(where="target.fence <= source.fence")
            .when_not_matched_insert_all()
        )
        written = _arrow(rows, vectors, self._dim)
        await _committed(lambda: merge.execute(written))

    async def search_vectors(self, vector: Vectors, narrowed: Filter, limit: int) -> list[Hit]:
        """Find the nearest passages to a vector of shape (dim,); the score is the cosine."""
        query = self._table.query().nearest_to(vector).distance_type("dot")
        found = await self._found(query, narrowed, limit, "_distance")
        return _hits(found, [1.0 - distance for distance in found.column("_distance").to_pylist()])

    async def search_words(self, words: str, narrowed: Filter, limit: int) -> list[Hit]:
        """Find passages by words in text, subject or header; the score is BM25's."""
        # A MatchQuery takes every character for itself; a plain string would give quote signs a meaning.
        match = MatchQuery(words[:MAX_QUERY_CHARS], WORDS)  # type: ignore[call-arg]  # its defaults are pydantic's
        found = await self._found(self._table.query().nearest_to_text(match), narrowed, limit, "_score")
        return _hits(found, found.column("_score").to_pylist())

    async def place(self, folders: Mapping[UUID, Collection[str]]) -> None:
        """Note in which folders messages lie now: folder ids by message. Those without rows are passed over."""
        together: dict[str, list[str]] = {}
        for message, folder_ids in folders.items():
            together.setdefault(list_of(sorted(folder_ids)), []).append(str(message))
        for listed, messages in together.items():
            clause, updates = one_of("message_id", messages), {"folder_ids": listed}
            await _committed(partial(self._table.update, where=clause, updates_sql=updates))

    async def upkeep(self) -> None:
        """Compact, fold new rows into the indexes, drop old versions. One owner at a time."""
        with translated():
            stats = await self._table.index_stats(WORDS_INDEX)
            uri, options = await self._table.uri(), await self._table.latest_storage_options()
        merge = stats is not None and (stats.num_indices or 0) >= MOST_SEGMENTS
        for step in ("compact", "index", "clean"):
            await _committed(partial(asyncio.to_thread, _keep_up, uri, options, step, merge=merge))

    async def condition(self) -> Condition:
        """Tell how much upkeep is needed; cheap."""
        with translated():
            rows, index = await self._table.count_rows(), await self._table.index_stats(WORDS_INDEX)
            stats: Any = await self._table.stats()  # a dict, whatever its annotation says
        files: int = stats["fragment_stats"]["num_fragments"]
        whole = rows // FRAGMENT_ROWS
        return Condition(rows, index.num_unindexed_rows if index else rows, max(0, files - whole))

    async def messages(self, account: UUID | None) -> int:
        """Count the messages, of one account or of all, that have rows; cheap. Rows of older generations count too."""
        of_account = where(Filter(account_id=account))
        with translated():
            return await self._table.count_rows(" AND ".join(filter(None, ("seq = 0", of_account))))

    async def entries(self) -> AsyncIterator[list[Entry]]:
        """Read all rows as of now, in no order, a bounded list at a time."""
        async for batch in self._scan(("id", "message_id", "generation", "seq", "content_hash")):
            yield [Entry(**{**row, "message_id": _uuid(row["message_id"]) or _NOBODY}) for row in batch.to_pylist()]

    async def rows(self, messages: Collection[UUID] | None = None) -> AsyncIterator[list[Kept]]:
        """Read rows as of now, all or those of some messages, in no order, a bounded list at a time."""
        clause = None if messages is None else one_of("message_id", map(str, messages))
        async for batch in self._scan((*PRINTED, "fence", "folder_ids", "vector"), clause, addresses=True):
            yield await asyncio.to_thread(_kept, batch, self._dim)

    async def erase(self, addresses: Collection[int]) -> int:
        """Take rows away by their addresses; returns how many were still there."""
        if not addresses:
            return 0
        # A row that is written again, or moved by an upkeep, has another address: what is meant is gone, or stays.
        clause = f"_rowid IN ({', '.join(map(str, addresses))})"
        erased: list[Any] = []

        async def delete() -> None:
            erased.append(await self._table.delete(clause))

        await _committed(delete)
        return int(erased[-1].num_deleted_rows)

    async def _scan(
        self, columns: Sequence[str], clause: str | None = None, *, addresses: bool = False
    ) -> AsyncIterator[pa.RecordBatch]:
        query = self._table.query().select(list(columns))
        query = query.with_row_id() if addresses else query
        with translated():
            async for batch in await (query.where(clause) if clause else query).to_batches(max_batch_length=SCAN_ROWS):
                yield batch

    async def _found(self, query: Any, narrowed: Filter, limit: int, score: str) -> pa.Table:
        clause = where(narrowed)
        query = query.where(clause) if clause else query
        with translated():
            return await query.select([*_HIT_COLUMNS, score]).limit(limit).to_arrow()


async def _connect(folder: str, session: lancedb.Session | None = None) -> lancedb.AsyncConnection:
    session = session or new_session()
    return await lancedb.connect_async(folder, read_consistency_interval=timedelta(0), session=session)


async def _open_local(folder: str, schema: pa.Schema, session: lancedb.Session | None) -> lancedb.AsyncTable:
    """Open the table; a new one is made aside and renamed into place, so that of many makers the first one wins.

    LanceDB's own creation is no help: of two at once the second overwrites what the first has written (0.40; seen).
    """
    await asyncio.to_thread(make_private, Path(folder))
    if not await asyncio.to_thread(os.path.isdir, f"{folder}/{TABLE}.lance"):
        aside = await asyncio.to_thread(tempfile.mkdtemp, prefix=".new-", dir=folder)
        try:
            await _create(await _connect(aside), schema)
            await asyncio.to_thread(_rename, f"{aside}/{TABLE}.lance", f"{folder}/{TABLE}.lance")
        finally:
            await asyncio.to_thread(shutil.rmtree, aside, ignore_errors=True)
    return await (await _connect(folder, session)).open_table(TABLE)


def _rename(source: str, target: str) -> None:
    try:
        os.rename(source, target)  # noqa: PTH104
    except OSError:
        if not os.path.isdir(target):  # noqa: PTH112 - another maker was first
            raise


async def _create(database: lancedb.AsyncConnection, schema: pa.Schema) -> lancedb.AsyncTable:
    exists = TABLE in (await database.list_tables()).tables
    table = await (database.open_table(TABLE) if exists else database.create_table(TABLE, schema=schema))
    if not await table.list_indices():
        # On the empty table already, so that the first rows are found the moment they are committed.
        await table.create_index(WORDS, config=FTS(), name=WORDS_INDEX)
    return table


def _keep_up(uri: str, storage_options: dict[str, str] | None, step: str, *, merge: bool = False) -> None:
    # LanceDB's `optimize` does these steps too, but without their limits. Imported here: 50 MB that only upkeep needs.
    import lance

    dataset = lance.dataset(uri, storage_options=storage_options)
    if step == "compact":
        dataset.optimize.compact_files(target_rows_per_fragment=FRAGMENT_ROWS, num_threads=1)
    elif step == "index":
        dataset.optimize.optimize_indices(num_indices_to_merge=2 * MOST_SEGMENTS if merge else 0)
    else:
        dataset.cleanup_old_versions(older_than=OLD_VERSIONS_LIVE)


def _refuse_mismatch(found: pa.Schema, embedder_identity: str, dim: int) -> None:
    metadata = found.metadata or {}
    made_by = metadata.get(b"atom.embedder", b"").decode(errors="replace")
    if metadata.get(b"atom.schema") != str(SCHEMA_VERSION).encode():
        raise NeedsOwnerError(
            "memory_version",
            f"This memory was made by another version of atom-backfill: install that again, or {_ANEW}.",
        )
    if made_by != embedder_identity or found.field("vector").type.list_size != dim:
        raise NeedsOwnerError(
            "embedder_mismatch",
            f"This memory was made by the embedder {made_by}, but {embedder_identity} is set: "
            f"set the former again, or {_ANEW}.",
        )


def _schema(dim: int) -> pa.Schema:
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


def _arrow(rows: Sequence[PassageRow], vectors: Vectors, dim: int) -> pa.Table:
    schema = _schema(dim)
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1), pa.float32())
    columns = [
        pa.FixedSizeListArray.from_arrays(flat, dim)
        if field.name == "vector"
        else pa.array([column_of(row, field.name) for row in rows], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _kept(batch: pa.RecordBatch, dim: int) -> list[Kept]:
    lengths = np.linalg.norm(_matrix(batch.column("vector"), dim), axis=1)
    sound = np.abs(lengths - 1) < UNIT_TOLERANCE  # not a number is no unit, either
    rows = batch.drop_columns(["vector"]).to_pylist()
    return [
        Kept(
            id=row["id"],
            message_id=_uuid(row["message_id"]),
            account_id=_uuid(row["account_id"]),
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


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _matrix(column: pa.Array, dim: int) -> Vectors:
    return np.asarray(column.flatten(), np.float32).reshape(-1, dim)


def _hits(found: pa.Table, scores: Sequence[float]) -> list[Hit]:
    rows: Iterator[dict[str, Any]] = iter(found.select(_HIT_COLUMNS).to_pylist())
    return [
        Hit(**{**row, "message_id": UUID(row["message_id"])}, rank=rank, score=score)
        for rank, (row, score) in enumerate(zip(rows, scores, strict=True), start=1)
    ]


async def _committed(write: Callable[[], Awaitable[object]]) -> None:
    """Write, again from the start where another commit came first: each loser's rival has won, so it ends."""
    for _ in range(ATTEMPTS):
        with translated():
            try:
                await write()
            except (OSError, RuntimeError) as error:
                if not is_conflict(error):
                    raise
                lost = error
            else:
                return
    raise RetryLaterError("memory_busy", "Too many processes write this memory at once.", after=1.0) from lost
