"""Workers: one that serves, and one that serves until a job is done."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from atom_backfill.cli.command import Invocation, command
from atom_backfill.cli.jobs import Document, ended, title_of
from atom_backfill.cli.render import note
from atom_backfill.cli.session import settings_of, with_app, with_tenancy
from atom_backfill.cli.signals import INTERRUPTED, on_signals
from atom_backfill.errors import RefusedError

if TYPE_CHECKING:
    import asyncio

    from atom_backfill.app.core import App, Tenancy
    from atom_backfill.jobs.job import JobId, Lane


def _lanes(_: click.Context, __: click.Parameter, value: str) -> tuple[Lane, ...]:
    from atom_backfill.jobs.job import Lane

    try:
        return tuple(dict.fromkeys(Lane(word.strip().lower()) for word in value.split(",")))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of lanes; write ingest, graph, or ingest,graph.") from None


_concurrency = click.option(
    "--concurrency", type=click.IntRange(1, 16), metavar="N", default=4, show_default=True, help="Chunks at once."
)


@command("worker", "worker", "worker --lanes ingest --concurrency 2", "worker --drain", data=False)
@click.option("--lanes", default="ingest,graph", show_default=True, callback=_lanes, help="Lanes to work on.")
@_concurrency
@click.option("--drain", is_flag=True, help="Exit once nothing is left to do.")
@click.pass_obj
def worker(call: Invocation, lanes: tuple[Lane, ...], concurrency: int, drain: bool) -> int:
    """Work on the jobs of all tenants until told to stop.

    Being idle is no reason to stop. SIGTERM and Ctrl-C drain: pages at hand are finished, within 10 s. Logs are JSON
    lines on stderr; ATOM_LOG=text makes them lines for people.
    """

    async def run(app: App) -> int:
        import asyncio

        from atom_backfill.app.work import run_worker, worker_name
        from atom_backfill.jobs.worker import WorkerOptions

        stop = asyncio.Event()
        options = WorkerOptions(worker_name(app), lanes=lanes, concurrency=concurrency, drain=drain)
        with on_signals(stop.set) as received:
            await run_worker(app, stop, options)
        # SIGTERM is how platforms end a worker; that is no failure.
        return INTERRUPTED if signal.SIGINT in received else 0

    settings, _ = settings_of(call)

    def logs() -> None:
        from atom_backfill.telemetry import configure

        configure("text" if settings.log == "text" else "json", "debug" if call.debug else settings.log_level)

    return with_app(call, run, logs=logs)


@command("run", "run 1f0c", "run ines@lumen.example")
@click.argument("job")
@_concurrency
@click.pass_obj
def run(call: Invocation, job: str, concurrency: int) -> int:
    """Be the worker for a job, here, until it has ended.

    Of a completed job, what `retry` or `balance --fetch` has asked for since is done.
    Exit status as of `watch`. Ctrl-C stops at the next page; the same command goes on from there.
    """

    async def work(tenancy: Tenancy) -> Document:
        found = await tenancy.jobs.resolve(job)
        try:
            return await work_on(call, tenancy, found, concurrency)
        except KeyboardInterrupt:
            note(f"Stopped; everything read so far is stored. To go on: atom-backfill run {str(found)[:8]}")
            raise

    return ended(call, with_tenancy(call, work))


async def work_on(call: Invocation, tenancy: Tenancy, job: JobId, concurrency: int = 4) -> Document:
    """Be a worker until a job has ended; returns it as it is then.

    Raises RefusedError where it is paused, KeyboardInterrupt after draining when a signal came.
    """
    import asyncio

    from atom_backfill.cli.live import display, follow, has_ended
    from atom_backfill.jobs.job import AccountId
    from atom_backfill.sources.accounts import refuse_disconnected

    found = await tenancy.jobs.job(job)
    if found["status"] == "paused":
        raise RefusedError("job_paused", f"The job is paused: `atom-backfill resume {str(job)[:8]}` lets it go on.")
    if not has_ended(found):
        # Nothing of a disconnected mailbox is claimed: whoever waits here would wait for ever.
        refuse_disconnected(await tenancy.accounts.read(AccountId(UUID(found["account_id"]))))
    with display(as_json=call.json, title=await title_of(tenancy, job)) as screen:
        if has_ended(found):
            screen.show(found)
            return found
        following = asyncio.create_task(follow(lambda: tenancy.jobs.job(job), screen, tenancy.app.outside.clock))
        with on_signals(following.cancel) as received:
            await serve_while(tenancy.app, following, concurrency)
    if received:
        raise KeyboardInterrupt
    return following.result()


async def serve_while(app: App, following: asyncio.Task[Any], concurrency: int) -> None:
    """Be a worker while a task runs; then drain."""
    import asyncio

    from atom_backfill.app.work import run_worker, worker_name
    from atom_backfill.jobs.job import Lane
    from atom_backfill.jobs.worker import WorkerOptions

    stop = asyncio.Event()
    options = WorkerOptions(worker_name(app), lanes=(Lane.INGEST, Lane.GRAPH), concurrency=concurrency)
    working = asyncio.create_task(run_worker(app, stop, options))
    try:
        await asyncio.wait({working, following}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # The worker is told and waited for, not cancelled: its pages at hand end well, and its own error is raised.
        stop.set()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await working


COMMANDS = (worker, run)
