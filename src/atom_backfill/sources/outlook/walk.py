"""Where a walk through a window stands, and how it notices continuations that lead nowhere. Pure."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from atom_backfill.errors import BugError
from atom_backfill.sources.ports import Link, Window

WALKS_KEPT = 256
LINKS_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a walk: `skip` items of `within` are behind, the next page has `size`.

    `url` is the service's own continuation, used while it works. `within` is the part of the walk's window that is
    read now, its newest first; what is older follows.
    """

    within: Window
    size: int
    skip: int = 0
    url: str = ""

    def smaller(self) -> Position:
        """The same place with half the page, read by our own request instead of the service's continuation."""
        return replace(self, size=max(1, self.size // 2), url="")

    def narrower(self) -> Position | None:
        """The newer half of a bounded window; None where it cannot be halved or is already begun."""
        start, end = self.within.start, self.within.end
        if self.skip or start is None or end is None:
            return None
        half = int((end - start).total_seconds()) // 2
        return replace(self, within=Window(end - timedelta(seconds=half), end), url="") if half >= 1 else None

    def after(self, listed: int, url: str, asked: int) -> Position:
        """The place behind `listed` items. A page that had to be smaller doubles again, up to `asked`."""
        own = self.size < asked
        return replace(
            self,
            size=min(asked, self.size * 2),
            skip=_skip_of(url) or self.skip + listed,
            url="" if own else url,
        )

    def counted(self, listed: int) -> Position | None:
        """The place behind `listed` items by our own count; None where only the service knows where this page lies."""
        if "$skiptoken" in self.url:
            return None
        return replace(self, skip=(_skip_of(self.url) if self.url else self.skip) + listed, url="")

    def past(self, items: int) -> Position:
        """The place behind so many items of a page that held more than asked for, some of them repeated."""
        return replace(self, skip=self.skip + items, url="")

    def older(self, whole: Window, asked: int) -> Position | None:
        """The rest of the whole window behind this part of it; None where this part was the last."""
        if self.within.start == whole.start:
            return None
        return Position(Window(whole.start, self.within.start), asked)


def write_link(position: Position) -> Link:
    """Write a position as the opaque link that the walk hands out."""
    bounds = [moment.isoformat() if moment else None for moment in (position.within.start, position.within.end)]
    return Link(json.dumps([*bounds, position.size, position.skip, position.url]))


def read_link(link: Link) -> Position:
    """Read a link of ours. Raises BugError for any other text."""
    try:
        start, end, size, skip, url = json.loads(link)
        window = Window(*(datetime.fromisoformat(text) if text else None for text in (start, end)))
        return Position(window, int(size), int(skip), str(url))
    except (ValueError, TypeError) as error:
        raise BugError("bad_link", "A link is none that this source gave.") from error


class Walks:
    """Remembers, per walk, which continuation came from where, and the page size that last worked. Bounded."""

    def __init__(self) -> None:
        self._walks: OrderedDict[tuple[object, ...], _Walk] = OrderedDict()

    def begin(self, key: tuple[object, ...]) -> None:
        """Forget the continuations of an earlier walk of the same window."""
        self._of(key).came_from.clear()

    def loops(self, key: tuple[object, ...], url: str, came_from: str) -> bool:
        """Tell whether a continuation was already given by another page of this walk, or by the page that it names."""
        seen = self._of(key).came_from
        if url == came_from or seen.get(url, came_from) != came_from or len(seen) >= LINKS_KEPT:
            return True
        seen[url] = came_from
        return False

    def gives_up_first(self, key: tuple[object, ...]) -> bool:
        """Tell whether this is the first time that a walk of this window could not go on, and note that it was."""
        walk = self._of(key)
        first, walk.gave_up = not walk.gave_up, True
        return first

    def remember_size(self, key: tuple[object, ...], size: int | None) -> None:
        """Keep a smaller page size for the next call; None once it is no longer needed."""
        self._of(key).size = size

    def suspect(self, key: tuple[object, ...], *, corrupt: bool) -> None:
        """Note that a page did not work which smaller ones did: a corrupt item must be near; or that it is found."""
        self._of(key).corrupt_near = corrupt

    def tries(self, key: tuple[object, ...], usual: int) -> int:
        """Return how often to try a page: once where it may hold an item that cannot be had however long one waits."""
        return 1 if self._of(key).corrupt_near else usual

    def limited(self, key: tuple[object, ...], position: Position) -> Position:
        """Return the position with the page size that the walk had to come down to."""
        size = self._of(key).size
        return position if size is None or size >= position.size else replace(position, size=size, url="")

    def _of(self, key: tuple[object, ...]) -> _Walk:
        walk = self._walks.setdefault(key, _Walk({}))
        self._walks.move_to_end(key)
        if len(self._walks) > WALKS_KEPT:
            self._walks.popitem(last=False)
        return walk


@dataclass(slots=True)
class _Walk:
    came_from: dict[str, str]
    size: int | None = None
    gave_up: bool = False
    corrupt_near: bool = False


def _skip_of(url: str) -> int:
    # Graph counts items it went through, also those it does not list, so its number beats ours.
    for name, value in parse_qsl(urlsplit(url).query, max_num_fields=50) if url else ():
        if name == "$skip" and value.isdecimal():
            return min(int(value[:9]), 10**9)
    return 0
