"""Folders that hold mail: their owner alone may enter them, whatever the umask and the folder above them allow."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a folder, and what is missing above it, mode 0700; one that is there is closed to others. Raises OSError."""
    if not folder.parent.exists():
        make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        with suppress(PermissionError):  # another account's, which that one has to close
            folder.chmod(mode & ~0o077)
