"""Jobs and their failures as people and scripts are shown them."""

from __future__ import annotations

from string import hexdigits
from typing import Any
from uuid import UUID

from atom_backfill.backfill.progress import job_view
from atom_backfill.db.named_sql import load_queries
from atom_backfill.db.pool import Database
from atom_backfill.db.scope import Work
from atom_backfill.db.transaction import Row
from atom_backfill.errors import NotFoundError, UsageError
from atom_backfill.jobs.job import AccountId, JobId, TenantId
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.ports import Window

SQL = load_queries(__package__)
MOST_JOBS = 1000


class JobReader:
    """One tenant's jobs, read-only."""

    def __init__(self, database: Database, tenant: TenantId) -> None:
        self._database = database
        self._tenant = tenant

    async def jobs(self, *, status: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """Return JOB documents, newest first."""
        return [job_view(row) for row in await self._rows(None, None, status, min(limit, MOST_JOBS))]

    async def job(self, job: JobId) -> dict[str, Any]:
        """Return one JOB document. Raises NotFoundError."""
        rows = await self._rows(job, job, None, 1)
        if not rows:
            raise _no_such_job(str(job))
        return job_view(rows[0])

    async def resolve(self, named: str) -> JobId:
        """Find the job that an id or its beginning names, or the address or id of its account: the latest job of that.

        Raises NotFoundError, and UsageError where it names several.
        """
        wanted = named.strip().casefold()
        async with self._database.transaction(Work(self._tenant)) as tx:
            latest = await tx.fetch_all(SQL["latest_jobs"], {"tenant": self._tenant})
        # The address first: that of local files is any name, also one that reads like the beginning of an id.
        found = [row["id"] for row in latest if row["address"].casefold() == wanted] or await self._beginning(wanted)
        digits = wanted.replace("-", "")
        found = found or [row["id"] for row in latest if digits and row["account_id"].hex.startswith(digits)]
        if not found:
            raise _no_such_job(named)
        if len(found) > 1:
            raise UsageError("ambiguous", f"{named!r} names several jobs; give more of the id.")
        return JobId(found[0])

    async def failures(self, job: JobId) -> list[Row]:
        """Return what the job could not read, the oldest first."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            return await tx.fetch_all(SQL["list_failures"], {"tenant": self._tenant, "job": job})

    async def covered(self, account: AccountId) -> dict[FolderId, list[Window]]:
        """Return the windows of each folder of an account that its jobs have walked to their end."""
        async with self._database.transaction(Work(self._tenant)) as tx:
            rows = await tx.fetch_all(SQL["list_covered"], {"tenant": self._tenant, "account": account})
        covered: dict[FolderId, list[Window]] = {}
        for row in rows:
            window = Window(row["window_start"], row["window_end"])
            covered.setdefault(FolderId(row["folder_id"]), []).append(window)
        return covered

    async def _beginning(self, wanted: str) -> list[UUID]:
        """Return the jobs whose ids begin like this, two at most."""
        digits = wanted.replace("-", "")
        if not 1 <= len(digits) <= 32 or not set(digits) <= set(hexdigits):
            return []
        rows = await self._rows(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f")), None, 2)
        return [row["id"] for row in rows]

    async def _rows(self, least: UUID | None, most: UUID | None, status: str | None, limit: int) -> list[Row]:
        keys = {"tenant": self._tenant, "least": least, "most": most, "status": status, "limit": limit}
        async with self._database.transaction(Work(self._tenant)) as tx:
            return await tx.fetch_all(SQL["read_jobs"], keys)


def _no_such_job(named: str) -> NotFoundError:
    return NotFoundError("no_such_job", f"There is no job {named!r}; `atom-backfill jobs` lists them.")
