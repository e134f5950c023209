"""What the engine calls for a chunk of the ingest lane, by the chunk's kind."""

from __future__ import annotations

from atom_backfill.backfill.check import run_check, run_retry
from atom_backfill.backfill.chunk import run_chunk
from atom_backfill.backfill.page import Parts
from atom_backfill.backfill.planning import run_plan
from atom_backfill.errors import BugError
from atom_backfill.jobs.job import Lease, Outcome
from atom_backfill.jobs.ports import Handler, Watch

_RUNS = {"plan": run_plan, "window": run_chunk, "check": run_check, "retry": run_retry}


def ingest_handler(parts: Parts) -> Handler:
    """Return the handler of the ingest lane."""

    async def handle(lease: Lease, watch: Watch) -> Outcome:
        run = _RUNS.get(lease.kind)
        if run is None:
            raise BugError(
                "unknown_chunk",
                f"A chunk is of the unknown kind {lease.kind!r}; another version of atom-backfill made it.",
            )
        return await run(lease, watch, parts)

    return handle
