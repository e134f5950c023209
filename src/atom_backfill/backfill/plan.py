"""Cuts a mailbox and a range of time into chunks, newest first. Pure: counts are asked for through a callable.

Counts are hints. They size the windows and the display; they never decide that there is no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from atom_backfill.sources.ports import Folder, Window

WINDOW_MESSAGES = 2000
"""About as many messages as one window holds: small enough that losing a place costs little, large enough that a small
folder is one chunk."""

EXCLUDED_UNLESS_NAMED = ("junkemail", "deleteditems", "drafts")
EVERY_FOLDER = "all"
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_DEEPEST_CUT = 24

Count = Callable[[Window], Awaitable[int | None]]


def included(folder: Folder, wanted: Sequence[str]) -> bool:
    """Tell whether a folder is to be read: all but Junk, Deleted Items, Drafts and searches, or those named."""
    if folder.search:
        return False
    if not wanted:
        return folder.well_known not in EXCLUDED_UNLESS_NAMED
    names = {name.casefold().strip("/") for name in wanted}
    return EVERY_FOLDER in names or bool(
        names & {folder.path.casefold(), folder.well_known.casefold() or folder.path.casefold()}
        or folder.folder_id in wanted
    )


def unknown_names(folders: Sequence[Folder], wanted: Sequence[str]) -> list[str]:
    """Return the names that mean no folder of the mailbox."""
    return [
        name
        for name in wanted
        if name.casefold() != EVERY_FOLDER and not any(included(folder, [name]) for folder in folders)
    ]


def gaps(window: Window, covered: Iterable[Window]) -> list[Window]:
    """Subtract what is covered from a window with an end; newest first."""
    left = [(window.start or _EARLIEST, window.end or _EARLIEST)]
    for done in covered:
        start, end = done.start or _EARLIEST, done.end or _EARLIEST
        left = [
            piece
            for low, high in left
            for piece in ((low, min(high, start)), (max(low, end), high))
            if piece[0] < piece[1]
        ]
    left.sort(reverse=True)
    return [Window(None if low == _EARLIEST else low, high) for low, high in left]


async def cut(
    window: Window, hint: int | None, count: Count, oldest: datetime | None
) -> list[tuple[Window, int | None]]:
    """Halve a window by time until each part holds about WINDOW_MESSAGES; newest first, with each part's count.

    `oldest` is the date of the oldest message, where it is known, so that empty decades are not halved.
    """
    if hint is None or hint <= WINDOW_MESSAGES or window.end is None:
        return [(window, hint)]
    parts: list[tuple[Window, int | None]] = []
    todo = [(window, hint, 0)]
    while todo:
        piece, size, depth = todo.pop()
        middle = _middle(piece, oldest)
        if size <= WINDOW_MESSAGES or depth >= _DEEPEST_CUT or middle is None:
            parts.append((piece, size))
            continue
        older, newer = Window(piece.start, middle), Window(middle, piece.end)
        newer_size = await count(newer)
        newer_size = size // 2 if newer_size is None else min(newer_size, size)
        todo.append((older, size - newer_size, depth + 1))
        todo.append((newer, newer_size, depth + 1))
    return parts


def _middle(window: Window, oldest: datetime | None) -> datetime | None:
    """Return the whole second in the middle, None where a window is a second."""
    low = max(window.start or _EARLIEST, oldest or _EARLIEST)
    assert window.end is not None
    half = timedelta(seconds=int((window.end - low).total_seconds() // 2))
    return low.replace(microsecond=0) + half if half >= timedelta(seconds=1) else None
