"""Folders that hold mail are their owner's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from atom_backfill.private import make_private


@pytest.fixture(autouse=True)
def _generous_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_private_with_what_is_missing_above_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private(tmp_path / "memory" / "tenant")
    assert (mode(tmp_path / "memory" / "tenant"), mode(tmp_path / "memory")) == (0o700, 0o700)
    assert mode(tmp_path) == 0o755, "what was there above is somebody else's matter"


def test_a_folder_that_is_open_to_others_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    folder.mkdir(mode=0o755)
    (folder / "rows").touch()
    make_private(folder)
    assert mode(folder) == 0o700
    assert (folder / "rows").exists()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "memory").touch()
    with pytest.raises(OSError, match="memory"):
        make_private(tmp_path / "memory")
    with pytest.raises(OSError, match="memory"):
        make_private(tmp_path / "memory" / "tenant")
