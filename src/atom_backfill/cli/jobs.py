"""Jobs: start, list, show, watch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import click

from atom_backfill.cli.arguments import MOMENT, USD
from atom_backfill.cli.command import Invocation, command
from atom_backfill.cli.render import answer, duration, handle, line, note, pairs, shown, table
from atom_backfill.cli.session import NO_ACCOUNTS, connected, patient_source, tenancies, with_app, with_tenancy
from atom_backfill.errors import AtomError, UsageError

if TYPE_CHECKING:
    from atom_backfill.app.core import App, Tenancy
    from atom_backfill.jobs.job import JobId
    from atom_backfill.sources.accounts import Account

Document = dict[str, Any]
STATUSES = click.Choice(["pending", "running", "paused", "failed", "cancelled", "completed"])
EXIT_STATUS = {"completed": 0, "failed": 1, "cancelled": 1}
"""Of a job that has ended, by its status."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `start` was asked to read."""

    since: datetime | None
    until: datetime | None
    days: int | None
    folders: tuple[str, ...]
    again: bool
    graph: Literal["auto", "on", "off"]
    budget_usd: Decimal | None


@command(
    "start",
    "start ines@lumen.example --watch",
    "start ines@lumen.example --since 2023-01-01 --until 2024-01-01 --folder Inbox",
    "start --all --days 30",
)
@click.argument("account", required=False)
@click.option("--all", "every", is_flag=True, help="Start every connected account of the tenant.")
@click.option("--since", type=MOMENT, help="Read mail received at or after this moment (default: from the beginning).")
@click.option("--until", type=MOMENT, help="Read mail received before this moment; a bare date is its midnight.")
@click.option("--days", type=click.IntRange(1, 36_500), metavar="N", help="Read the last N days, instead of --since.")
@click.option("--folder", "folders", multiple=True, metavar="NAME", help="Read this folder (`all`: every); repeatable.")
@click.option("--again", is_flag=True, help="Read again what is stored already.")
@click.option(
    "--graph", type=click.Choice(["auto", "on", "off"]), default="auto", show_default=True, help="The graph lane."
)
@click.option("--budget-usd", type=USD, metavar="USD", help="Most that the graph lane may spend.")
@click.option("--watch", "watching", is_flag=True, help="Stay and show the progress.")
@click.pass_obj
def start(call: Invocation, /, account: str | None, every: bool, watching: bool, **asked: Any) -> int:
    """Create a job that reads a mailbox.

    Workers do the reading: `worker`, or `run JOB` here. Without --folder all folders are read but Junk, Deleted Items
    and Drafts. Only what the memory does not cover yet is fetched. Dates without a zone are UTC; times are taken to
    the whole second.
    """
    if (account is None) == (not every):
        raise UsageError("bad_arguments", "Name one account, or give --all.")
    if every and watching:
        raise UsageError("bad_arguments", "--watch follows one job: start one account, or leave it out.")
    if asked["since"] and asked["days"]:
        raise UsageError("bad_arguments", "--since and --days say the same: give one of them.")
    wanted = Wanted(**asked)
    return _start_one(call, account, wanted, watching) if account else _start_all(call, wanted)


