"""The program in a process of its own, forked from one that has loaded its libraries, since loading takes seconds.

It comes in by its own entry point and has its own arguments, environment and streams. A run that starts with a fresh
interpreter each time spends most of its time on imports.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

LIBRARIES = ["atom_torture.processes.libraries"]


class Program:
    """A command at work. `start` it inside a running event loop."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self._ended = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(process.sentinel, self._end)

    @classmethod
    async def start(
        cls, arguments: Sequence[str], environment: Mapping[str, str], *, out: Path | None = None, err: Path
    ) -> Program:
        """Start it in a session of its own, by which whoever it leaves behind is found; its streams go to files."""
        forking = asyncio.ensure_future(asyncio.to_thread(_fork, arguments, environment, out, err))
        try:
            return cls(await asyncio.shield(forking))
        except asyncio.CancelledError:
            (await forking).kill()  # nobody would know of it
            raise

    @property
    def pid(self) -> int:
        """Its process, and its session."""
        return int(self._process.pid)

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it is there."""
        return self._process.exitcode if self._ended.done() else None

    async def wait(self) -> int:
        """Wait for its end; returns its exit status."""
        await asyncio.shield(self._ended)
        return int(self._process.exitcode)

    def send(self, what: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if not self._ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, what)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        self._ended.set_result(None)


def _fork(arguments: Sequence[str], environment: Mapping[str, str], out: Path | None, err: Path) -> Any:
    context = get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    with Path(os.devnull).open("rb") as nowhere, (out or Path(os.devnull)).open("wb") as said, err.open("wb") as told:
        # A connection is how multiprocessing hands an open file on.
        streams = [Connection(os.dup(each.fileno())) for each in (nowhere, said, told)]
    # A daemon ends with this process, also where it was being started when that was told to end.
    process = context.Process(target=become, args=([*arguments], dict(environment), streams), daemon=True)
    process.start()
    for stream in streams:
        stream.close()
    return process


def become(
    arguments: list[str], environment: Mapping[str, str], streams: Sequence[Connection], *, new_session: bool = True
) -> None:
    """Be the program from here on. `streams`: its stdin, stdout and stderr."""
    from atom_torture.processes.libraries import SAID

    if new_session:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update({**SAID, **environment})
    sys.argv[1:] = arguments

    from atom_backfill.__main__ import run

    sys.exit(run())
