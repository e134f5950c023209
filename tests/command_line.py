"""The command line as tests call it: in a process of its own, or in this one where only what it says matters."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any
from unittest import mock

from atom_backfill.cli.main import main
from forked import Forked

PROGRAM = [sys.executable, "-m", "atom_backfill"]
"""For tests of what a fresh interpreter does; `run` and `running` fork the program."""


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


@dataclass(frozen=True)
class Running:
    """A command at work, and what it says as it says it."""

    process: Forked
    out: IO[str]
    err: IO[str]

    def end(self, seconds: float = 60) -> Done:
        """Wait for its end; returns what has not been read yet."""
        return Done(self.process.wait(seconds), self.out.read(), self.err.read())


def run(*arguments: str, settings: Mapping[str, str] | None = None, seconds: float = 60) -> Done:
    """Run the program in a process of its own."""
    with TemporaryFile() as out, TemporaryFile() as err:
        process = Forked(arguments, environment(**(settings or {})), stdout=out, stderr=err)
        try:
            status = process.wait(seconds)
        finally:
            process.kill()
        return Done(status, _written_to(out), _written_to(err))


@contextmanager
def running(*arguments: str, settings: Mapping[str, str] | None = None, new_session: bool = False) -> Iterator[Running]:
    """Run the program while the block lasts."""
    with ExitStack() as stack:
        (read_out, out), (read_err, err) = (_pipe(stack) for _ in range(2))
        process = Forked(arguments, environment(**(settings or {})), stdout=out, stderr=err, new_session=new_session)
        stack.callback(process.kill)
        out.close()
        err.close()
        yield Running(process, io.TextIOWrapper(read_out), io.TextIOWrapper(read_err))


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


def _written_to(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    reads, writes = os.pipe()
    return stack.enter_context(os.fdopen(reads, "rb")), stack.enter_context(os.fdopen(writes, "wb"))
