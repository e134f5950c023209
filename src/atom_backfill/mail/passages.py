"""New text to Passages of about 200 tokens, cut at paragraphs and sentences, with offsets and content hashes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from atom_backfill.mail.digest import Passage, Segment, SegmentKind

TARGET_TOKENS = 200
MOST_TOKENS = 240
"""The embedder reads 256 word pieces, two of which are its own."""


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
    """Estimate word pieces from above, cheaply: by words and their length, each ideograph and sign on its own."""
    if text.isascii():
        words = len(text.split())
        signs = len(_ASCII_SIGNS.findall(text))
        return max(words + signs, len(text) // 5)
    wide = len(_ALONE.findall(text))
    other = sum(1 for c in text if c > "\u024f") - wide
    return max(len(text.split()) + len(_ASCII_SIGNS.findall(text)), len(text) // 5) + wide + other // 2


def _spans(text: str, segments: Iterable[Segment]) -> Iterator[tuple[int, int]]:
    """Gather blocks (paragraphs of new text) greedily up to the target; what is cut out ends a passage."""
    start = end = tokens = 0
    for block_start, block_end, joins in _blocks(text, segments):
        cost = estimate_tokens(text[block_start:block_end])
        if tokens and (not joins or tokens + cost > TARGET_TOKENS):
            yield start, end
            tokens = 0
        if not tokens:
            start = block_start
        if cost > MOST_TOKENS:
            pieces = list(_split(text, block_start, block_end))
            yield from pieces[:-1]
            start, block_end = pieces[-1]
            cost = estimate_tokens(text[start:block_end])
        end, tokens = block_end, tokens + max(cost, 1)
    if tokens:
        yield start, end


def _blocks(text: str, segments: Iterable[Segment]) -> Iterator[tuple[int, int, bool]]:
    """Find the paragraphs of new text; `joins` is false where other text stands between this one and the last."""
    last_end = 0
    for segment in segments:
        if segment.kind is not SegmentKind.NEW:
            continue
        joins = segment.start == last_end
        for match in _PARAGRAPH.finditer(text, segment.start, segment.end):
            if _WORD.search(match[0]):
                yield match.start(), match.end(), joins
                joins = True
        last_end = segment.end


def _split(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a long paragraph after sentences, else after words, else anywhere, into pieces of at most the target."""
    at = start
    while at < end:
        reach = min(end, at + _REACH)
        while reach - at > 1 and estimate_tokens(text[at:reach]) > TARGET_TOKENS:
            reach = at + (reach - at) * 4 // 5
        if reach < end:
            reach = _good_end(text, at, reach)
        piece = text[at:reach]
        trimmed = len(piece) - len(piece.lstrip())
        yield at + trimmed, at + max(len(piece.rstrip()), trimmed)
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


_REACH = TARGET_TOKENS * 5
_PARAGRAPH = re.compile(r"[^\s][^\n]*(?:\n[^\S\n]*[^\s][^\n]*)*")
_WORD = re.compile(r"\w")
_SENTENCE_END = re.compile(r"[.!?…]['\")\]]?\s|[。！？]|\n")
_WORD_END = re.compile(r"\s")
_ASCII_SIGNS = re.compile(r"[!-/:-@\[-`{-~]")
_ALONE = re.compile(
    "[\u0e00-\u0eff\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U0001f000-\U0003ffff]"
)
