"""The first chunk of a job: list the folders, ask for counts where needed, and add the chunks folder by folder.

Each folder's chunks are added in one transaction together with the note that it is planned, so a planner that dies is
taken up where it stood, and the first folder is being read while the last is still being counted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from atom_backfill.backfill.page import Parts
from atom_backfill.backfill.plan import chosen, cut, gaps, unknown_names
from atom_backfill.backfill.ports import Planned, Work
from atom_backfill.errors import NeedsOwnerError
from atom_backfill.identity import chunk_id
from atom_backfill.jobs.control import FIRST_STAGE
from atom_backfill.jobs.job import ChunkId, ChunkPlan, Done, Lease, Outcome, Yielded
from atom_backfill.jobs.ports import Watch
from atom_backfill.sources.ports import Folder, MailSource, Window

CHECK_STAGE = FIRST_STAGE + 1
_FIRST = ("inbox", "sentitems")
_FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)


async def run_plan(lease: Lease, watch: Watch, parts: Parts) -> Outcome:
    """Plan the job. Raises NeedsOwnerError where a folder asked for does not exist."""
    work = await parts.ledger.open(lease)
    source = await parts.source(lease)
    folders = await source.folders()
    missing = unknown_names(folders, work.folders)
    if missing:
        raise NeedsOwnerError(
            "no_such_folder",
            "A folder that was asked for is not in the mailbox any more: `cancel` this job, and start anew.",
        )
    wanted = sorted(chosen(folders, work.folders), key=_importance)
    planned: list[str] = list(work.position.get("planned", []))
    expected = {folder.folder_id: max(0, folder.messages_hint or 0) for folder in wanted}
    expected |= work.position.get("expected", {})
    await parts.ledger.plan(lease, Planned(folders, (), sum(expected.values()), work.position))
    for number, folder in enumerate(wanted):
        if folder.folder_id in planned:
            continue
        chunks = await _plan_folder(lease, work, source, folder, number, parts)
        planned.append(folder.folder_id)
        expected[folder.folder_id] = sum(chunk.messages_hint or 0 for chunk in chunks if chunk.kind == "window")
        position: dict[str, Any] = {"planned": planned, "expected": expected}
        await parts.reached("folder_planned")
        await parts.ledger.plan(lease, Planned((), chunks, sum(expected.values()), position))
        if watch.stopping:
            return Yielded()
    return Done()


async def _plan_folder(
    lease: Lease, work: Work, source: MailSource, folder: Folder, number: int, parts: Parts
) -> tuple[ChunkPlan, ...]:
    """Cut what the memory does not cover yet into windows, and add the check of the whole range."""
    whole = Window(work.job_start, work.job_end)
    covered = [] if work.again else await parts.ledger.covered(lease, folder.folder_id)
    count = partial(source.count, folder.folder_id)
    in_all = None if folder.messages_hint is None or folder.messages_hint < 0 else folder.messages_hint
    chunks: list[ChunkPlan] = []
    for gap in gaps(whole, covered):
        is_all = gap == Window(None, work.job_end) and in_all is not None
        hint = in_all if is_all else await count(gap)
        chunks += [_chunk(lease, folder, piece, size, number) for piece, size in await cut(gap, hint, count)]
    check = ChunkPlan(
        chunk_id=ChunkId(chunk_id(lease.job_id, "check", folder.folder_id)),
        kind="check",
        stage=CHECK_STAGE,
        seq=number,
        folder_id=folder.folder_id,
        window_start=work.job_start,
        window_end=work.job_end,
        messages_hint=in_all,
    )
    return (*chunks, check)


def _chunk(lease: Lease, folder: Folder, window: Window, hint: int | None, number: int) -> ChunkPlan:
    end = window.end or _FAR_FUTURE
    return ChunkPlan(
        chunk_id=ChunkId(chunk_id(lease.job_id, "window", folder.folder_id, str(window.start), str(window.end))),
        kind="window",
        stage=FIRST_STAGE,
        seq=_newest_first(end) * 1000 + min(number, 999),
        folder_id=folder.folder_id,
        window_start=window.start,
        window_end=window.end,
        messages_hint=hint,
    )


def _newest_first(end: datetime) -> int:
    return int((_FAR_FUTURE - end).total_seconds())


def _importance(folder: Folder) -> tuple[bool, str]:
    return folder.well_known not in _FIRST, folder.path.casefold()
