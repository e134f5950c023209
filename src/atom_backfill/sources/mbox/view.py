"""A file read through one movable block, so that scanning back and forth costs no more than reading once."""

from __future__ import annotations

from typing import BinaryIO

BLOCK = 1 << 20
_BEHIND = 4096


class FileView:
    """Random access to a binary file's bytes, as of its size when the view was opened.

    `ahead`: how many bytes to read at least, where more will be wanted soon.
    """

    def __init__(self, file: BinaryIO, *, ahead: int = BLOCK) -> None:
        self._file = file
        self._ahead = ahead
        self.size = file.seek(0, 2)
        self._start = 0
        self._block = b""

    def at(self, start: int, length: int) -> bytes:
        """Return the bytes from a place on: fewer at the end of the file, or where it has shrunk meanwhile."""
        start, end = max(0, start), min(start + length, self.size)
        if start >= end:
            return b""
        if start < self._start or end > self._start + len(self._block):
            self._load(start, end)
        return self._block[start - self._start : end - self._start]

    def find(self, what: bytes, start: int, end: int) -> int:
        """Return where `what` begins first within [start, end), -1 for nowhere."""
        while start + len(what) <= end:
            if not self.at(start, len(what)):
                return -1
            found = self._block.find(what, start - self._start, end - self._start)
            if found >= 0:
                return self._start + found
            start = max(start + 1, self._start + len(self._block) - len(what) + 1)
        return -1

    def _load(self, start: int, end: int) -> None:
        start = max(0, start - _BEHIND)
        self._file.seek(start)
        self._block = self._file.read(max(self._ahead, end - start))
        self._start = start
