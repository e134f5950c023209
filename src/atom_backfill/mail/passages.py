"""New text to Passages of about 200 tokens, cut at paragraphs and sentences, with offsets and content hashes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from atom_backfill.mail.digest import Passage, Segment, SegmentKind

MOST_TOKENS = 215
"""By `estimate_tokens`. The embedder reads 256 word pieces, of which it needs two, and the subject some, itself."""


def cut_passages(text: str, segments: Iterable[Segment], *, limit: int) -> tuple[tuple[Passage, ...], bool]:
    """Cut the new text of a rendering into passages, at most `limit`; the flag tells that some were left out.

    A rendering without new text gives one passage of no length, so that its subject can be found.
    """
    passages: list[Passage] = []
    for start, end in _spans(text, segments):
        if len(passages) == limit:
            return tuple(passages), True
        words = text[start:end]
        passages.append(Passage(len(passages), start, end, words, content_hash(words)))
    return tuple(passages) or (Passage(0, 0, 0, "", content_hash("")),), False


def content_hash(text: str) -> str:
    """Hash a text so that only its words count, not its spacing: 32 hex digits."""
    return blake2b(" ".join(text.split()).encode(), digest_size=16).hexdigest()


def estimate_tokens(text: str) -> int:
    """Estimate word pieces cheaply, a tenth too high on average so that few passages are cut by the embedder.

    Fitted to the pieces that BERT's uncased vocabulary makes of mail: letters share pieces, digits less, signs never;
    beyond Latin script nearly every character is one.
    """
    spaces = text.count(" ") + text.count("\n")
    digits = sum(map(text.count, "0123456789"))
    signs = len(_SIGNS.findall(text))
    wide = accented = 0
    if not text.isascii():
        wide, accented = len(_WIDE.findall(text)), len(_ACCENTED.findall(text))
    letters = len(text) - spaces - digits - signs - wide - accented
    return int(0.13 * spaces + 0.23 * letters + 0.68 * digits + 1.35 * signs + 1.1 * wide + 2.5 * accented) + 1


def _spans(text: str, segments: Iterable[Segment]) -> Iterator[tuple[int, int]]:
    """Pack each stretch of new text into passages of about equal size; what was cut out ends a passage."""
    for start, end in _stretches(segments):
        pieces = [(first, last, estimate_tokens(text[first:last])) for first, last in _pieces(text, start, end)]
        total = sum(cost for _, _, cost in pieces)
        if pieces:
            # Equal shares: full passages and a rest would leave a last one of a few words, which says little.
            yield from _pack(pieces, aim=total / -(-total // MOST_TOKENS), total=total)


def _stretches(segments: Iterable[Segment]) -> Iterator[tuple[int, int]]:
    return ((segment.start, segment.end) for segment in segments if segment.kind is SegmentKind.NEW)


def _pack(pieces: list[tuple[int, int, int]], *, aim: float, total: int) -> Iterator[tuple[int, int]]:
    start, end, tokens = pieces[0][0], pieces[0][0], 0
    left = total
    for first, last, cost in pieces:
        if tokens and (tokens + cost > MOST_TOKENS or (tokens + cost / 2 > aim and left > aim / 4)):
            yield start, end
            start, tokens = first, 0
        end, tokens, left = last, tokens + cost, left - cost
    yield start, end


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Find the paragraphs of new text; long ones in pieces of sentences, so that passages can be filled."""
    for match in _PARAGRAPH.finditer(text, start, end):
        # Rules and rows of signs say nothing, and would fill a passage.
        if not _WORD.search(match[0]):
            continue
        if match.end() - match.start() <= _SHORT_PARAGRAPH:
            yield match.start(), match.end()
        else:
            yield from _split(text, match.start(), match.end())


def _split(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a long paragraph after sentences, else after words, else anywhere."""
    at = start
    while at < end:
        reach = min(end, at + _SHORT_PARAGRAPH)
        while reach - at > 1 and (tokens := estimate_tokens(text[at:reach])) > MOST_TOKENS // 2:
            reach = at + max(1, (reach - at) * MOST_TOKENS // 2 // tokens)
        if reach < end:
            reach = _good_end(text, at, reach)
        last = reach
        while last > at and text[last - 1].isspace():
            last -= 1
        if last > at:
            yield at, last
        at = reach
        while at < end and text[at].isspace():
            at += 1


def _good_end(text: str, start: int, reach: int) -> int:
    floor = start + (reach - start) // 2
    for pattern in (_SENTENCE_END, _WORD_END):
        ends = [match.end() for match in pattern.finditer(text, floor, reach)]
        if ends:
            return ends[-1]
    return reach


_SHORT_PARAGRAPH = 480
"""Characters, about half a passage of English."""
_PARAGRAPH = re.compile(r"[^\s][^\n]*(?:\n[^\S\n]*[^\s][^\n]*)*")
_WORD = re.compile(r"\w")
_SENTENCE_END = re.compile(r"[.!?…]['\")\]]?\s|[。！？]|\n")
_WORD_END = re.compile(r"\s")
_SIGNS = re.compile(r"[!-/:-@\[-`{-~]")
# Accents betray a language other than English, of which the vocabulary knows few whole words.
_ACCENTED = re.compile("[\u00c0-\u024f]")
_WIDE = re.compile("[\u0250-\U0010ffff]")
