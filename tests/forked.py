"""The program in a process that is there at once: a fork of one that has loaded its libraries, which takes seconds.

It comes in by the program's own entry point, and has its own arguments, environment and streams; it can be signalled
and killed. What starting does itself, tests see with `command_line.PROGRAM`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import IO

LIBRARIES = ["atom_backfill.app.core", "atom_backfill.app.work", "onnxruntime", "tokenizers", "rich.live"]
"""They start no thread that does not survive a fork."""


class Forked:
    """A command at work, much as `subprocess.Popen` has it. Streams that are not given are not read or said into."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
        new_session: bool = False,
    ) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(LIBRARIES)
        with open(os.devnull, "r+b") as nowhere:  # noqa: PTH123
            # A connection is how multiprocessing hands an open file on.
            streams = [Connection(os.dup((each or nowhere).fileno())) for each in (stdin, stdout, stderr)]
        self._process = context.Process(
            target=_become_the_program, args=([*arguments], dict(environment), streams, new_session)
        )
        self._process.start()
        for stream in streams:
            stream.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it is at work."""
        return self._process.exitcode

    def wait(self, seconds: float) -> int:
        """Wait for its end; returns its exit status."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, seconds)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _become_the_program(
    arguments: list[str], environment: dict[str, str], streams: Sequence[Connection], new_session: bool
) -> None:
    if new_session:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments

    from atom_backfill.__main__ import run

    sys.exit(run())
