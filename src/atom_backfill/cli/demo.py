"""The demo: a simulated mailbox becomes a memory that answers, in a home of its own that is gone afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from atom_backfill.cli.command import Invocation, command
from atom_backfill.cli.custody import show_ledger
from atom_backfill.cli.render import headline, line, note, write_json
from atom_backfill.cli.search import show_results
from atom_backfill.cli.session import quiet_logs
from atom_backfill.cli.signals import on_signals

if TYPE_CHECKING:
    from atom_backfill.app.core import Tenancy
    from atom_backfill.settings import Settings
    from atom_backfill.sources.accounts import Account

USER = "sample@example.com"
SEARCHES = (
    "Postgres stopped because the volume was full",
    "pitting under the stainless clamp after the salt spray test",
    "how much did the insurance pay for the buoy",
    "why did Jonas decline the offer",
    "who looks after Callum's customers now",
    "tide table one hour late after the clocks changed",
)

Document = dict[str, Any]


@command("demo", "demo", "demo --mails 200", "demo --keep")
@click.option(
    "--mails",
    type=click.IntRange(50, 100_000),
    metavar="N",
    default=800,
    show_default=True,
    help="Size of the mailbox.",
)
@click.option("--keep", is_flag=True, help="Keep everything up afterwards, until Ctrl-C.")
@click.pass_obj
def demo(call: Invocation, mails: int, keep: bool) -> int:
    """Read, search and balance a mailbox of invented mail.

    In a home of its own, from a simulated Outlook; nothing is left behind.
    """
    from atom_backfill.cli.stage import stage

    quiet_logs(call)
    with stage(mails) as (settings, signals):
        return signals.run(_run(call, settings, keep))


async def _run(call: Invocation, settings: Settings, keep: bool) -> int:
    import asyncio

    from atom_backfill.app.connecting import Registration, connect_outlook
    from atom_backfill.app.core import open_app
    from atom_backfill.app.ledger import balance
    from atom_backfill.cli.work import work_on

    async with open_app(settings) as app:
        tenancy = await app.tenant()
        registration = Registration("example.com", "demo", "demo")
        account = await connect_outlook(tenancy, registration, USER, note)
        note(f"Connected {account.address} at {settings.login_base_url}, a simulated Outlook. Reading it:")
        # Without --json: the job's progress is for people, the demo's document is the one at the end.
        job = await work_on(Invocation(debug=call.debug), tenancy, await _start(tenancy, account))
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
            stop = asyncio.Event()
            with on_signals(stop.set):
                _tell_how_to_use(settings)
                await stop.wait()
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
        headline(f"$ atom-backfill search {json.dumps(found['query'], ensure_ascii=False)} --limit 2")
        show_results(found)
    line()
    headline("$ atom-backfill balance")
    show_ledger(ledger)


def _tell_how_to_use(settings: Settings) -> None:
    note("")
    note("Everything stays up until Ctrl-C. In another terminal:")
    note(f"  export ATOM_HOME={settings.home} ATOM_GRAPH_BASE_URL={settings.graph_base_url}")
    note(f"  export ATOM_LOGIN_BASE_URL={settings.login_base_url}")
    note('  atom-backfill search "salt spray pitting"')


COMMANDS = (demo,)
