"""Writing a rendering: words and breaks come in, lines with quote marks go out, offsets are known at every moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class MarkKind(StrEnum):
    """What a mail program itself says about a stretch of its HTML."""

    ATTRIBUTION = "attribution"
    QUOTE = "quote"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch [start, end) of the rendering that the HTML's own structure names."""

    kind: MarkKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Link:
    """Where a stretch [start, end) of the rendering leads; the text alone need not say it."""

    start: int
    end: int
    href: str


@dataclass(frozen=True, slots=True)
class Rendering:
    """A body as plain text, before anything is cut, with what its structure said. Offsets count code points."""

    text: str
    links: tuple[Link, ...] = ()
    marks: tuple[Mark, ...] = ()
    truncated: bool = False


class Writer:
    """Collects a rendering of at most `limit` characters. Breaks and spaces are written when a word follows them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[str] = []
        self._length = 0
        self._newlines = 2
        self._space = False
        self._invisible = self._cell = False
        self._prefixes: list[str] = []
        self._bullet = ""
        self.flat = 0
        self.truncated = False

    def words(self, text: str) -> None:
        """Write text whose white space means no more than a space; spaces that do not break keep their number."""
        folded = _SPACES.sub(" ", text)
        words = folded.strip()
        if not words:
            # A paragraph of nothing but an unbreakable space is how mail programs leave a line empty.
            self._invisible = self._invisible or folded.strip(" ") != ""
            self._space = True
            return
        first = folded.index(words[0])
        if first:
            lead = folded[:first].lstrip(" ") if self._newlines else ""
            self._space = not lead
            words = lead.replace("\u00a0", " ") + words
        self._put(words.replace("\u00a0", " "))
        self._space = first + len(words) < len(folded) or folded[-1].isspace()

    def verbatim(self, text: str) -> None:
        """Write text whose spaces and line ends all count."""
        for number, line in enumerate(text.split("\n")):
            if number:
                self.newline()
            if line.strip():
                self._put(line.rstrip().replace("\u00a0", " "))

    def newline(self) -> None:
        """End the line, or leave one empty; no more than two empty lines stand together."""
        if self.flat:
            self._space = True
            return
        self._space = self._invisible = False
        # Layout is full of empty blocks, and ten empty lines say no more than two.
        if self._newlines < 3:
            self._raw("\n" if self._newlines == 0 or not self._prefixes else "".join(self._prefixes).rstrip() + "\n")
            self._newlines += 1

    def line(self) -> None:
        """Begin a line unless one has just begun."""
        if self.flat:
            self._space = True
        elif self._newlines == 0 or self._invisible:
            self.newline()

    def gap(self) -> None:
        """Begin a line with an empty one before it."""
        self.line()
        if not self.flat and self._newlines == 1:
            self.newline()

    def indent(self, prefix: str) -> None:
        """Begin every line from here with `prefix` too."""
        self.line()
        self._prefixes.append(prefix)

    def outdent(self) -> None:
        """Take the last prefix back."""
        self.line()
        self._prefixes.pop()

    def bullet(self, sign: str) -> None:
        """Begin the next words with `sign`."""
        self.line()
        self._bullet = sign

    def cell(self) -> None:
        """Part the cells of a row; empty cells leave no trace."""
        self._cell = self._newlines == 0

    def end_row(self) -> None:
        """Forget a parting that nothing followed."""
        self._cell = False

    @property
    def at(self) -> int:
        """Count the characters written so far."""
        return self._length

    def text(self) -> str:
        """Return what was written."""
        return "".join(self._parts)

    def _put(self, words: str) -> None:
        between = " | " if self._cell else " " if self._space else ""
        head = "".join(self._prefixes) + self._bullet if self._newlines else between
        self._bullet = "" if self._newlines else self._bullet
        self._raw(head + words)
        self._newlines = 0
        self._space = self._invisible = self._cell = False

    def _raw(self, text: str) -> None:
        room = self._limit - self._length
        if len(text) > room:
            self.truncated = True
            text = text[:room]
        self._parts.append(text)
        self._length += len(text)


_SPACES = re.compile(r"[ \t\n\f\r]+")
