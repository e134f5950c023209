"""The snippet that shows why a mail was found: the stretch of its best passage where the query's words stand. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from atom_backfill.search.words import WORD, stem

MOST_CHARS = 240
ELLIPSIS = "…"

_WORD_REACH = 24
_JOINER = "\u200d"
_SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_SALUTATION = re.compile(
    r"(?:hi|hello|dear|hey|hallo|liebe[rs]?|sehr geehrte[rs]?|bonjour|hola)\b[^.!?]{0,40}[,:!]\s", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Match:
    start: int
    end: int
    stem: str


def snippet(query: str, text: str, subject: str = "") -> str:
    """Cut at most 240 characters of plain text, in one line, `…` where it was cut.

    The window that holds most of the query's words, the rarer ones before all; without any, the passage's start after
    its salutation; without text, the subject.
    """
    line = " ".join(text.split()) or " ".join(subject.split())
    if len(line) <= MOST_CHARS:
        return line
    matches = _matches(query, line)
    start = _best_start(matches, line) if matches else _telling_start(line)
    return _cut(line, start)


def _matches(query: str, line: str) -> list[_Match]:
    wanted = {stem(word) for word in WORD.findall(query)}
    found = (_Match(word.start(), word.end(), stem(word.group())) for word in WORD.finditer(line))
    return [match for match in found if match.stem in wanted]


def _best_start(matches: Sequence[_Match], line: str) -> int:
    """Find where a window holds most of the words; one that the passage has once counts more than a frequent one."""
    seen: dict[str, int] = {}
    for match in matches:
        seen[match.stem] = seen.get(match.stem, 0) + 1

    def worth(first: _Match) -> float:
        inside = {m.stem for m in matches if first.start <= m.start and m.end <= first.start + MOST_CHARS * 3 // 4}
        return sum(len(stem) / seen[stem] for stem in inside)

    best = max(matches, key=worth)
    # Some words before the first match, from the sentence's start where that is near.
    lead = line[max(0, best.start - MOST_CHARS // 5) : best.start]
    sentence = max(lead.rfind(sign) for sign in (". ", "! ", "? "))
    return best.start - (len(lead) - sentence - 2 if sentence >= 0 else len(lead))


def _telling_start(line: str) -> int:
    salutation = _SALUTATION.match(line)
    return salutation.end() if salutation else 0


def _cut(line: str, start: int) -> str:
    room = MOST_CHARS - 2 * len(ELLIPSIS)
    start = _whole(line, _after_space(line, min(start, max(0, len(line) - room))))
    before = ELLIPSIS if start else ""
    if len(line) - start <= room:
        return before + line[start:]
    end = _whole(line, _before_space(line, start + room))
    return before + line[start:end].rstrip() + ELLIPSIS


def _after_space(line: str, index: int) -> int:
    """Move on to the next word, where one begins nearby; scripts without spaces stay."""
    if index == 0 or line[index - 1] == " ":
        return index
    space = line.find(" ", index, index + _WORD_REACH)
    return index if space < 0 else space + 1


def _before_space(line: str, index: int) -> int:
    space = line.rfind(" ", index - _WORD_REACH, index + 1)
    return index if space < 0 else space


def _whole(line: str, index: int) -> int:
    """Move back to where no accent, joiner or modifier is torn from what it belongs to."""
    while 0 < index < len(line) and (_clings(line[index]) or line[index - 1] == _JOINER):
        index -= 1
    return index


def _clings(character: str) -> bool:
    return character == _JOINER or unicodedata.category(character) in {"Mn", "Mc", "Me"} or character in _SKIN_TONES
