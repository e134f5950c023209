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
MOST_WINDOWS = 2000
"""Of one folder: about four million messages; a count that claims more is not believed."""

EXCLUDED_UNLESS_NAMED = ("junkemail", "deleteditems", "drafts")
EVERY_FOLDER = "all"
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

Count = Callable[[Window], Awaitable[int | None]]


def chosen(folders: Sequence[Folder], wanted: Sequence[str]) -> list[Folder]:
    """Return the folders to be read; what lies below an excluded folder is excluded with it, unless it is named."""
    below = tuple(f"{folder.path}/" for folder in folders if folder.well_known in EXCLUDED_UNLESS_NAMED)
    return [folder for folder in folders if included(folder, wanted) and (wanted or not folder.path.startswith(below))]


def included(folder: Folder, wanted: Sequence[str]) -> bool:
    """Tell whether a folder is to be read: all but Junk, Deleted Items, Drafts and searches, or those named."""
    if folder.search:
        return False
    if not wanted:
        return folder.well_known not in EXCLUDED_UNLESS_NAMED
    names = {_name(name) for name in wanted}
    return EVERY_FOLDER in names or folder.folder_id in wanted or bool(names & _names(folder))


def unknown_names(folders: Sequence[Folder], wanted: Sequence[str]) -> list[str]:
    """Return the names that mean no folder of the mailbox."""
    return [
        name
        for name in wanted
        if _name(name) != EVERY_FOLDER and not any(included(folder, [name]) for folder in folders)
    ]


def on_seconds(start: datetime | None, end: datetime | None) -> Window:
    """Widen a range to whole seconds, in UTC: mailboxes know no shorter time, so no window may cut a second."""
    first = start and start.astimezone(UTC).replace(microsecond=0)
    last = end and end.astimezone(UTC).replace(microsecond=0)
    return Window(first, last + _SECOND if end and last and last < end else last)


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


async def cut(window: Window, hint: int | None, count: Count) -> list[tuple[Window, int | None]]:
    """Halve a window by time until each part holds about WINDOW_MESSAGES; newest first, with each part's count.

    The parts cover the window and do not overlap, whatever `count` says. What it does not know is taken as one half.
    """
    if hint is None or hint < 0 or hint <= WINDOW_MESSAGES:
        return [(window, None if hint is None or hint < 0 else hint)]
    parts: list[tuple[Window, int | None]] = []
    todo = [(window, hint)]
    while todo:
        piece, size = todo.pop()
        middle = _middle(piece)
        if size <= WINDOW_MESSAGES or middle is None or len(parts) + len(todo) >= MOST_WINDOWS:
            parts.append((piece, size))
            continue
        older, newer = Window(piece.start, middle), Window(middle, piece.end)
        counted = await count(newer)
        newer_size = size // 2 if counted is None or counted < 0 else min(counted, size)
        todo.append((older, size - newer_size))
        todo.append((newer, newer_size))
    return parts


def _middle(window: Window) -> datetime | None:
    """Return the whole second in the middle; None where there is none, or no end."""
    if window.end is None:
        return None
    low = (window.start or _EARLIEST).replace(microsecond=0)
    half = timedelta(seconds=int((window.end - low).total_seconds() // 2))
    return low + half if half >= _SECOND else None


def _names(folder: Folder) -> set[str]:
    return {_name(folder.path), folder.well_known.casefold() or _name(folder.path)}


def _name(written: str) -> str:
    return written.casefold().strip("/")
