"""Folder paths as people read and type them: `Projects/Atlas`. Pure."""

from __future__ import annotations

from atom_backfill.mail.door import cut, repair_line

NAME_CHARACTERS = 256


def segment(name: str) -> str:
    """Make a folder's name one segment of a path: repaired, bounded, a slash or backslash in it escaped."""
    text = cut(repair_line(name), NAME_CHARACTERS)
    return text.replace("\\", "\\\\").replace("/", "\\/") or "(no name)"


class PathNames:
    """Gives each folder a path of its own; of equal ones, compared without case, the later become `Atlas (2)`, …"""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def free(self, path: str) -> str:
        """Return the path, or the first numbered one that is free, and take it."""
        free, number = path, 1
        while free.casefold() in self._taken:
            number += 1
            free = f"{path} ({number})"
        self._taken.add(free.casefold())
        return free
