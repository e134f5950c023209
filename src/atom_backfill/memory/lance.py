"""PassageIndex in LanceDB: one dataset folder per tenant, its table `passages`.

LanceDB's asynchronous API, not its synchronous one in threads: the synchronous one is a wrapper that runs the same
calls on an event loop of its own, and where a thread would go on after its caller was cancelled, a cancelled call here
commits nothing or everything. Each call opens the latest version, so every process sees every commit, and what a call
has opened does not change under it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pyarrow as pa

from atom_backfill.errors import RetryLaterError
from atom_backfill.memory import pylance
from atom_backfill.memory.columns import HIT_COLUMNS, arrow, hits, kept, matrix, schema_of, uuid_or_none
from atom_backfill.memory.faults import is_conflict, translated
from atom_backfill.memory.maker import embedder_of, is_alike, made_by, rebuild_of, refuse_mismatch
from atom_backfill.memory.ports import Condition, Entry, Filter, Hit, Kept, PassageRow, Vectors
from atom_backfill.memory.rows import PRINTED, WORDS
from atom_backfill.memory.still import Still, while_allowed
from atom_backfill.memory.where import list_of, one_of, where
from atom_backfill.private import make_private

for _level in ("LANCEDB_LOG", "LANCE_LOG"):
    # Read once, at import; their plain lines would stand between the log's on stderr.
    os.environ.setdefault(_level, "error")
# Bytes fetched ahead of a reader; by default 2 GB, the whole of most memories: `verify` took 357 MB at 20,000 rows and
# 525 MB at 50,000.
os.environ.setdefault("LANCE_DEFAULT_IO_BUFFER_SIZE", str(32 * 2**20))

import lancedb  # noqa: E402
from lancedb.index import FTS  # noqa: E402
from lancedb.query import MatchQuery  # noqa: E402

T = TypeVar("T")
TABLE = "passages"
BESIDE = "anew"
"""The folder, in the tenant's, of the dataset that a rebuild makes."""
WORDS_INDEX = "words_idx"
MAX_QUERY_CHARS = 2000
ATTEMPTS = 32
"""Of a commit while other processes commit too, on top of LanceDB's own ten."""
SCAN_ROWS = 1000
INDEX_CACHE_BYTES, METADATA_CACHE_BYTES = 8 * 2**20, 4 * 2**20
"""They count less than they take: with 32 MB the second grew by 46 MB within 60,000 rows, and nothing was faster."""

_NOBODY = UUID(int=0)


def new_session() -> lancedb.Session:
    """Make the caches of a process, to be shared by all the indexes that it opens, however many tenants there are."""
    return lancedb.Session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES)


async def open_index(
    uri: str,
    tenant_id: UUID,
    embedder_identity: str,
    dim: int,
    *,
    beside: str = "",
    creation: AbstractAsyncContextManager[object] | None = None,
    session: lancedb.Session | None = None,
) -> LancePassages:
    """Open a tenant's passages, made if there are none. `uri`: a local folder or `s3://…`; `session`: of `new_session`.

    `beside` names a rebuild, whose dataset lies beside the memory until it takes its place.

    `creation` is a lock held while a dataset is made on an object store, where two at once could undo each other.
    Raises NeedsOwnerError `embedder_mismatch` where another embedder made them, and what `LancePassages` raises.
    """
    folder = folder_of(uri, tenant_id, BESIDE if beside else "")
    with translated():
        await asyncio.to_thread(_make_private, folder_of(uri, tenant_id))
        database = await _make(folder, made_by(schema_of(dim), embedder_identity, beside), creation, session)
        found = await (await database.open_table(TABLE)).schema()
    refuse_mismatch(found, embedder_identity, dim)
    return LancePassages(database, found)


async def settle(uri: str, tenant_id: UUID) -> str:
    """Let no `replace` under way come to its commit any more; tells which rebuild has made the memory, "" if none."""
    if not await is_made(uri, tenant_id):
        return ""
    table = f"{folder_of(uri, tenant_id)}/{TABLE}.lance"
    await _committed(partial(asyncio.to_thread, pylance.begin_version, table))
    with translated():
        return rebuild_of(await asyncio.to_thread(pylance.schema_at, table))


