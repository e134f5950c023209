"""The workers of a run, as a supervisor keeps them: processes, and another one in the place of whoever has died."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from atom_torture.processes.proc import kill_all, of_sessions
from atom_torture.processes.program import Program

DRAIN_S = 10.0
BEGUN = "ROLE=worker Starting"
LEAVE_S = 8.0
"""In which the children of a worker that was killed must have left."""


@dataclass(eq=False)
class Worker:
    """One worker.

    `ending`: the harness has seen to its end. `touched`: it was stopped or starved, so its leases may lapse. `starved`:
    how it ends is no fault of its own.
    """

    process: Program
    path: Path
    ending: bool = False
    touched: bool = False
    starved: bool = False

    @property
    def pid(self) -> int:
        """Its process, and its session."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process.returncode is None

    def log(self) -> list[str]:
        """Return the lines that it has written."""
        return self.path.read_text(errors="replace").splitlines()

    def has_begun(self) -> bool:
        """Whether it has come as far as to work."""
        return BEGUN in self.path.read_text(errors="replace")


@dataclass
class Fleet:
    """All workers that there ever were in a run."""

    environment: Mapping[str, str]
    folder: Path
    concurrency: int
    wanted: int
    workers: list[Worker] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def running(self) -> list[Worker]:
        """Those that work, or are about to."""
        return [worker for worker in self.workers if worker.running and not worker.ending]

    async def tend(self) -> None:
        """Replace whoever has ended; who ends by itself after it has begun to work is a violation."""
        for worker in self.workers:
            if not worker.running and not worker.ending:
                worker.ending = True
                if not worker.starved and worker.has_begun():
                    self.violations.append(f"a worker ended by itself (status {worker.process.returncode})")
        while len(self.running) < self.wanted:
            await self.employ()

    async def employ(self) -> Worker:
        """Start a worker."""
        path = self.folder / f"worker-{next(self._numbers)}.log"
        arguments = ("worker", "--concurrency", str(self.concurrency))
        process = await Program.start(arguments, self.environment, err=path)
        self.workers.append(Worker(process, path))
        return self.workers[-1]

    async def dismiss(self, worker: Worker) -> float:
        """Tell a worker to go, and return the seconds that it took."""
        worker.ending = True
        began = asyncio.get_running_loop().time()
        worker.process.send(signal.SIGTERM)
        try:
            status = await asyncio.wait_for(worker.process.wait(), 3 * DRAIN_S)
        except TimeoutError:
            worker.process.send(signal.SIGKILL)
            await worker.process.wait()
            if not worker.starved:
                self.violations.append(f"a worker that was told to go was still there after {3 * DRAIN_S:.0f} s")
        else:
            # Before it has begun to work, the signal has its usual effect.
            if status and worker.has_begun() and not worker.starved:
                self.violations.append(f"a worker that was told to go ended with status {status}")
        return asyncio.get_running_loop().time() - began

    async def leave_nobody(self) -> None:
        """See that no process of a worker that has ended is left, and end those that are."""
        sessions = {worker.pid for worker in self.workers if not worker.running}
        for _ in range(int(LEAVE_S / 0.1)):
            if not await asyncio.to_thread(of_sessions, sessions):
                return
            await asyncio.sleep(0.1)
        self.violations.append("a worker has left a process behind")

    def kill(self) -> None:
        """End everybody, however they fare."""
        for worker in self.workers:
            worker.ending = True
        kill_all(of_sessions({worker.pid for worker in self.workers}))

    async def bury(self) -> None:
        """Wait for the end of those that were killed."""
        await asyncio.gather(*(worker.process.wait() for worker in self.workers))


def faults_of_log(worker: Worker, private: frozenset[str]) -> list[str]:
    """Name what may not stand in a worker's log: words of the mailbox, tracebacks, mistakes of the program itself."""
    found: list[str] = []
    begun = worker.has_begun()
    for line in worker.log():
        if any(word in line for word in private):
            found.append("a log has words of the mailbox")
        if worker.starved:
            continue  # without memory, libraries end the process with words of their own
        document = _document(line)
        if document is None and not begun and not line.startswith("Traceback"):
            continue  # the sentence with which a command ends that cannot begin
        if document is None:
            found.append(f"a log has a line that is none: {line[:80]}")
        elif "exception" in document or document.get("error_code") == "bug":
            found.append(f"a log tells of a mistake: {document.get('event')} {document.get('exception')}")
    return list(dict.fromkeys(found))


def _document(line: str) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
