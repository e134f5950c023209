"""Planted bugs: each a small patch of the product that breaks one of its promises. The harness must catch every one.

What a patch replaces occurs exactly once in its file; a test holds that, so that no plant withers unnoticed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from atom_torture.campaign import ROOT

PRODUCT = ROOT / "src" / "atom_backfill"
_FENCE = "AND fence = %(fence)s AND state = 'leased'"


class WitheredError(Exception):
    """The product has changed where a bug was planted."""


@dataclass(frozen=True, slots=True)
class Plant:
    """In `file`, `new` takes the place of `old`. `name` says what is broken by it."""

    name: str
    file: str
    old: str
    new: str


def _sql(name: str, file: str, query: str, old: str, new: str) -> Plant:
    """Plant in one query of a file, where the text to be replaced may occur in others."""
    text = (PRODUCT / file).read_text()
    start = text.index(f"-- name: {query}\n")
    end = text.find("-- name:", start + 1)
    whole = text[start : end if end >= 0 else len(text)]
    return Plant(name, file, whole, whole.replace(old, new, 1))


def plants() -> tuple[Plant, ...]:
    """Return all of them."""
    jobs, ledger, page = "jobs/queries.sql", "backfill/queries.sql", "backfill/page.py"
    return (
        _sql("the fence is not checked when a page commits", ledger, "hold_fence", _FENCE, ""),
        _sql("a zombie's settle is accepted", jobs, "settle_done", _FENCE, ""),
        _sql("a claim does not raise the fence", jobs, "take_chunk", "fence = chunk.fence + 1, ", ""),
        _sql("claims take chunks whose lease stands", jobs, "take_chunk", " AND chunk.lease_until < atom_now()", ""),
        _sql("the reaper takes live leases", jobs, "rescue_lapsed", " AND lease_until < atom_now()", ""),
        _sql(
            "renewals are not stored",
            jobs,
            "renew_leases",
            "FROM free WHERE chunk.id = free.id",
            "FROM free WHERE false",
        ),
        _sql(
            "a job is complete while a chunk is worked on",
            jobs,
            "count_chunks",
            "state IN ('ready', 'leased') AND lane",
            "state = 'ready' AND lane",
        ),
        _sql(
            "a settle that gives up work marks it done",
            jobs,
            "settle_again",
            "SET state = 'ready'",
            "SET state = 'done'",
        ),
        _sql(
            "what was taken back is never claimed again",
            jobs,
            "rescue_lapsed",
            "SET state = 'ready'",
            "SET state = 'quarantined'",
        ),
        Plant("the memory is not written", page, "        await index.upsert(rows, vectors)\n", "        pass\n"),
        Plant(
            "the position is committed before the page",
            page,
            '    await parts.reached("fetched")\n',
            "    await parts.ledger.commit(\n"
            "        lease, Batch(position=position, has_more=has_more), one_place=work.one_place\n    )\n"
            '    await parts.reached("fetched")\n',
        ),
        Plant(
            "unreadable items are dropped",
            page,
            "failed=(*failed, *(_unreadable(lease, item) for item in page.unreadable)),",
            "failed=tuple(failed),",
        ),
        Plant(
            "items that cannot be parsed are dropped",
            page,
            "            failed.append(_failed(lease, item, reading))\n",
            "            pass\n",
        ),
        Plant(
            "rows that the database refuses are dropped",
            "backfill/postgres.py",
            "for item in (*batch.failed, *page.refused)",
            "for item in batch.failed",
        ),
        Plant(
            "the savepoint is left out",
            "backfill/postgres.py",
            "            async with self._tx.savepoint():\n                written = await _write",
            "            if True:\n                written = await _write",
        ),
        Plant(
            "records are counted again when a page is done again",
            "backfill/postgres.py",
            "return replace(written, messages=len(fresh), done=",
            "return replace(written, messages=len(messages), done=",
        ),
        Plant(
            "the counters are not raised",
            "backfill/postgres.py",
            '        await self._tx.execute(SQL["raise_counters"], keys | counted)\n',
            "",
        ),
        Plant(
            "entities are counted twice",
            "backfill/postgres.py",
            "    return _Written(entities=findings + nodes, relationships=edges, lowered=lowered)",
            "    return _Written(entities=findings + 2 * nodes, relationships=edges, lowered=lowered)",
        ),
        Plant(
            "the last walk is left out",
            "backfill/handler.py",
            '"check": run_check',
            '"check": run_chunk',
        ),
        Plant(
            "passages are added instead of upserted",
            "memory/lance.py",
            "        await _committed(lambda: merge.execute(written))\n",
            "        await _committed(lambda: self._table.add(written))\n",
        ),
        Plant(
            "passages are named after the claim",
            page,
            "        generation=message.generation,\n    )\n\n\ndef _failed",
            '        generation=f"{message.generation}-{lease.fence}",\n    )\n\n\ndef _failed',
        ),
        Plant(
            "an error of the database counts as done",
            "jobs/retry.py",
            "        case RetryLaterError() if attempts + 1 < ATTEMPTS:\n            return Again(",
            "        case RetryLaterError() if attempts + 1 < ATTEMPTS and error.code.startswith('database'):\n"
            "            from atom_backfill.jobs.job import Done\n\n            return Done()\n"
            "        case RetryLaterError() if attempts + 1 < ATTEMPTS:\n            return Again(",
        ),
        Plant(
            "the end of a page is taken for the end of the window",
            "backfill/chunk.py",
            "            position, has_more = walk.position, not walk.over\n",
            "            position, has_more = walk.position, False\n",
        ),
        Plant(
            "the place of a message is not noted",
            "backfill/postgres.py",
            "        await archive.write_places(self._tx, self._lease, (*stored, *batch.seen), one_place=one_place)\n",
            "",
        ),
        Plant(
            "a lost lease does not stop the handler",
            "jobs/worker.py",
            "            loop.call_soon_threadsafe(handling.cancel)\n",
            "            pass\n",
        ),
    )


@contextmanager
def planted(plant: Plant) -> Iterator[Path]:
    """Make a copy of the product with a bug in it; gives the folder to put on the path."""
    with tempfile.TemporaryDirectory(prefix="atom-planted-") as folder:
        shutil.copytree(PRODUCT, Path(folder) / "atom_backfill", ignore=shutil.ignore_patterns("__pycache__"))
        file = Path(folder) / "atom_backfill" / plant.file
        text = file.read_text()
        if text.count(plant.old) != 1 or plant.old == plant.new:
            raise WitheredError(f"{plant.name}: what it replaces in {plant.file} is not there once")
        file.write_text(text.replace(plant.old, plant.new))
        yield Path(folder)
