"""The checker is loud: whatever is changed behind the product's back is a violation."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import lancedb

from atom_torture.arena import Arena, Scene, an_arena
from atom_torture.checker import Watcher, at_rest
from atom_torture.life import Life, bury, track_tasks
from atom_torture.schedule import Schedule

CALM = Schedule(
    seed=5, mails=12, folders=2, page=5, workers=1, concurrency=2, neighbour=3, poison=("unreadable", "refused")
)


@asynccontextmanager
async def a_backfill(home: Path) -> AsyncIterator[tuple[Arena, Scene]]:
    """Two tenants' mailboxes that have been read whole, in peace."""
    track_tasks(asyncio.get_running_loop())
    async with an_arena(home) as arena, arena.scene(CALM) as scene:
        for box in scene.boxes:
            await box.start()
        life = Life("w", arena.time, (), Counter())
        working = arena.employ(scene, 0, life)
        while not await _completed(arena):
            await arena.time.calm(30)
            await arena.advance(arena.time.until_next(5.0))
            await asyncio.to_thread(working.heartbeat.beat)
        await bury(life)
        yield arena, scene


async def _completed(arena: Arena) -> bool:
    rows = await (await arena.admin.execute("SELECT status FROM historical_sync_jobs")).fetchall()
    return {status for (status,) in rows} == {"completed"}


ONE_TENANT = "tenant_id = (SELECT max(id::text)::uuid FROM tenants WHERE name <> 'local')"
AT_REST = {
    "DELETE FROM messages WHERE subject LIKE 'Order%'": "(stored, failed) (0, 0) times, not (1, 0)",
    "DELETE FROM failures": "(stored, failed) (0, 0) times, not (0, 1)",
    "UPDATE messages SET subject = subject || '!'": "has another subject",
    "UPDATE message_bodies SET text = text || ' more'": "has another text",
    "DELETE FROM message_places": "lies in None",
    "UPDATE messages SET generation = 'other'": "is in the record and not in the memory",
    "UPDATE historical_sync_jobs SET status = 'failed'": "the job is failed",
    "DELETE FROM historical_sync_jobs": "a tenant has no job",
    "UPDATE messages SET tenant_id = gen_random_uuid()": "a row of messages is nobody's",
    f"UPDATE messages SET {ONE_TENANT}": "(stored, failed) (2, 0) times",
    f"UPDATE graph_nodes SET {ONE_TENANT}": "a row of graph_nodes has another tenant's words",
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
    async with a_backfill(tmp_path) as (arena, scene):
        assert await at_rest(arena.admin, scene.box.memory, scene.mails, swept=False) == []
        assert "is of a message that the record does not know" in "; ".join(await found(arena, scene))
        assert [each.rpartition(" ")[2] for each in await swept(arena, scene)] == ["foreign"]
        assert await found(arena, scene) == [], "what the database refused is in the memory no more"
        for statement, words in AT_REST.items():
            assert words in await found_after(arena, scene, statement), statement
        for statement, words in WHILE_RUNNING.items():
            assert words in await seen_after(arena, scene, statement), statement
        box = scene.box
        fewer = {**scene.mails, box.tenant: box.mails[1:]}
        lacking = await at_rest(arena.admin, box.memory, fewer, swept=True)
        assert lacking == [f"{box.mails[0].source_id} is in no mailbox"]
        await the_memory_is_read_row_by_row(arena, scene)
        assert await found(arena, scene) == [], "everything was put back"
        await what_a_sweep_finds_is_told(arena, scene)


async def found(arena: Arena, scene: Scene) -> list[str]:
    return await at_rest(arena.admin, scene.box.memory, scene.mails, swept=True)


async def swept(arena: Arena, scene: Scene) -> list[str]:
    told = [await arena.sweep(box) for box in scene.boxes]
    return [f"{count} times {kind}" for each in told for kind, count in each.items() if count]


async def what_a_sweep_finds_is_told(arena: Arena, scene: Scene) -> None:
    assert await swept(arena, scene) == []
    await arena.admin.execute("UPDATE historical_sync_jobs SET records_processed = records_processed + 1")
    table = lancedb.connect(scene.box.memory / str(scene.box.tenant)).open_table("passages")
    table.delete(f"message_id = '{table.search().limit(1).to_list()[0]['message_id']}'")
    assert [each.rpartition(" ")[2] for each in await swept(arena, scene)] == ["missing", "counters", "counters"]
    assert await found(arena, scene) == []


async def found_after(arena: Arena, scene: Scene, statement: str) -> str:
    """What is found after a statement, which is then undone."""
    await arena.admin.execute("BEGIN; SET LOCAL session_replication_role = replica")
    await arena.admin.execute(statement.encode())
    violations = await found(arena, scene)
    await arena.admin.execute("ROLLBACK")
    return "; ".join(violations)


async def seen_after(arena: Arena, scene: Scene, statement: str) -> str:
    """What a watcher notes when a statement comes between two looks."""
    watcher = Watcher(arena.admin, scene.mails)
    await watcher.look({"w"})
    assert watcher.violations == []
    await arena.admin.execute("BEGIN")
    await arena.admin.execute(statement.encode())
    await watcher.look({"w"})
    await arena.admin.execute("ROLLBACK")
    return "; ".join(watcher.violations)


async def the_memory_is_read_row_by_row(arena: Arena, scene: Scene) -> None:
    """Rows are added, changed and taken away; each time the table is brought back to the version before."""
    table = lancedb.connect(scene.box.memory / str(scene.box.tenant)).open_table("passages")
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
        assert words in "; ".join(await found(arena, scene)), words
        table.restore(version)