@command("jobs", "jobs", "jobs --status running --json")
@click.option("--status", type=STATUSES, help="Those in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), metavar="N", default=20, show_default=True, help="How many.")
@click.option("--all-tenants", is_flag=True, help="Those of every tenant.")
@click.pass_obj
def jobs(call: Invocation, status: str | None, limit: int, all_tenants: bool) -> None:
    """List jobs, the newest first."""

    async def run(app: App) -> list[Document]:
        found = [
            job | ({"tenant_id": tenancy.id, "tenant": tenancy.name} if all_tenants else {})
            async for tenancy in tenancies(app, every=all_tenants)
            for job in await tenancy.jobs.jobs(status=status, limit=limit)
        ]
        # Each tenant has given its newest, so the newest of all are among them.
        return sorted(found, key=lambda job: job["created_at"], reverse=True)[:limit]

    found = with_app(call, run)
    answer(call, {"jobs": found}, lambda: _show_jobs(found, all_tenants))


@command("show", "show 1f0c", "show ines@lumen.example --json")
@click.argument("job")
@click.pass_obj
def show(call: Invocation, job: str) -> None:
    """Show how far a job is, how fast, and what it waits for."""

    async def run(tenancy: Tenancy) -> Document:
        return await tenancy.jobs.job(await tenancy.jobs.resolve(job))

    found = with_tenancy(call, run)
    answer(call, found, lambda: show_job(found))


@command("watch", "watch 1f0c", "watch ines@lumen.example --json")
@click.argument("job")
@click.option("--until-done", is_flag=True, help="Return when the job has ended; this is what it does anyway.")
@click.pass_obj
def watch(call: Invocation, job: str, until_done: bool) -> int:
    """Follow a job until it has ended, and a retry of it too.

    Exit status 0: completed; 1: failed or cancelled. With --json one line for each change. Ending the watch does not
    end the job.
    """

    async def run(tenancy: Tenancy) -> Document:
        return await _watch(call, tenancy, await tenancy.jobs.resolve(job))

    return ended(call, with_tenancy(call, run))


def show_job(job: Document) -> None:
    """Print one job for people."""
    ingest, graph = job["ingest"], job["graph"]
    pairs(
        [
            ("job", job["job_id"]),
            ("account", job["account_id"]),
            ("address", job["address"]),
            ("status", f"{job['status']}, {job['phase']}" if job["phase"] != "done" else job["status"]),
            ("messages", f"{shown(ingest['messages_done'])} of {shown(ingest['messages_total'])}"),
            ("percent", f"{ingest['percent']:g}"),
            ("rate", f"{ingest['rate_per_s']:g} a second"),
            ("time left", duration(ingest["eta_s"])),
            ("limited by", ingest["limited_by"]),
            ("throttled", duration(ingest["throttled_s"])),
            ("chunks", f"{shown(ingest['chunks_done'])} of {shown(ingest['chunks_total'])}"),
            ("graph lane", _lane(graph)),
            ("stored", job["records_processed"]),
            ("entities", job["entities_extracted"]),
            ("relationships", job["relationships_extracted"]),
            ("failures", job["failures"]),
            *((name.replace("_", " "), job[name]) for name in ("created_at", "started_at", "completed_at")),
            ("last sign of life", job["last_heartbeat"]),
            ("last error", job["last_error"]),
        ]
    )


def _lane(graph: Document) -> str:
    """Tell how far a graph lane is, and what it has spent."""
    state = str(graph["status"]).replace("_", " ")
    if not graph["units_total"]:
        return state
    spent = "cost unknown" if graph["usd"] is None else f"${graph['usd']:.4f}"
    limit = "" if graph["budget_usd"] is None else f" of ${graph['budget_usd']:g}"
    units = f"{shown(graph['units_done'])} of {shown(graph['units_total'])} units"
    return f"{state}: {units}, {shown(graph['calls'])} calls, {spent}{limit}"


def ended(call: Invocation, job: Document) -> int:
    """Say how a job ended, and return the exit status of that."""
    status = EXIT_STATUS[job["status"]]
    if status and not call.json:
        why = f"The job has failed: {shown(job['last_error'])}" if job["last_error"] else "The job has failed."
        note(why if job["status"] == "failed" else "The job was cancelled.")
    return status


async def _watch(call: Invocation, tenancy: Tenancy, job: JobId) -> Document:
    import asyncio

    from atom_backfill.cli.live import display, follow

    try:
        with display(as_json=call.json, title=await title_of(tenancy, job)) as screen:
            return await follow(lambda: tenancy.jobs.job(job), screen, tenancy.app.outside.clock)
    except asyncio.CancelledError:  # by Ctrl-C; told here, so that it also holds for `start --watch`
        note("The job goes on without being watched.")
        raise


async def title_of(tenancy: Tenancy, job: JobId) -> str:
    """Name a job for people: its account's address, and the beginning of its id."""
    account_id = (await tenancy.jobs.job(job))["account_id"]
    known = {str(account.account_id): account.address for account in await tenancy.accounts.list()}
    return f"{shown(known.get(account_id, account_id))}, job {str(job)[:8]}"


def _start_one(call: Invocation, account: str, wanted: Wanted, watching: bool) -> int:
    async def run(tenancy: Tenancy) -> Document:
        from atom_backfill.sources.accounts import find_account

        job = await _submit(tenancy, await find_account(tenancy.accounts, account), wanted)
        made = await tenancy.jobs.job(job)
        document = {"job_id": made["job_id"], "status": made["status"]}
        answer(call, document, lambda: line(f"Job {made['job_id']} is {made['status']}."))
        if not call.json:
            note(f"A worker will read it; for one in this terminal: atom-backfill run {made['job_id'][:8]}")
        return await _watch(call, tenancy, job) if watching else made

    made = with_tenancy(call, run)
    return ended(call, made) if watching else 0


def _start_all(call: Invocation, wanted: Wanted) -> int:
    async def run(tenancy: Tenancy) -> tuple[list[Document], list[AtomError]]:
        made: list[Document] = []
        errors: list[AtomError] = []
        accounts = await connected(tenancy)
        if not accounts:
            raise UsageError("no_accounts", NO_ACCOUNTS)
        for account in accounts:
            try:
                job = await tenancy.jobs.job(await _submit(tenancy, account, wanted))
                names = ("job_id", "account_id", "status")
                made.append({name: job[name] for name in names} | {"address": account.address})
            except AtomError as error:  # one mailbox that cannot be read keeps none of the others waiting
                errors.append(error)
                note(f"{shown(account.address)}: {error.message}")
        return made, errors

    made, errors = with_tenancy(call, run)
    answer(call, {"jobs": made}, lambda: _show_started(made))
    return max((error.exit_status for error in errors), default=0)


async def _submit(tenancy: Tenancy, account: Account, wanted: Wanted) -> JobId:
    from atom_backfill.backfill.start import Request
    from atom_backfill.backfill.start import start as submit

    outside = tenancy.app.outside
    # Against this machine's clock only to refuse what is plainly wrong; the job's end is set by the database's.
    now = outside.clock.now().replace(microsecond=0)
    since = now - timedelta(days=wanted.days) if wanted.days else wanted.since
    if since and since >= now:
        raise UsageError("empty_range", "The range is empty: --since must lie in the past.")
    request = Request(
        account=account.account_id,
        since=since,
        until=wanted.until,
        folders=wanted.folders,
        again=wanted.again,
        graph=wanted.graph,
        budget_usd=wanted.budget_usd,
        chunk_size=tenancy.app.settings.page_size,
    )
    await tenancy.refuse_unpriced(wanted.budget_usd)
    source = await patient_source(tenancy, account)
    return await submit(request, source, tenancy.control, outside.new_id)


def _show_jobs(found: list[Document], all_tenants: bool) -> None:
    if not found:
        note("There are no jobs: atom-backfill start --help")
        return
    # The day is enough to tell jobs apart, and leaves room for the mailbox in 80 columns; `show` has the rest.
    headings = [
        "JOB",
        "ADDRESS",
        "STATUS",
        "MESSAGES",
        "%",
        "FAILURES",
        "CREATED",
        *(["TENANT"] if all_tenants else []),
    ]
    rows = [
        [
            handle(job["job_id"]),
            job["address"],
            job["status"],
            job["ingest"]["messages_done"],
            f"{job['ingest']['percent']:g}",
            job["failures"],
            f"{job['created_at']:%Y-%m-%d}",
            *([job["tenant"]] if all_tenants else []),
        ]
        for job in found
    ]
    table(headings, rows, right=[3, 4, 5])


def _show_started(made: list[Document]) -> None:
    for job in made:
        line(f"Job {job['job_id']} of {shown(job['address'])} is {job['status']}.")


COMMANDS = (start, jobs, show, watch)
