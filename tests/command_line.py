"""The command line as tests call it: in a process of its own, or in this one where only what it says matters."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest import mock

from atom_backfill.cli.main import main

PROGRAM = [sys.executable, "-m", "atom_backfill"]


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said on stdout and stderr."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document of stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


def environment(**settings: str) -> dict[str, str]:
    """The environment of a user who has set nothing but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ATOM_", "DATABASE_"))}
    return {**kept, **settings}


def run(*arguments: str, settings: Mapping[str, str] | None = None, stdin: str = "", seconds: float = 60) -> Done:
    """Run the program."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=environment(**(settings or {})),
        timeout=seconds,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def call(*arguments: str, settings: Mapping[str, str] | None = None) -> Done:
    """Run the entry point in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(**(settings or {})), clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = main(arguments)
    return Done(status, out.getvalue(), err.getvalue())
