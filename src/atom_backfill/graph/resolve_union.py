"""Groups grown from the surest likeness to the least, with walls that no chain of likenesses gets over. Pure."""

from __future__ import annotations

from collections.abc import Iterable


class Groups:
    """A union-find whose groups know from which others they must stay apart."""

    def __init__(self) -> None:
        self._head: dict[str, str] = {}
        self._members: dict[str, int] = {}
        self._walls: dict[str, set[str]] = {}

    def part(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Put a wall between the groups of each pair; one within a group is no wall."""
        for a, b in pairs:
            a, b = self.head(a), self.head(b)
            if a != b:
                self._walls.setdefault(a, set()).add(b)
                self._walls.setdefault(b, set()).add(a)

    def join(self, a: str, b: str) -> bool:
        """Make one group of two; False where a wall stands between them, or they are one already."""
        a, b = self.head(a), self.head(b)
        if a == b or b in self._walls.get(a, ()):
            return False
        if self._members.get(a, 1) < self._members.get(b, 1):
            a, b = b, a
        self._head[b] = a
        self._members[a] = self._members.get(a, 1) + self._members.pop(b, 1)
        self._move_walls(b, a)
        return True

    def head(self, key: str) -> str:
        """Return what stands for the key's group; it changes as the group grows."""
        top = key
        while top in self._head:
            top = self._head[top]
        while key != top:
            self._head[key], key = top, self._head[key]
        return top

    def together(self, a: str, b: str) -> bool:
        """Tell whether two keys are of one group."""
        return self.head(a) == self.head(b)

    def parted(self, a: str, b: str) -> bool:
        """Tell whether a wall stands between the groups of two keys."""
        return self.head(b) in self._walls.get(self.head(a), ())

    def parted_from(self, key: str) -> frozenset[str]:
        """Return the heads of the groups from which a wall parts the key's."""
        return frozenset(self._walls.get(self.head(key), ()))

    def _move_walls(self, old: str, new: str) -> None:
        for neighbour in self._walls.pop(old, ()):
            self._walls[neighbour].discard(old)
            self._walls[neighbour].add(new)
            self._walls.setdefault(new, set()).add(neighbour)
