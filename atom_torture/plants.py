"""Planted bugs: each a small patch of the product that breaks one of its promises. The harness must catch every one.

What a patch replaces occurs exactly once in its file, or in the query that it names; a test holds that, so that no
plant withers unnoticed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from atom_torture.campaign import ROOT


class WitheredError(Exception):
    """The product has changed where a bug was planted."""


@dataclass(frozen=True, slots=True)
class Plant:
    """In `file`, `new` takes the place of `old`; of a file of queries, in the one named. `name` says what is broken."""

    name: str
    file: str
    old: str
    new: str
    query: str = ""

    def grown_in(self, text: str) -> str:
        """Return a file's text with the bug in it. Raises WitheredError where its place is not there once."""
        start = text.find(f"-- name: {self.query}\n") if self.query else 0
        end = text.find("-- name:", start + 1) if self.query else len(text)
        bed = text[start:end]
        if start < 0 or bed.count(self.old) != 1 or self.old == self.new:
            raise WitheredError(f"{self.name}: what it replaces in {self.file} is not there once")
        return text[:start] + bed.replace(self.old, self.new) + text[end:]


@contextmanager
def planted(plant: Plant) -> Iterator[Path]:
    """Make a copy of the product with a bug in it; gives the folder to put on the path."""
    with tempfile.TemporaryDirectory(prefix="atom-planted-") as folder:
        product = Path(folder) / "atom_backfill"
        shutil.copytree(ROOT / "src" / "atom_backfill", product, ignore=shutil.ignore_patterns("__pycache__"))
        file = product / plant.file
        file.write_text(plant.grown_in(file.read_text()))
        yield Path(folder)


_JOBS, _LEDGER, _PAGE = "jobs/queries.sql", "backfill/queries.sql", "backfill/page.py"
_FENCE = "AND fence = %(fence)s AND state = 'leased'"
PLANTS = (
    Plant("the fence is not checked when a page commits", _LEDGER, _FENCE, "", "hold_fence"),
    Plant("a zombie's settle is accepted", _JOBS, _FENCE, "", "settle_done"),
    Plant("a claim does not raise the fence", _JOBS, "fence = chunk.fence + 1, ", "", "take_chunk"),
    Plant("claims take chunks whose lease stands", _JOBS, " AND chunk.lease_until < atom_now()", "", "take_chunk"),
    Plant(
        "leases are made by another clock than the one that judges them",
        _JOBS,
        "lease_until = atom_now() +",
        "lease_until = clock_timestamp() - interval '1 hour' +",
        "take_chunk",
    ),
    Plant("the reaper takes live leases", _JOBS, " AND lease_until < atom_now()", "", "rescue_lapsed"),
    Plant(
        "renewals are not stored", _JOBS, "FROM free WHERE chunk.id = free.id", "FROM free WHERE false", "renew_leases"
    ),
    Plant(
        "a job is complete while a chunk is worked on",
        _JOBS,
        "state IN ('ready', 'leased') AND lane",
        "state = 'ready' AND lane",
        "count_chunks",
    ),
    Plant(
        "a settle that gives up work marks it done", _JOBS, "SET state = 'ready'", "SET state = 'done'", "settle_again"
    ),
    Plant(
        "what was taken back is never claimed again",
        _JOBS,
        "SET state = 'ready'",
        "SET state = 'quarantined'",
        "rescue_lapsed",
    ),
    Plant("the memory is not written", _PAGE, "        await index.upsert(rows, vectors)\n", "        pass\n"),
    Plant(
        "the position is committed before the page",
        _PAGE,
        '    await parts.reached("fetched")\n',
        "    await parts.ledger.commit(\n"
        "        lease, Batch(position=position, has_more=has_more), one_place=work.one_place\n    )\n"
        '    await parts.reached("fetched")\n',
    ),
    Plant(
        "unreadable items are dropped",
        _PAGE,
        "failed=(*failed, *(_unreadable(lease, item) for item in page.unreadable)),",
        "failed=tuple(failed),",
    ),
    Plant(
        "items that cannot be parsed are dropped",
        _PAGE,
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
        "        await self._commit(merge)\n",
        "        await self._commit(lambda table: table.add(written))\n",
    ),
    Plant(
        "passages are named after the claim",
        _PAGE,
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
        "a lease that cannot be renewed is believed in for ever",
        "jobs/heartbeat.py",
        "if now - item.renewed_at < self._lease_s}",
        "if now}",
    ),
    Plant(
        "a memory is kept open without its tenant's name",
        _PAGE,
        "index = await parts.memory(lease.tenant_id)\n",
        'index = store_page.__dict__.setdefault("index", await parts.memory(lease.tenant_id))\n',
    ),
    Plant(
        "a lost lease does not stop the handler",
        "jobs/worker.py",
        "            loop.call_soon_threadsafe(handling.cancel)\n",
        "            pass\n",
    ),
)
