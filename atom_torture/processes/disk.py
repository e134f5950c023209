"""A disk for the memory that can be filled: a small tmpfs where this process may mount, else a limit on files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from atom_torture.processes.proc import allow_files

SIZE = "96m"
_PIECE = bytes(1 << 20)


class Disk:
    """The disk below a folder. `how` says by what it is filled; `writers` names the processes that a limit binds."""

    def __init__(self, folder: Path, writers: Callable[[], Collection[int]]) -> None:
        self._folder = folder
        self._writers = writers
        self.how = "tmpfs" if _mount(folder) else "RLIMIT_FSIZE"

    def fill(self) -> None:
        """Leave no room."""
        if self.how != "tmpfs":
            for pid in self._writers():
                allow_files(pid, 0)
            return
        with suppress(OSError), (self._folder / "filler").open("wb", buffering=0) as filler:
            while filler.write(_PIECE):
                pass

    def empty(self) -> None:
        """Make room again."""
        if self.how == "tmpfs":
            (self._folder / "filler").unlink(missing_ok=True)
        else:
            for pid in self._writers():
                allow_files(pid, None)

    def close(self) -> None:
        """Take the mount away."""
        if self.how == "tmpfs":
            subprocess.run(["umount", "--lazy", str(self._folder)], check=False, capture_output=True)


def _mount(folder: Path) -> bool:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid():
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "atom-torture", str(folder)]
    with suppress(OSError):
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    return False
