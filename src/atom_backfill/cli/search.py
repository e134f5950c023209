"""Asking the memory: search, message, thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atom_backfill.cli.arguments import MOMENT
from atom_backfill.cli.command import Invocation, command
from atom_backfill.cli.render import NOTHING, answer, harmless, headline, line, moment, note, pairs, shown
from atom_backfill.cli.session import with_tenancy

if TYPE_CHECKING:
    from uuid import UUID

    from atom_backfill.app.core import Tenancy

Document = dict[str, Any]


@command(
    "search",
    'search "who approved the workshop lease"',
    "search invoice --from billing@harbour.example --after 2024-01-01",
    'search "pump tests" --folder Projects/ --group thread --json',
)
@click.argument("query")
@click.option("--account", metavar="ACCOUNT", help="In this mailbox only: its id, address, or the id's beginning.")
@click.option("--from", "from_address", default="", metavar="ADDR", help="From this address.")
@click.option("--to", "to_address", default="", metavar="ADDR", help="To this address (to, cc or bcc).")
@click.option("--after", type=MOMENT, help="Received at or after this moment.")
@click.option("--before", type=MOMENT, help="Received before this moment; the day named is not included.")
@click.option("--folder", default="", metavar="F", help="In this folder; with a `/` at the end also in those below.")
# None where it is not given, since False would ask for mail without one.
@click.option("--has-attachment", is_flag=True, default=None, help="With an attachment.")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "semantic", "text"]),
    default="hybrid",
    show_default=True,
    help="How to search.",
)
@click.option(
    "--limit", type=click.IntRange(1, 200), metavar="N", default=10, show_default=True, help="How many results."
)
@click.option(
    "--group",
    type=click.Choice(["thread", "message"]),
    default="message",
    show_default=True,
    help="What one result is.",
)
@click.pass_obj
def search(call: Invocation, /, query: str, account: str | None, **narrowed: Any) -> None:
    """Search the mail by meaning and by words.

    Every result is a mail, with why it was found. Dates without a zone are UTC. Folders are named by path, well-known
    name (inbox) or id.
    """

    async def run(tenancy: Tenancy) -> Document:
        from atom_backfill.search.query import Question
        from atom_backfill.sources.accounts import find_account

        found = (await find_account(tenancy.accounts, account)).account_id if account else None
        return (await (await tenancy.searcher()).search(Question(query, found, **narrowed))).document()

    found = with_tenancy(call, run)
    answer(call, found, lambda: show_results(found))


@command("message", "message 3fa2", "message 3fa2 --json")
@click.argument("message_id", metavar="ID")
@click.pass_obj
def message(call: Invocation, message_id: str) -> None:
    """Show a stored message with what was found in it."""

    async def run(tenancy: Tenancy) -> Document:
        return await _message(tenancy, await tenancy.archive.resolve_message(message_id))

    found = with_tenancy(call, run)
    answer(call, found, lambda: _show_message(found))


@command("thread", "thread 9b1c", "thread 9b1c --json")
@click.argument("thread_id", metavar="ID")
@click.pass_obj
def thread(call: Invocation, thread_id: str) -> None:
    """Show a conversation's messages, the oldest first."""

    async def run(tenancy: Tenancy) -> Document:
        found = await tenancy.archive.resolve_thread(thread_id)
        messages = [await _message(tenancy, each) for each in await tenancy.archive.thread(found)]
        return {"thread_id": found, "messages": messages}

    found = with_tenancy(call, run)
    answer(call, found, lambda: _show_thread(found))


async def _message(tenancy: Tenancy, message: UUID) -> Document:
    from atom_backfill.archive.view import message_view

    told = await tenancy.walks.told_entities(message)
    return message_view(await tenancy.archive.message(message), await tenancy.graph.facts(message), told)


def show_results(found: Document) -> None:
    """Print results for people: what, from whom, when, where, and the words that show why."""
    for number, result in enumerate(found["results"], start=1):
        headline(f"{number:>2}. {shown(result['subject']) or '(no subject)'}")
        line(f"    {_sender(result)} · {_date(result)} · {shown(result['folders'])}{_more(result)}")
        line(f"    {shown(result['snippet'])}")
        line(f"    {_why(result['why'])} · message {str(result['message_id'])[:8]}")
    if not found["results"]:
        note("Nothing was found.")
    _note_coverage(found)


def _note_coverage(found: Document) -> None:
    coverage = found["coverage"]
    if coverage["from"] is None:
        note("No mail has been read yet: atom-backfill start --help")
        return
    reach = f"mail from {coverage['from']:%Y-%m-%d} to {coverage['to']:%Y-%m-%d}"
    if coverage["missing"]:
        from atom_backfill.memory.upkeep import loss

        note(loss(coverage["missing"]))
    note(f"Searched {reach} in {found['took_ms']} ms{'' if coverage['complete'] else '; not everything is read yet'}.")


def _sender(document: Document) -> str:
    name, address = shown(document["from_name"]), shown(document["from"])
    return f"{name} <{address}>" if name and name != address else address or "(no sender)"


def _date(document: Document) -> str:
    return moment(document["received_at"]) if document["received_at"] else "no date"


def _more(result: Document) -> str:
    others = result["more_in_thread"]
    return f" · {others} more in its thread" if others else ""


def _why(why: Document) -> str:
    ranks = (("meaning", why["semantic_rank"]), ("words", why["text_rank"]))
    return "by " + ", ".join(f"{leg} #{place}" for leg, place in ranks if place)


def _show_message(found: Document) -> None:
    _show_head(found)
    line()
    line(harmless(found["text"]).rstrip())
    if found["entities"]:
        line()
        line(
            "Found in it: "
            + ", ".join(dict.fromkeys(f"{shown(e['name'])} ({e['entity_type']})" for e in found["entities"]))
        )

    for failure in found["failures"]:
        line()
        line(f"Could not be done ({failure['stage']}): {shown(failure['error'])}")


def _show_thread(found: Document) -> None:
    for number, each in enumerate(found["messages"]):
        if number:
            line()
        _show_head(each)
        line()
        line(harmless(each["clean_text"]) or NOTHING)


def _show_head(found: Document) -> None:
    pairs(
        [
            ("message", found["message_id"]),
            ("thread", found["thread_id"]),
            ("subject", found["subject"]),
            ("from", _sender(found)),
            ("to", found["to"]),
            ("received", found["received_at"]),
            ("folders", found["folders"]),
        ]
    )


COMMANDS = (search, message, thread)
