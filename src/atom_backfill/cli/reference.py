"""Writes docs/reference/cli.md and settings.md from the commands and settings themselves.

`python -m atom_backfill.cli.reference docs/reference`; a test fails while the pages differ from what this would write.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from atom_backfill.cli.command import PROGRAM, Command, as_typed
from atom_backfill.cli.main import cli
from atom_backfill.settings import SETTINGS

SHARED = ("--json", "--tenant", "--debug", "--help")
NOTICE = "<!-- Written by `python -m atom_backfill.cli.reference docs/reference` (make docs); do not edit. -->"
INTRODUCTION = (
    "Data goes to stdout, progress and messages to stderr. Times are ISO 8601 in UTC with `Z`; a date without a zone",
    "is UTC, a bare date its midnight. Accounts and jobs are named by id, by an unambiguous beginning of it, or by",
    "address. The JSON documents: [JOB](job.md), [all others](answers.md).",
)
STATUSES = (
    ("0", "done"),
    ("1", "it failed; one line on stderr says why, and what to do next"),
    ("2", "wrong usage: arguments or settings"),
    ("3", "no such thing: account, job, folder, message, tenant, file"),
    ("4", "a sign-in or a key is needed"),
    ("5", "refused in the present state, as resuming a completed job is"),
    ("130", "interrupted by Ctrl-C, or by SIGTERM where the command says so"),
)


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    return {"cli.md": "\n".join(_commands()), "settings.md": "\n".join(_settings())}


def every_command(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Command]]:
    """Yield each command with its full name, in the order of the help."""
    for name, each in group.commands.items():
        if isinstance(each, click.Group):
            yield from every_command(each, (*path, name))
        else:
            assert isinstance(each, Command)
            yield " ".join((*path, name)), each


def main(arguments: list[str]) -> int:
    """Write the pages into the folder named."""
    folder = Path(arguments[0] if arguments else "docs/reference")
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


def _commands() -> Iterator[str]:
    yield from ("# Commands", "", NOTICE, "")
    yield from (*INTRODUCTION, "", "Every command takes these, before or after its name:", "")
    yield from _table(("option", "meaning"), [_option(each) for each in cli.params if _is_shared(each)])
    yield "Exit statuses:"
    yield ""
    yield from _table(("status", "meaning"), STATUSES)
    for name, each in every_command():
        yield from _command(name, each)


def _command(name: str, each: Command) -> Iterator[str]:
    yield from (f"## {name}", "")
    for paragraph in inspect.cleandoc(each.help or "").split("\n\n"):
        yield from (" ".join(paragraph.split()), "")
    context = click.Context(each, info_name=f"{PROGRAM} {name}")
    usage = " ".join(each.collect_usage_pieces(context))
    yield from ("```console", f"$ {PROGRAM} {name} {usage}", "```", "")
    options = [_option(param) for param in each.params if isinstance(param, click.Option) and not _is_shared(param)]
    if options:
        yield from _table(("option", "meaning"), options)
    yield from ("For example:", "", "```console", *(f"$ {as_typed(example)}" for example in each.examples), "```", "")


def _option(param: click.Parameter) -> tuple[str, str]:
    assert isinstance(param, click.Option)
    kind = "" if param.is_flag else f" {param.make_metavar(click.Context(cli)).strip('[]')}"
    default = f" (default: {param.default})" if param.show_default else ""
    return f"`{', '.join(param.opts)}{kind}`", f"{(param.help or '').rstrip('.')}{default}"


def _is_shared(param: click.Parameter) -> bool:
    return bool(set(param.opts) & set(SHARED))


def _settings() -> Iterator[str]:
    yield from ("# Settings", "", NOTICE, "")
    yield "Environment variables, also read from a `.env` in the working folder; the environment wins. `atom-backfill"
    yield "settings` lists each with its value now and where that came from, secrets masked."
    yield ""
    rows = [(f"`{each.variable}`", each.meaning.rstrip("."), _default(each.default)) for each in SETTINGS]
    yield from _table(("variable", "meaning", "default"), rows)


def _default(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield _row(headings)
    yield _row(tuple("---" for _ in headings))
    yield from map(_row, rows)
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
