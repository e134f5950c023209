"""What other processes use, as Linux tells it in /proc: CPU seconds and memory of a process and of those below it."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def tree(root: int) -> list[int]:
    """List a process and its descendants, the root first; a process that is gone has none."""
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):
            for thread in (_PROC / str(pid) / "task").iterdir():
                found += map(int, (thread / "children").read_text().split())
    return found


def parent_of(pid: int) -> int:
    """Return the parent of a living process."""
    return int(_stat(pid)[1])


def cpu_seconds(root: int) -> float:
    """Sum the CPU of a process and its descendants, those that have ended (and were waited for) included."""
    ticks = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _stat(pid)[11:15]))
    return ticks / _TICK


def peak_mb(pid: int) -> float:
    """Return the most memory that a living process has had, in MB; 0 when it is gone."""
    return _status(pid, "VmHWM")


class Watcher:
    """Samples a process and its descendants while the block runs, and keeps the peaks.

    `alone` is the kernel's own peak of the root, `children` the highest sum of the others at one moment, `together` of
    all; memory that processes share is counted in each, so the sums are an upper bound.
    """

    def __init__(self, root: int, *, every_s: float = 0.2) -> None:
        self._root = root
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.alone = self.children = self.together = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            root, *others = [_status(pid, "VmRSS") for pid in tree(self._root)]
            self.alone = max(self.alone, peak_mb(self._root))
            self.children = max(self.children, sum(others))
            self.together = max(self.together, root + sum(others))


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the machine was with other work: runnable processes on average over the last minute."""

    one_minute: float
    cores: int


def load() -> Load:
    """Read it now."""
    return Load(round(os.getloadavg()[0], 1), len(os.sched_getaffinity(0)))


def _stat(pid: int) -> list[str]:
    """Return the fields after the command's name: state, parent, …"""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _status(pid: int, name: str) -> float:
    with contextlib.suppress(OSError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    return 0.0
