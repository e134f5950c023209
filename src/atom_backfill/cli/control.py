"""Steering jobs: pause, resume, cancel; what could not be read, and reading it again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from atom_backfill.cli.arguments import LANE, USD
from atom_backfill.cli.command import Invocation, command
from atom_backfill.cli.jobs import show_job
from atom_backfill.cli.render import answer, handle, line, note, shown, table
from atom_backfill.cli.session import tenancies, with_app, with_tenancy
from atom_backfill.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from atom_backfill.app.core import App, Tenancy
    from atom_backfill.jobs.job import JobId, Lane

Document = dict[str, Any]
Operation = Callable[["Tenancy", "JobId"], Awaitable[None]]


@command("pause", "pause 1f0c", "pause ines@lumen.example --lane graph")
@click.argument("job")
@click.option("--lane", type=LANE, help="This lane only (default: the job).")
@click.pass_obj
def pause(call: Invocation, job: str, lane: str | None) -> None:
    """Pause a job at the next page; `resume` goes on from there."""
    _change(call, job, lambda tenancy, found: tenancy.control.pause(found, _lane(lane)))


@command("resume", "resume 1f0c", "resume 1f0c --budget-usd 20")
@click.argument("job")
@click.option("--lane", type=LANE, help="This lane only (default: the job).")
@click.option("--budget-usd", type=USD, metavar="USD", help="Raise what the graph lane may spend to this much in all.")
@click.pass_obj
def resume(call: Invocation, job: str, lane: str | None, budget_usd: Decimal | None) -> None:
    """Go on with a paused or failed job."""

    async def run(tenancy: Tenancy, found: JobId) -> None:
        await tenancy.refuse_unpriced(budget_usd)
        await tenancy.control.resume(found, _lane(lane), budget_usd)

    _change(call, job, run)


@command("cancel", "cancel 1f0c", "cancel 1f0c --lane graph")
@click.argument("job")
@click.option("--lane", type=LANE, help="This lane only (default: the job).")
@click.pass_obj
def cancel(call: Invocation, job: str, lane: str | None) -> None:
    """End a job for good; everything stored stays."""
    _change(call, job, lambda tenancy, found: tenancy.control.cancel(found, _lane(lane)))


@command("failures", "failures 1f0c", "failures --all-tenants --json")
@click.argument("job", required=False)
@click.option("--all-tenants", is_flag=True, help="Of every tenant.")
@click.pass_obj
def failures(call: Invocation, job: str | None, all_tenants: bool) -> None:
    """List what could not be read, and why.

    Of one job, or without JOB of all of them.
    """

    async def run(app: App) -> list[Document]:
        found: list[Document] = []
        missing: NotFoundError | None = None
        async for tenancy in tenancies(app, every=all_tenants):
            try:
                named = [await tenancy.jobs.resolve(job)] if job else await _jobs_with_failures(tenancy)
            except NotFoundError as error:
                missing = error
                continue
            tenant = {"tenant_id": tenancy.id, "tenant": tenancy.name} if all_tenants else {}
            found += [{"job_id": each, **row, **tenant} for each in named for row in await tenancy.jobs.failures(each)]
            if job:  # an id is one tenant's; of an address that several have, the oldest tenant's is meant
                return found
        if job and missing:
            raise missing
        return found

    found = with_app(call, run)
    answer(call, {"failures": found}, lambda: _show_failures(found))


@command("retry", "retry 1f0c", "retry 1f0c --failure 7a21 --failure 90cc", "retry 1f0c --dry-run")
@click.argument("job")
@click.option("--failure", "named", multiple=True, metavar="ID", help="This failure only; repeatable.")
@click.option("--dry-run", is_flag=True, help="Show what would be read again.")
@click.pass_obj
def retry(call: Invocation, job: str, named: tuple[str, ...], dry_run: bool) -> None:
    """Read again what could not be read.

    A completed job stays completed meanwhile.
    """

    async def run(tenancy: Tenancy) -> Document:
        found = await tenancy.jobs.resolve(job)
        listed = await tenancy.jobs.failures(found)
        chosen = [_find(listed, each) for each in named] if named else listed
        if chosen and not dry_run:
            # None by name: then those count too that were added since they were listed.
            await tenancy.control.retry(found, [each["failure_id"] for each in chosen] if named else ())
        status = (await tenancy.jobs.job(found))["status"]
        return {"job_id": found, "status": status, "dry_run": dry_run, "failures": chosen}

    done = with_tenancy(call, run)
    answer(call, done, lambda: _show_retry(done))


def _change(call: Invocation, job: str, operation: Operation) -> None:
    async def run(tenancy: Tenancy) -> Document:
        found = await tenancy.jobs.resolve(job)
        await operation(tenancy, found)
        return await tenancy.jobs.job(found)

    changed = with_tenancy(call, run)
    answer(call, changed, lambda: show_job(changed))


def _lane(named: str | None) -> Lane | None:
    from atom_backfill.jobs.job import Lane

    return Lane(named) if named else None


async def _jobs_with_failures(tenancy: Tenancy) -> list[JobId]:
    from atom_backfill.backfill.reader import MOST_JOBS
    from atom_backfill.jobs.job import JobId

    return [JobId(UUID(job["job_id"])) for job in await tenancy.jobs.jobs(limit=MOST_JOBS) if job["failures"]]


def _find(listed: list[Document], named: str) -> Document:
    """Return the failure that an id or its beginning names."""
    wanted = named.strip().casefold()
    found = [each for each in listed if wanted and str(each["failure_id"]).startswith(wanted)]
    if not found:
        raise NotFoundError("no_such_failure", f"There is no failure {named!r}; `atom-backfill failures` lists them.")
    if len(found) > 1:
        raise UsageError("ambiguous", f"{named!r} names several failures; give more of the id.")
    return found[0]


def _show_failures(found: list[Document]) -> None:
    if not found:
        note("There are no failures.")
        return
    names = ("stage", "error_code", "attempts", "last_at", "error")
    headings = ["FAILURE", "FOLDER", "STAGE", "CODE", "ATTEMPTS", "LAST TRIED", "WHY"]
    rows = [[handle(row["failure_id"]), row["folder"] or "", *(row[name] for name in names)] for row in found]
    table(headings, rows, right=[4])


def _show_retry(done: Document) -> None:
    count = len(done["failures"])
    if not count:
        note("There is nothing to read again.")
    elif done["dry_run"]:
        _show_failures(done["failures"])
        line(f"Would read {count:,} again.")
    else:
        line(f"Reading {count:,} again; a worker will do it ({shown(done['job_id'])[:8]}).")


COMMANDS = (pause, resume, cancel, failures, retry)
