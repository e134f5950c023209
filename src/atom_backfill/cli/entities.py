"""Looking at the graph and correcting it: entity, neighbors, timeline, path, communities, merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from atom_backfill.cli.command import Invocation, command
from atom_backfill.cli.render import answer, handle, line, note, pairs, shown, table
from atom_backfill.cli.session import with_tenancy
from atom_backfill.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from atom_backfill.app.core import Tenancy

Document = dict[str, Any]


def _reviewed(call: Invocation, look: Callable[[Tenancy], Awaitable[Document]]) -> Document:
    """Look at the graph once who is who is as of now."""

    async def run(tenancy: Tenancy) -> Document:
        await tenancy.identity.review_if_due(at_once=True)
        return await look(tenancy)

    return with_tenancy(call, run)


@command("entity", "entity ines@lumen.example", 'entity "Kestrel Ltd" --json', "entity --suggestions")
@click.argument("named", metavar="[NAME_OR_ID]", required=False)
@click.option("--suggestions", is_flag=True, help="List pairs that may be one, for you to say.")
@click.option("--limit", type=click.IntRange(1, 1000), metavar="N", default=50, show_default=True, help="How many.")
@click.pass_obj
def entity(call: Invocation, named: str | None, suggestions: bool, limit: int) -> None:
    """Show somebody or something: its names, by what merges, and the mails that show it.

    Where several have the name, the one with the most mail is shown and the others are listed.
    """
    if suggestions == bool(named):
        raise UsageError("entity_or_suggestions", "Name an entity, or ask for --suggestions.")

    async def run(tenancy: Tenancy) -> Document:
        if named is None:
            return {"suggestions": await tenancy.walks.suggestions(limit)}
        return await tenancy.walks.entity(await tenancy.walks.find(named))

    found = _reviewed(call, run)
    answer(call, found, lambda: _show_suggestions(found["suggestions"]) if suggestions else _show_entity(found))


@command("neighbors", "neighbors ines@lumen.example", "neighbors 3fa2 --depth 2 --json")
@click.argument("named", metavar="ID")
@click.option("--depth", type=click.IntRange(1, 3), default=1, show_default=True, help="How many steps away.")
@click.pass_obj
def neighbors(call: Invocation, named: str, depth: int) -> None:
    """Show what is related to an entity, the heaviest relations first, each with the mail that says so."""

    async def run(tenancy: Tenancy) -> Document:
        return await tenancy.walks.neighbors(await tenancy.walks.one(named), depth)

    found = _reviewed(call, run)
    answer(call, found, lambda: _show_edges(found))


@command("timeline", "timeline ines@lumen.example", "timeline 3fa2 --json")
@click.argument("named", metavar="ID")
@click.option("--limit", type=click.IntRange(1, 1000), metavar="N", default=100, show_default=True, help="How many.")
@click.pass_obj
def timeline(call: Invocation, named: str, limit: int) -> None:
    """Show dated facts about an entity, the earliest first: since when, and until when something newer was said."""

    async def run(tenancy: Tenancy) -> Document:
        return await tenancy.walks.timeline(await tenancy.walks.one(named), limit)

    found = _reviewed(call, run)
    answer(call, found, lambda: _show_timeline(found))


@command("path", "path ines@lumen.example tomasz@harbour.example")
@click.argument("start", metavar="A")
@click.argument("end", metavar="B")
@click.pass_obj
def path(call: Invocation, start: str, end: str) -> None:
    """Show a shortest way from one person to another, step by step, each with the mail that shows it."""

    async def run(tenancy: Tenancy) -> Document:
        return await tenancy.walks.path(await tenancy.walks.one(start), await tenancy.walks.one(end))

    found = _reviewed(call, run)
    answer(call, found, lambda: _show_edges(found))
    if not found["nodes"]:
        note("No short way leads from one to the other.")


@command("merge", "merge ihalloran@lumen.example ines@lumen.example", "merge 3fa2 9b1c --different")
@click.argument("named", metavar="ID")
@click.argument("into", metavar="INTO_ID")
@click.option("--different", is_flag=True, help="Say instead that they are not one.")
@click.pass_obj
def merge(call: Invocation, named: str, into: str, different: bool) -> None:
    """Say that two entities are one; INTO_ID stands for both.

    Nothing stored is changed, `unmerge` takes it back, and what you say wins over every rule, also when the mail is
    read again.
    """

    async def run(tenancy: Tenancy) -> Document:
        walks = tenancy.walks
        one, other = [await walks.node(await walks.one(each)) for each in (named, into)]
        said: Document = {"merge_id": None, "node_id": one["id"], "into_id": other["id"], "different": different}
        if different:
            await tenancy.identity.differ(one["id"], other["id"])
            return said
        return said | {"merge_id": await tenancy.identity.merge(one["id"], other["id"])}

    found = with_tenancy(call, run)
    done = "They stay apart." if different else f"They are one, by merge {handle(found['merge_id'])}."
    answer(call, found, lambda: line(done))


@command("unmerge", "unmerge 7c20")
@click.argument("merge_id", metavar="MERGE_ID")
@click.pass_obj
def unmerge(call: Invocation, merge_id: str) -> None:
    """Take a merge out, a rule's or your own; no rule makes it again. `entity` shows an entity's merges."""

    async def run(tenancy: Tenancy) -> Document:
        return await tenancy.identity.unmerge(merge_id)

    found = with_tenancy(call, run)
    answer(call, found, lambda: line("They are apart again, and stay so."))


@command("communities", "communities", "communities 5d01 --json")
@click.argument("within", metavar="[ID]", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), metavar="N", default=20, show_default=True, help="How many.")
@click.pass_obj
def communities(call: Invocation, within: str | None, limit: int) -> None:
    """Show groups that have much to do with one another, the largest first, or one group and those within it."""

    async def run(tenancy: Tenancy) -> Document:
        from atom_backfill.app.reviewing import communities_of

        found = communities_of(tenancy.app, tenancy.id)
        await found.review_if_due(at_once=True)
        return {"communities": await found.show(within, limit)}

    found = with_tenancy(call, run)
    answer(call, found, lambda: _show_communities(found["communities"]))


def _show_communities(listed: list[Document]) -> None:
    for each in listed:
        line(
            f"{'  ' * each['level']}{shown(each['name'])} · {each['size']:,} · community {handle(each['community_id'])}"
        )
        line(f"{'  ' * each['level']}  {shown([member['name'] for member in each['members']])}")
    if not listed:
        note("There are none yet: they are found when mail has been read.")


def _show_entity(found: Document) -> None:
    pairs(
        [
            ("entity", found["node_id"]),
            ("type", found["type"]),
            ("name", found["name"]),
            ("also", found["aliases"]),
            ("mentions", found["mentions"]),
        ]
    )
    if found["merges"]:
        line()
        names = {member["node_id"]: member["key"] for member in found["members"]}
        rows = [
            [
                handle(each["merge_id"]),
                names.get(each["node_id"]),
                names.get(each["into_id"]),
                each["rule"],
                each["score"],
            ]
            for each in found["merges"]
        ]
        table(["MERGE", "ONE", "AND", "RULE", "SCORE"], rows)
    for title, listed in (("Mail", found["evidence"]), ("May be the same", found["suggestions"])):
        if listed:
            line()
            line(f"{title}:")
            _show_evidence(listed) if title == "Mail" else _show_suggestions(listed)
    if found["others"]:
        line()
        line("Others of this name:")
        table(
            ["ID", "TYPE", "NAME"], [[handle(each["node_id"]), each["type"], each["name"]] for each in found["others"]]
        )


def _show_evidence(places: list[Document]) -> None:
    for place in places:
        line(f"  {shown(place['quote'])} · message {handle(place['message_id'])}")


def _show_suggestions(listed: list[Document]) -> None:
    rows = [
        [handle(each["node"]["node_id"]), each["node"]["name"], handle(each["other"]["node_id"]), each["other"]["name"],
         each["rule"], f"{each['score']:.2f}"]
        for each in listed
    ]  # fmt: skip
    table(["ONE", "NAME", "OTHER", "NAME", "RULE", "SCORE"], rows)
    if not listed:
        note("Nobody is in doubt.")


def _show_edges(found: Document) -> None:
    names = {node["node_id"]: node for node in found["nodes"]}
    for edge in found["edges"]:
        source, target = names[edge["source"]], names[edge["target"]]
        line(f"{_called(source)} {edge['relationship_type'].replace('_', ' ')} {_called(target)} ({edge['weight']:,})")
        _show_evidence(edge["evidence"][:1])
    if found.get("truncated"):
        note("There is more; these are the heaviest.")


def _show_timeline(found: Document) -> None:
    for fact in found["facts"]:
        until = f" to {_day(fact['invalid_at'])}" if fact["invalid_at"] else ""
        relation = fact["relationship_type"].replace("_", " ")
        line(f"{_day(fact['valid_from'])}{until}  {_called(fact['source'])} {relation} {_called(fact['target'])}")
        _show_evidence(fact["evidence"][:1])
    if not found["facts"]:
        note("Nothing is said about it.")


def _called(node: Document) -> str:
    return f"{shown(node['name'])} [{handle(node['node_id'])}]"


def _day(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d}" if when else "no date   "


COMMANDS = (entity, neighbors, timeline, path, communities, merge, unmerge)