async def is_made(uri: str, tenant_id: UUID) -> bool:
    """Tell whether a tenant has passages, without making any. Raises what `LancePassages` raises."""
    folder = folder_of(uri, tenant_id)
    if "://" not in folder:
        return await asyncio.to_thread(os.path.isdir, f"{folder}/{TABLE}.lance")
    with translated():
        return TABLE in (await (await _connect(folder)).list_tables()).tables


async def replace(
    uri: str,
    tenant_id: UUID,
    still: Still,
    creation: AbstractAsyncContextManager[object] | None = None,
) -> None:
    """Put the rows of the dataset beside into the place of the tenant's memory's, in one commit.

    Readers of the version before go on. The word index is gone until the next upkeep: words are looked for in all rows.
    `still` raises where the caller may not do it any more; it is asked every few seconds, and before the commit, which
    fails if anybody has written to the memory since. Raises what `LancePassages` raises, and what `still` raises.
    """
    beside, folder = folder_of(uri, tenant_id, BESIDE), folder_of(uri, tenant_id)
    source, target = f"{beside}/{TABLE}.lance", f"{folder}/{TABLE}.lance"
    with translated():
        schema = await asyncio.to_thread(pylance.schema_at, source)
        if not await asyncio.to_thread(pylance.is_readable, target):
            await still()  # by now, another may have made it readable
            await _drop(folder)
            await _make(folder, made_by(schema, embedder_of(schema)), creation)
        files = await while_allowed(asyncio.to_thread(pylance.copy, source, target), still)

    async def overwrite() -> None:
        # In this order: what somebody writes once the caller may not go on is of a later version.
        version = await asyncio.to_thread(pylance.latest_version, target)
        await still()
        await asyncio.to_thread(pylance.overwrite, target, version, schema, files)

    await _committed(overwrite)


async def drop_beside(uri: str, tenant_id: UUID) -> None:
    """Delete the files of the dataset beside, as far as there are any. Raises what `LancePassages` raises."""
    folder = folder_of(uri, tenant_id, BESIDE)
    with translated():
        await _drop(folder)
    if "://" not in folder:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def folder_of(uri: str, tenant_id: UUID, beside: str = "") -> str:
    """Return where a dataset lies: the memory in the tenant's folder, the one beside it in a folder below."""
    return "/".join(filter(None, (uri.rstrip("/"), str(tenant_id), beside)))


