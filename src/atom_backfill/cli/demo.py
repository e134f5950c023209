"""The demo: a simulated mailbox becomes a memory that answers, in a home of its own that is gone afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atom_backfill.cli.command import Invocation, command
from atom_backfill.cli.custody import show_ledger
from atom_backfill.cli.render import line, note, write_json
from atom_backfill.cli.search import show_results
from atom_backfill.cli.session import quiet_logs
from atom_backfill.errors import NeedsOwnerError

if TYPE_CHECKING:
    from atom_backfill.app.core import Tenancy
    from atom_backfill.settings import Settings
    from atom_backfill.sources.accounts import Account

USER = "sample@example.com"
SEARCHES = (
    "Why was the metal body for the gauge abandoned?",
    "fraud attempt with a changed bank account",
    "What caused the night-time failure of the customer dashboard?",
    "rent review Granary Wharf lease",
    "Wer bezahlt den Schaden nach dem Winter?",
)
SIMULATOR_STARTS_S = 60.0
_KEPT = ("ATOM_POSTGRES_BIN", "ATOM_THREADS")
"""Settings of the user's that also hold for the demo."""

Document = dict[str, Any]


@command("demo", "demo", "demo --mails 200", "demo --keep")
@click.option("--mails", type=click.IntRange(50, 100_000), default=800, show_default=True, help="Size of the mailbox.")
@click.option("--keep", is_flag=True, help="Keep everything up afterwards, until Ctrl-C.")
@click.pass_obj
def demo(call: Invocation, mails: int, keep: bool) -> int:
    """Read a simulated mailbox of invented mail, search it, and balance it; leaves nothing behind."""
    quiet_logs(call)
    with _terminated_as_interrupted(), _temporary_home() as home, _simulator(home, mails) as url:
        settings = _settings(home, url)
        with _database_gone_afterwards(settings):
            return asyncio.run(_run(call, settings, url, keep))


async def _run(call: Invocation, settings: Settings, url: str, keep: bool) -> int:
    from atom_backfill.app.connecting import Registration, connect_outlook
    from atom_backfill.app.core import open_app
    from atom_backfill.app.ledger import balance
    from atom_backfill.cli.work import work_on

    async with open_app(settings) as app:
        tenancy = await app.tenant()
        registration = Registration("example.com", "demo", "demo")
        account = await connect_outlook(tenancy, registration, USER, note)
        note(f"Connected {account.address} at {url}, a simulated Outlook. Reading it:")
        job = await work_on(call, tenancy, await _start(tenancy, account))
        searches = [await _search(tenancy, text) for text in SEARCHES]
        source = await app.mailboxes.open(tenancy.id, account)

        async def opened(_: Account) -> Any:
            return source

        ledger = await balance(tenancy, [account], opened)
        if call.json:
            write_json({"job": job, "searches": searches, "balance": ledger})
        else:
            _show(searches, ledger)
        if keep:
            await app.keep_up()
            _tell_how_to_use(settings)
            await asyncio.Event().wait()
    return 0 if job["status"] == "completed" and ledger["balanced"] else 1


async def _start(tenancy: Tenancy, account: Account) -> Any:
    from atom_backfill.backfill.start import Request, start

    source = await tenancy.app.mailboxes.open(tenancy.id, account)
    return await start(Request(account.account_id), source, tenancy.control, tenancy.app.outside.new_id)


async def _search(tenancy: Tenancy, text: str) -> Document:
    from atom_backfill.search.query import Question

    searcher = await tenancy.searcher()
    return {"query": text, **(await searcher.search(Question(text, limit=2))).document()}


def _show(searches: list[Document], ledger: Document) -> None:
    for found in searches:
        line()
        line(f"$ atom-backfill search {json.dumps(found['query'], ensure_ascii=False)} --limit 2")
        show_results(found)
    line()
    line("$ atom-backfill balance")
    show_ledger(ledger)


def _tell_how_to_use(settings: Settings) -> None:
    note("")
    note("Everything stays up until Ctrl-C. In another terminal:")
    note(f"  export ATOM_HOME={settings.home} ATOM_GRAPH_BASE_URL={settings.graph_base_url}")
    note(f"  export ATOM_LOGIN_BASE_URL={settings.login_base_url}")
    note('  atom-backfill search "salt spray pitting"')


def _settings(home: Path, url: str) -> Settings:
    from atom_backfill.settings import load_settings

    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    here = {"ATOM_HOME": str(home), "ATOM_GRAPH_BASE_URL": f"{url}/v1.0", "ATOM_LOGIN_BASE_URL": url}
    return load_settings(kept | here, home)[0]


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Clean up after SIGTERM and a closed terminal as after Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _temporary_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="atom-demo-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _database_gone_afterwards(settings: Settings) -> Iterator[None]:
    from atom_backfill.app.core import embedded_server

    try:
        yield
    finally:
        # Its files may lie outside the home, where the account that runs it can reach them.
        embedded_server(settings).destroy()


@contextmanager
def _simulator(home: Path, mails: int) -> Iterator[str]:
    """Run the Graph simulator over a sample mailbox, as a child in a group of its own, which no Ctrl-C reaches."""
    data = home / "mailbox"
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "atom_simulators.sample", str(data), "--mails", str(mails)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "atom_simulators.graph", "--data", str(data)],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as child:
        try:
            yield _url_of(child)
        finally:
            child.terminate()


def _url_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], SIMULATOR_STARTS_S)
    said = child.stdout.readline() if ready else ""
    if not said:
        raise NeedsOwnerError(
            "simulator_failed", "the simulated Outlook did not start; run `atom-backfill simulate graph`"
        )
    return str(json.loads(said)["url"])


COMMANDS = (demo,)
