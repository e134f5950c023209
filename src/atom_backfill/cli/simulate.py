"""The simulators, for demos, tests and users' own experiments; a process of their own, which shares no code with us."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from atom_backfill.cli.command import group

_PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True}


@group("simulate", "simulate graph --port 8100")
def simulate() -> None:
    """Run a strict stand-in for a foreign service."""


@simulate.command(
    "graph",
    examples=("simulate graph", "simulate graph --data ./mail --faults faults.json --port 8100"),
    data=False,
    context_settings=_PASS_ON,
)
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[--data DIR] [--port P] [--faults FILE] [...]")
def graph(more: tuple[str, ...]) -> None:
    """Stand in for Microsoft Graph and its sign-in until told to stop.

    When it is ready, one JSON line `{"url": ...}` on stdout names its root: Graph under /v1.0, sign-in under
    /{tenant}/oauth2/v2.0. --data serves DIR/mailboxes/<name>.jsonl.gz as mailbox <name>@example.com; without it, the
    sample mailbox is sample@example.com. --faults plays a script of faults. All other options of the simulator are
    passed on: `python -m atom_simulators.graph --help` lists them.
    """
    _become("atom_simulators.graph", more)


@simulate.command(
    "llm",
    examples=("simulate llm", "simulate llm --rpm 15 --latency 1.5 --per-token 0.01 --faults faults.json"),
    data=False,
    context_settings=_PASS_ON,
)
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[--port P] [--faults FILE] [--rpm N] [...]")
def llm(more: tuple[str, ...]) -> None:
    """Stand in for an OpenAI-compatible model server until told to stop.

    When it is ready, one JSON line `{"url": ...}` on stdout names its root; the API is under /v1. Any key but `wrong`
    will do. What the sample mailbox states it knows, other mail it reads by rules. --rpm and --tpm limit a minute,
    --faults plays a script of faults. All other options of the simulator are passed on:
    `python -m atom_simulators.llm --help` lists them.
    """
    _become("atom_simulators.llm", more)


def _become(module: str, more: tuple[str, ...]) -> NoReturn:
    sys.stdout.flush()
    # The process itself becomes the simulator: signals reach it, and its first line is the first of ours.
    os.execv(sys.executable, [sys.executable, "-m", module, *more])  # noqa: S606


COMMANDS = (simulate,)
