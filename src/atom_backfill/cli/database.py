"""The database: its operator's URL, start, stop, a shell."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click

from atom_backfill.cli.command import Invocation, group
from atom_backfill.cli.render import answer, line, note
from atom_backfill.cli.session import settings_of, with_app
from atom_backfill.errors import NeedsOwnerError, RefusedError

if TYPE_CHECKING:
    from atom_backfill.app.core import App


@group("db", "db url", "db shell")
def db() -> None:
    """Use the database: its URL, start, stop, a shell.

    It is embedded in the home folder, or the one of DATABASE_URL.
    """


@db.command("url", examples=("db url", 'psql "$(atom-backfill db url)"'))
@click.pass_obj
def url(call: Invocation) -> None:
    """Print the URL of the read-only operator role.

    It sees all tenants, but no bodies and no secrets. The embedded server stays up from now on until `db stop`.
    """
    found = with_app(call, _operator_url)
    answer(call, {"url": found}, lambda: line(found))


@db.command("start", examples=("db start",))
@click.pass_obj
def start(call: Invocation) -> None:
    """Start the embedded server; it stays up until `db stop`.

    A configured one is only looked at.
    """

    async def run(app: App) -> bool:
        await app.keep_up()
        return app.settings.database_url is None

    embedded = with_app(call, run)
    document = {"database": "embedded" if embedded else "configured", "running": True}
    answer(call, document, lambda: line("The database is running."))


@db.command("stop", examples=("db stop",))
@click.pass_obj
def stop(call: Invocation) -> None:
    """Stop the embedded server; while it is in use, its last user will."""
    from atom_backfill.app.core import embedded_server
    from atom_backfill.db.embedded import StopOutcome

    settings, _ = settings_of(call)
    if settings.database_url:
        raise RefusedError("not_ours", "The database of DATABASE_URL is not this program's to stop.")
    outcome = embedded_server(settings).stop()
    said = {
        StopOutcome.STOPPED: "The database is stopped.",
        StopOutcome.IN_USE: "The database is in use; its last user will stop it.",
        StopOutcome.NOT_RUNNING: "The database was not running.",
    }
    document = {"database": "embedded", "running": outcome is StopOutcome.IN_USE, "outcome": outcome.value}
    answer(call, document, lambda: line(said[outcome]))


@db.command("shell", examples=("db shell",), data=False)
@click.pass_obj
def shell(call: Invocation) -> int:
    """Open psql as the read-only operator role."""

    async def run(app: App) -> int:
        import asyncio

        from atom_backfill.db.programs import find_psql

        program = find_psql(app.settings.postgres_bin)
        if program is None:
            raise NeedsOwnerError("no_psql", "There is no psql here; give `atom-backfill db url` to another client.")
        # The password goes by the environment: a command line can be read by every user of the machine.
        where = urlsplit(await _operator_url(app))
        bare = where._replace(netloc=where.netloc.replace(f":{where.password}@", "@")).geturl()
        environment = os.environ | {"PGPASSWORD": unquote(where.password or "")}
        # Ctrl-C is psql's: it ends a query, not the shell.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        process = await asyncio.create_subprocess_exec(program, bare, env=environment)
        return await process.wait()

    status = with_app(call, run)
    if status:
        note(f"psql ended with status {status}.")
    return 1 if status else 0


async def _operator_url(app: App) -> str:
    from atom_backfill.app.operators import operator_url

    found = await operator_url(app)
    await app.keep_up()
    return found


COMMANDS = (db,)