class LancePassages:
    """One tenant's passages.

    Raises NeedsOperatorError (`memory_unwritable`, `disk_full`), NeedsOwnerError (`memory_lost`) and RetryLaterError
    (`memory_busy`, `memory_unreachable`).
    """

    def __init__(self, database: lancedb.AsyncConnection, schema: pa.Schema) -> None:
        self._database = database
        self._schema = schema
        self._dim: int = schema.field("vector").type.list_size

    @property
    def made(self) -> str:
        """Name the rebuild that has made them, "" if none has."""
        return rebuild_of(self._schema)

    async def known_vectors(self, content_hashes: Sequence[str]) -> dict[str, Vectors]:
        """Find vectors already made for these hashes, each of shape (dim,)."""
        found: dict[str, Vectors] = {}
        wanted = one_of("content_hash", content_hashes)
        async for batch in self._scan(("content_hash", "vector"), wanted):
            vectors = matrix(batch.column("vector"), self._dim)
            found.update(zip(batch.column("content_hash").to_pylist(), vectors, strict=True))
        return found

    async def upsert(self, rows: Sequence[PassageRow], vectors: Vectors) -> None:
        """Write rows by id. A row that a higher fence has written stays as it is."""
        if not rows:
            return
        written = arrow(rows, vectors, self._dim)

        async def merge(table: lancedb.AsyncTable) -> object:
            merging = table.merge_insert("id").when_matched_update_all(where="target.fence <= source.fence")
            return await merging.when_not_matched_insert_all().execute(written)

        await self._commit(merge)
        if not await self._is_of_this_embedder():
            # LanceDB's own further attempts came after a rebuild. The ids name the embedder: they are nobody else's.
            await _committed(partial(self._take_away, [row.id for row in rows]))
            raise _changed()

    async def search_vectors(self, vector: Vectors, narrowed: Filter, limit: int) -> list[Hit]:
        """Find the nearest passages to a vector of shape (dim,); the score is the cosine."""
        found = await self._found(
            lambda query: query.nearest_to(vector).distance_type("dot"), narrowed, limit, "_distance"
        )
        return hits(found, [1.0 - distance for distance in found.column("_distance").to_pylist()])

    async def search_words(self, words: str, narrowed: Filter, limit: int) -> list[Hit]:
        """Find passages by words in text, subject or header; the score is BM25's."""
        # A MatchQuery takes every character for itself; a plain string would give quote signs a meaning.
        match = MatchQuery(words[:MAX_QUERY_CHARS], WORDS)  # type: ignore[call-arg]  # its defaults are pydantic's
        found = await self._found(lambda rows: rows.nearest_to_text(match), narrowed, limit, "_score")
        return hits(found, found.column("_score").to_pylist())

    async def place(self, folders: Mapping[UUID, Collection[str]]) -> None:
        """Note in which folders messages lie now: folder ids by message. Those without rows are passed over."""
        together: dict[str, list[str]] = {}
        for message, folder_ids in folders.items():
            together.setdefault(list_of(sorted(folder_ids)), []).append(str(message))
        for listed, messages in together.items():
            clause, updates = one_of("message_id", messages), {"folder_ids": listed}
            await self._commit(partial(lancedb.AsyncTable.update, where=clause, updates_sql=updates))

    async def upkeep(self) -> None:
        """Compact, fold new rows into the indexes, drop old versions. One owner at a time."""
        with translated():
            table = await self._latest()
            stats = await table.index_stats(WORDS_INDEX)
            uri = await table.uri()
        if stats is None:  # a rebuild leaves none
            await self._commit(_index_words)
        for step in ("compact", "index", "clean"):
            await _committed(partial(asyncio.to_thread, pylance.keep_up, uri, step, WORDS_INDEX))

    async def condition(self) -> Condition:
        """Tell how much upkeep is needed; cheap."""
        with translated():
            table = await self._latest()
            rows, index = await table.count_rows(), await table.index_stats(WORDS_INDEX)
            stats: Any = await table.stats()  # a dict, whatever its annotation says
        files: int = stats["fragment_stats"]["num_fragments"]
        whole = rows // pylance.FRAGMENT_ROWS
        return Condition(rows, index.num_unindexed_rows if index else rows, max(0, files - whole))

    async def messages(self, account: UUID | None) -> int:
        """Count the messages, of one account or of all, that have rows; cheap. Rows of older generations count too."""
        of_account = where(Filter(account_id=account))
        with translated():
            return await (await self._latest()).count_rows(" AND ".join(filter(None, ("seq = 0", of_account))))

    async def entries(self) -> AsyncIterator[list[Entry]]:
        """Read all rows as of now, in no order, a bounded list at a time."""
        async for batch in self._scan(("id", "message_id", "generation", "seq", "content_hash")):
            yield [
                Entry(**{**row, "message_id": uuid_or_none(row["message_id"]) or _NOBODY}) for row in batch.to_pylist()
            ]

    async def rows(self, messages: Collection[UUID] | None = None) -> AsyncIterator[list[Kept]]:
        """Read rows as of now, all or those of some messages, in no order, a bounded list at a time."""
        clause = None if messages is None else one_of("message_id", map(str, messages))
        async for batch in self._scan((*PRINTED, "fence", "folder_ids", "vector"), clause, addresses=True):
            yield await asyncio.to_thread(kept, batch, self._dim)

    async def erase(self, addresses: Collection[int]) -> int:
        """Take rows away by their addresses; returns how many were still there."""
        if not addresses:
            return 0
        # A row that is written again, or moved by an upkeep, has another address: what is meant is gone, or stays.
        clause = f"_rowid IN ({', '.join(map(str, addresses))})"
        done: Any = await self._commit(lambda table: table.delete(clause))
        return int(done.num_deleted_rows)

    async def _is_of_this_embedder(self) -> bool:
        with translated():
            return is_alike(await (await self._database.open_table(TABLE)).schema(), self._schema)

    async def _take_away(self, ids: Sequence[str]) -> None:
        await (await self._database.open_table(TABLE)).delete(one_of("id", ids))

    async def _latest(self) -> lancedb.AsyncTable:
        """Open the version of now, which what is opened stays at.

        Raises RetryLaterError `memory_changed` where a rebuild has put another embedder's rows in their place.
        """
        with translated():
            table = await self._database.open_table(TABLE)
            found = await table.schema()
        if not is_alike(found, self._schema):
            raise _changed()
        return table

    async def _commit(self, write: Callable[[lancedb.AsyncTable], Awaitable[T]]) -> T:
        async def writing() -> T:
            return await write(await self._latest())

        return await _committed(writing)

    async def _scan(
        self, columns: Sequence[str], clause: str | None = None, *, addresses: bool = False
    ) -> AsyncIterator[pa.RecordBatch]:
        query = (await self._latest()).query().select(list(columns))
        query = query.with_row_id() if addresses else query
        with translated():
            async for batch in await (query.where(clause) if clause else query).to_batches(max_batch_length=SCAN_ROWS):
                yield batch

    async def _found(self, leg: Callable[[Any], Any], narrowed: Filter, limit: int, score: str) -> pa.Table:
        clause = where(narrowed)
        query = leg((await self._latest()).query())
        query = query.where(clause) if clause else query
        with translated():
            return await query.select([*HIT_COLUMNS, score]).limit(limit).to_arrow()


