"""The checker is loud: whatever is changed behind the product's back is a violation."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lancedb

from atom_torture.arena import Arena, Mailbox, an_arena
from atom_torture.checker import Watcher, at_rest
from atom_torture.life import Life, bury, track_tasks
from atom_torture.schedule import Schedule

CALM = Schedule(seed=5, mails=12, folders=2, page=5, workers=1, concurrency=2, poison=("unreadable", "refused"))


@asynccontextmanager
async def a_backfill(home: Path) -> AsyncIterator[tuple[Arena, Mailbox]]:
    """A mailbox that has been read whole, in peace."""
    track_tasks(asyncio.get_running_loop())
    async with an_arena(home) as arena, arena.mailbox(CALM) as box:
        await box.start()
        life = Life("w", arena.time, (), Counter())
        working = arena.employ(box, 0, life)
        while not await _completed(arena):
            await arena.time.calm(30)
            await arena.advance(arena.time.until_next(5.0))
            await asyncio.to_thread(working.heartbeat.beat)
        await bury(life)
        yield arena, box


async def _completed(arena: Arena) -> bool:
    row = await (await arena.admin.execute("SELECT status FROM historical_sync_jobs")).fetchone()
    return row is not None and row[0] == "completed"


AT_REST = {
    "DELETE FROM messages WHERE subject LIKE 'Order%'": "(stored, failed) (0, 0) times, not (1, 0)",
    "DELETE FROM failures": "(stored, failed) (0, 0) times, not (0, 1)",
    "UPDATE messages SET subject = subject || '!'": "has another subject",
    "UPDATE message_bodies SET text = text || ' more'": "has another text",
    "DELETE FROM message_places": "lies in None",
    "UPDATE messages SET generation = 'other'": "is in the record and not in the memory",
    "UPDATE historical_sync_jobs SET status = 'failed'": "the job is failed",
    "UPDATE sync_chunks SET state = 'ready'": "a chunk of a completed job is ready",
}
WHILE_RUNNING = {
    "UPDATE historical_sync_jobs SET records_processed = records_processed + 1": "records is ",
    "UPDATE historical_sync_jobs SET entities_extracted = entities_extracted - 1": "entities is ",
    "UPDATE historical_sync_jobs SET relationships_extracted = 0": "relationships is 0",
    "UPDATE historical_sync_jobs SET progress_percentage = 50": "percent went from",
    "UPDATE historical_sync_jobs SET status = 'paused'": "a completed job is paused",
    "UPDATE sync_chunks SET fence = fence - 1": "a fence went from",
    "UPDATE sync_chunks SET has_more = true": "has more again",
    "DELETE FROM messages WHERE subject LIKE 'Order%' AND received_at IS NOT NULL": "a position has gone past m-",
    "UPDATE sync_chunks SET state = 'quarantined'": "a chunk that was done was changed (quarantined)",
    "UPDATE sync_chunks SET state = 'quarantined', error_code = NULL": "a chunk was given up without a reason",
    "UPDATE sync_chunks SET state = 'ready'; UPDATE historical_sync_jobs SET status = 'running';"
    " UPDATE historical_sync_jobs SET status = 'completed'": "a job was completed while a chunk was left to do",
    "UPDATE sync_chunks SET position = '{\"at\": \"2099\"}' WHERE position ? 'at'": "a position went from",
    "UPDATE sync_chunks SET state = 'leased', worker = 'w', lease_until = '-infinity'": "a healthy worker",
}


async def test_whatever_is_changed_behind_the_products_back_is_named(tmp_path: Path) -> None:
    async with a_backfill(tmp_path) as (arena, box):
        assert await found(arena, box) == []
        for statement, words in AT_REST.items():
            assert words in await found_after(arena, box, statement), statement
        for statement, words in WHILE_RUNNING.items():
            assert words in await seen_after(arena, box, statement), statement
        fewer = replace(box, mails=box.mails[1:])
        assert f"{box.mails[0].source_id} is in no mailbox" in await found(arena, fewer)
        await the_memory_is_read_row_by_row(arena, box)
        assert await found(arena, box) == [], "everything was put back"


async def found(arena: Arena, box: Mailbox) -> list[str]:
    return await at_rest(arena.admin, box.memory, box.tenant, box.mails)


async def found_after(arena: Arena, box: Mailbox, statement: str) -> str:
    """What is found after a statement, which is then undone."""
    await arena.admin.execute("BEGIN; SET LOCAL session_replication_role = replica")
    await arena.admin.execute(statement.encode())
    violations = await found(arena, box)
    await arena.admin.execute("ROLLBACK")
    return "; ".join(violations)


async def seen_after(arena: Arena, box: Mailbox, statement: str) -> str:
    """What a watcher notes when a statement comes between two looks."""
    watcher = Watcher(arena.admin, box.mails)
    await watcher.look({"w"})
    assert watcher.violations == []
    await arena.admin.execute("BEGIN")
    await arena.admin.execute(statement.encode())
    await watcher.look({"w"})
    await arena.admin.execute("ROLLBACK")
    return "; ".join(watcher.violations)


async def the_memory_is_read_row_by_row(arena: Arena, box: Mailbox) -> None:
    """Rows are added, changed and taken away; each time the table is brought back to the version before."""
    table = lancedb.connect(box.memory / str(box.tenant)).open_table("passages")
    version, row = table.version, table.search().limit(1).to_arrow()

    def added(**changed: Any) -> None:
        table.add([{**row.to_pylist()[0], **changed}])

    changes: dict[str, Callable[[], object]] = {
        "rows have one id": added,
        "is of a message that the record does not know": lambda: added(id="x", message_id="y", subject="Order"),
        "has a passage twice": lambda: added(id="x"),
        "is in the record and not in the memory": lambda: table.delete("seq = 0"),
        "has a passage of other words": lambda: table.update(values={"text": "Something else."}),
        "has another's vector": lambda: table.update(where="seq = 0", values={"vector": [1.0, *[0.0] * 7]}),
        "lacks a passage": lambda: table.update(values={"text": "confirm by noon."}),
    }
    for words, change in changes.items():
        change()
        assert words in "; ".join(await found(arena, box)), words
        table.restore(version)
