"""The entry point: parses the command line, and turns every error into a sentence and an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

import click

from atom_backfill.cli.command import PROGRAM, Group, Invocation
from atom_backfill.cli.render import duration, flush, note
from atom_backfill.cli.signals import INTERRUPTED
from atom_backfill.errors import AtomError, BugError, RetryLaterError, ThrottledError

FAILED, USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Looked for before parsing, so that what goes wrong in parsing is shown too.
    call = Invocation(debug="--debug" in given)
    # Python has None for a stream that its caller closed. What would be said is lost then, and the work is not.
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a letter shows its number; that is no reason to fail.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        with cli.make_context(PROGRAM, given, obj=call) as context:
            status = cli.invoke(context)
        flush()  # here a refused write is still told in a sentence; at the interpreter's end it would not be
    except BaseException as error:  # noqa: BLE001 - the process's edge
        return _told(error, call)
    return int(status or 0)


def _told(error: BaseException, call: Invocation) -> int:
    """Tell what went wrong in one sentence, and return the exit status."""
    if isinstance(error, BaseExceptionGroup):
        # Of tasks that failed together, the one that knows what to do is told: the others most often follow from it.
        return _told(
            next((each for each in error.exceptions if isinstance(each, AtomError)), error.exceptions[0]), call
        )
    if call.debug and not isinstance(error, click.ClickException | click.exceptions.Exit):
        traceback.print_exception(error)
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return USAGE
        case click.ClickException():
            _say(f"{error.format_message()}{_help_hint(error)}")
            return USAGE
        case AtomError():
            _say(f"{error.message}{_next_step(error)}")
            if call.debug and error.detail:
                _say(error.detail)
            return error.exit_status
        case KeyboardInterrupt() | click.exceptions.Abort():
            # CPython notes an interrupt that passed through an exec(), as dataclasses have inside, and `python -m` then
            # ends by that signal whatever status is returned; the next exec() takes the note back.
            exec("")  # noqa: S102
            _say("interrupted")
            return INTERRUPTED
        case BrokenPipeError():
            return 0  # whoever read stdout has had enough
        case SystemExit():  # a second Ctrl-C, or a library
            return error.code if isinstance(error.code, int) else FAILED
        case _:
            _say(f"unexpected {type(error).__name__}; run again with --debug to see where")
            return FAILED


def _next_step(error: AtomError) -> str:
    """Say what to do about errors that workers deal with by themselves, and whose sentences therefore do not."""
    match error:
        case ThrottledError():
            return f" Try again in {duration(error.after)}."
        case RetryLaterError():
            return f" Try again; if it stays, `{PROGRAM} doctor` looks at each part."
        case BugError():
            return f" This is a mistake in {PROGRAM}: run it again with --debug, and report where it happened."
    return ""


def _say(sentence: str) -> None:
    note(f"{PROGRAM}: {sentence}")


def _help_hint(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f" See `{context.command_path} --help`." if context else ""


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"{PROGRAM} {version(PROGRAM)}")
        ctx.exit()


@click.group(
    PROGRAM,
    cls=Group,
    examples=(
        "demo",
        "connect mbox ~/export/mail.mbox",
        "start mail.mbox --watch",
        'search "who approved the budget"',
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def cli() -> None:
    """Turn years of mail into a memory that people and their agents search.

    Every answer shows the mail that it came from.
    """


def _add_commands() -> None:
    from atom_backfill.cli import (
        accounts,
        control,
        custody,
        database,
        demo,
        entities,
        jobs,
        keys,
        ops,
        search,
        simulate,
        work,
    )

    for module in (demo, ops, accounts, keys, jobs, control, work, search, entities, custody, database, simulate):
        for each in module.COMMANDS:
            cli.add_command(each)


_add_commands()
