"""Processes as Linux shows them: who belongs to a session, whose children they are, and how much memory they have."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PPID, _SESSION = 1, 3


def of_sessions(sessions: Collection[int]) -> set[int]:
    """Return the living processes of sessions."""
    return {pid for pid in _pids() if _field(pid, _SESSION) in sessions}


def children_of(parent: int) -> set[int]:
    """Return the living processes that a process has started."""
    return {pid for pid in _pids() if _field(pid, _PPID) == parent}


def kill_all(pids: Collection[int]) -> None:
    """End processes on the spot."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def allow_memory(pid: int, more: int | None) -> None:
    """Let a process have so many bytes of addresses more than it has; None: any number, as before."""
    with suppress(ProcessLookupError, FileNotFoundError):
        has = int((_PROC / str(pid) / "statm").read_text().split()[0]) * resource.getpagesize()
        _limit(pid, resource.RLIMIT_AS, None if more is None else has + more)


def allow_files(pid: int, size: int | None) -> None:
    """Let a process write files of at most so many bytes; None: any number."""
    with suppress(ProcessLookupError):
        _limit(pid, resource.RLIMIT_FSIZE, size)


def _limit(pid: int, what: int, limit: int | None) -> None:
    _, most = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most if limit is None else limit, most))


def _pids() -> list[int]:
    return [int(each.name) for each in _PROC.iterdir() if each.name.isdecimal()]


def _field(pid: int, number: int) -> int:
    """Return a field of a process after its name; 0 where there is no such process any more."""
    with suppress(OSError, IndexError):
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return 0 if fields[0] == "Z" else int(fields[number])
    return 0