def _make_private(folder: str) -> None:
    if "://" not in folder:
        make_private(Path(folder))


async def _connect(folder: str, session: lancedb.Session | None = None) -> lancedb.AsyncConnection:
    return await lancedb.connect_async(folder, session=session or new_session())


async def _make(
    folder: str,
    schema: pa.Schema,
    creation: AbstractAsyncContextManager[object] | None,
    session: lancedb.Session | None = None,
) -> lancedb.AsyncConnection:
    """See to it that there is a table; a local one is made aside and renamed, so that of many makers the first wins.

    LanceDB's own creation is no help: of two at once the second overwrites what the first has written (0.40; seen).
    """
    if "://" in folder:
        async with creation or nullcontext():
            database = await _connect(folder, session)
            await _create(database, schema)
        return database
    await asyncio.to_thread(make_private, Path(folder))
    if not await asyncio.to_thread(os.path.isdir, f"{folder}/{TABLE}.lance"):
        aside = await asyncio.to_thread(tempfile.mkdtemp, prefix=".new-", dir=folder)
        try:
            await _create(await _connect(aside), schema)
            await asyncio.to_thread(_rename, f"{aside}/{TABLE}.lance", f"{folder}/{TABLE}.lance")
        finally:
            await asyncio.to_thread(shutil.rmtree, aside, ignore_errors=True)
    return await _connect(folder, session)


def _rename(source: str, target: str) -> None:
    try:
        os.rename(source, target)  # noqa: PTH104
    except OSError:
        if not os.path.isdir(target):  # noqa: PTH112 - another maker was first
            raise


async def _create(database: lancedb.AsyncConnection, schema: pa.Schema) -> None:
    exists = TABLE in (await database.list_tables()).tables
    table = await (database.open_table(TABLE) if exists else database.create_table(TABLE, schema=schema))
    if not await table.list_indices():
        # On the empty table already, so that the first rows are found the moment they are committed.
        await _index_words(table)


async def _index_words(table: lancedb.AsyncTable) -> None:
    await table.create_index(WORDS, config=FTS(), name=WORDS_INDEX)


async def _drop(folder: str) -> None:
    if "://" in folder:
        await (await _connect(folder)).drop_table(TABLE, ignore_missing=True)
    else:
        await asyncio.to_thread(shutil.rmtree, f"{folder}/{TABLE}.lance", ignore_errors=True)


async def _committed(write: Callable[[], Awaitable[T]]) -> T:
    """Write, again from the start where another commit came first: each loser's rival has won, so it ends."""
    for _ in range(ATTEMPTS):
        with translated():
            try:
                return await write()
            except (OSError, RuntimeError) as error:
                if not is_conflict(error):
                    raise
                lost = error
    raise RetryLaterError("memory_busy", "Too many processes write this memory at once.", after=1.0) from lost


def _changed() -> RetryLaterError:
    return RetryLaterError("memory_changed", "The memory was made anew meanwhile.", after=1.0, progress=True)
