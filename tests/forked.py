"""The program in a process that is there at once: a fork of one that has loaded its libraries, which takes seconds.

It comes in by the program's own entry point, and has its own arguments, environment and streams; it can be signalled
and killed. What starting does itself, tests see with `command_line.PROGRAM`.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import IO

from atom_torture.processes import program

LIBRARIES = [*program.LIBRARIES, "onnxruntime", "tokenizers"]
"""The program does not miss the threads that they start."""


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
            target=program.become,
            args=([*arguments], dict(environment), streams),
            kwargs={"new_session": new_session},
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
