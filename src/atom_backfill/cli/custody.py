"""The owner's rights: whether what lies at the source is stored, and whether record and memory agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atom_backfill.cli.command import Invocation, command
from atom_backfill.cli.render import answer, line, note, shown, table
from atom_backfill.cli.session import NO_ACCOUNTS, connected, patient_source, with_tenancy

if TYPE_CHECKING:
    from atom_backfill.app.core import Tenancy
    from atom_backfill.app.ledger import Fetching

Document = dict[str, Any]


@command("balance", "balance", "balance ines@lumen.example --json", "balance --fetch")
@click.argument("account", required=False)
@click.option("--fetch", is_flag=True, help="Read what is missing, and balance again.")
@click.pass_obj
def balance(call: Invocation, account: str | None, fetch: bool) -> int:
    """Balance mailbox, record and memory, folder by folder.

    What is stored, failed, or was left out on purpose, and what is missing. The mailbox is walked by ids, not asked
    for its counters. Exit status 1 when something is unaccounted for, as it is while a job is still reading.
    """

    async def run(tenancy: Tenancy) -> Document:
        from atom_backfill.app.ledger import Fetching, balance
        from atom_backfill.sources.accounts import find_account

        accounts = [await find_account(tenancy.accounts, account)] if account else await connected(tenancy)
        if not accounts:
            note(NO_ACCOUNTS)
        fetching = Fetching(tenancy) if fetch else None
        found = await balance(tenancy, accounts, lambda each: patient_source(tenancy, each), fetching)
        if fetching is None or not fetching.places:
            return found
        await _read_now(call, tenancy, fetching)
        return await balance(tenancy, accounts, lambda each: patient_source(tenancy, each))

    ledger = with_tenancy(call, run)
    answer(call, ledger, lambda: show_ledger(ledger))
    if not ledger["balanced"] and not call.json:
        _say_why(ledger)
    return 0 if ledger["balanced"] else 1


async def _read_now(call: Invocation, tenancy: Tenancy, fetching: Fetching) -> None:
    """Be a worker until what was missing is read."""
    import asyncio

    from atom_backfill.cli.signals import on_signals
    from atom_backfill.cli.work import serve_while

    if not call.json:
        note(f"Reading {fetching.places:,} that are missing.")
    waiting = asyncio.create_task(fetching.done())
    with on_signals(waiting.cancel) as received:
        await serve_while(tenancy.app, waiting, 4)
    if received:
        raise KeyboardInterrupt
    waiting.result()


@command("verify", "verify", "verify --repair", "verify --json")
@click.option("--repair", is_flag=True, help="Mend the memory from the record.")
@click.pass_obj
def verify(call: Invocation, repair: bool) -> int:
    """Compare record and memory row by row.

    Finds passages that are missing, that are not what the record gives, and that the record does not know. Exit status
    1 when they differ and were not repaired. Workers may go on meanwhile.
    """

    async def run(tenancy: Tenancy) -> Document:
        from atom_backfill.app.keeping import verify

        return await verify(tenancy, repair=repair)

    found = with_tenancy(call, run)
    answer(call, found, lambda: _show_differences(found))
    if not found["verified"] and not call.json:
        note("`verify --repair` mends the memory from the record." if not repair else "Run `verify --repair` again.")
    return 0 if found["verified"] else 1


@command("rebuild", "rebuild", "rebuild --account ines@lumen.example")
@click.option("--account", metavar="ACCOUNT", help="Only this account's passages, in place, mail by mail.")
@click.pass_obj
def rebuild(call: Invocation, account: str | None) -> None:
    """Make the memory anew from the record, without reading mailboxes.

    It is made beside the one in use and takes its place when it is complete; search and workers go on meanwhile. One
    that was interrupted leaves the old memory in use, and the next one goes on where it stood.
    """

    async def run(tenancy: Tenancy) -> Document:
        from atom_backfill.app.keeping import rebuild, remake_account
        from atom_backfill.cli.live import counting
        from atom_backfill.sources.accounts import find_account

        with counting(silent=call.json, title="rebuild", what="messages") as progress:
            if account is None:
                return await rebuild(tenancy, progress)
            found = await find_account(tenancy.accounts, account)
            return await remake_account(tenancy, found.account_id, progress)

    made = with_tenancy(call, run)
    answer(call, made, lambda: line(f"The memory is made anew, of {shown(made['messages'])} messages."))


def show_ledger(ledger: Document) -> None:
    """Print a ledger for people, with the columns that have anything in them."""
    folders = ledger["folders"]
    reasons = list(dict.fromkeys(name for row in folders for name, count in row["excluded"].items() if count))
    accounts = {row["address"] for row in folders}
    headings = ["FOLDER", "AT SOURCE", "STORED", "FAILED", *(name.replace("_", " ").upper() for name in reasons)]
    headings.append("DIFFERENCE")
    rows = [
        [
            row["folder"] if len(accounts) == 1 else f"{shown(row['address'])}: {row['folder']}",
            row["at_source"],
            row["stored"],
            row["failed"],
            *(row["excluded"][name] for name in reasons),
            row["difference"],
        ]
        for row in folders
    ]
    numbers = range(1, len(headings))
    rows.append(["in all", *(sum(row[column] for row in rows) for column in numbers)])
    table(headings, rows, right=list(numbers))
    line()
    passages, messages, orphans = (ledger["memory"][name] for name in ("passages", "with_passages", "orphans"))
    line(f"Memory: {passages:,} passages of {messages:,} messages; {orphans:,} orphans.")
    line("It balances." if ledger["balanced"] else "It does not balance.")


def _show_differences(found: Document) -> None:
    listed = found["differences"]
    if listed:
        rows = [[row["kind"], row["message_id"], row["passage_id"]] for row in listed]
        table(["DIFFERENCE", "MESSAGE", "PASSAGE"], rows)
        line()
    counts = found["counts"]
    told = [f"{counts[kind]:,} {word}" for kind, word in _DIFFERENCES.items() if counts[kind]]
    line(f"{found['compared']:,} passages compared: {', '.join(told) or 'all as the record gives them'}.")
    if found["repaired"]:
        line(f"{found['repaired']:,} repaired.")


_DIFFERENCES = {
    "missing": "missing",
    "foreign": "that do not belong there",
    "differs": "that differ",
    "unsettled": "of pages that are being written",
}


def _say_why(ledger: Document) -> None:
    from atom_backfill.memory.upkeep import loss

    if any(folder["difference"] for folder in ledger["folders"]):
        note("Something is unaccounted for: is a job at work (`jobs`)? Else `balance --fetch` reads what is missing.")
    if missing := ledger["memory"]["missing"]:
        note(loss(missing, "passages"))


COMMANDS = (balance, verify, rebuild)
