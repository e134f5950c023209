"""How well cleaning tells new text from the rest, on the labelled mails of the corpus.

Settings are tuned on the mails whose hashed id is even, and only there; the figures that count are those of the odd.
Quoted lines: labels Q, q and A against N (B, blank, is not scored; F, list footers and boilerplate, counts as not
quoted in `strict`, and is left out otherwise). Signatures: label S against the rest, blank lines left out.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from atom_backfill.mail.clean import clean
from atom_backfill.mail.digest import SegmentKind
from atom_backfill.mail.door import Limits, repair
from atom_backfill.mail.html import render_plain
from atom_backfill.mail.message import Address
from atom_backfill.mail.mime_headers import read_addresses
from atom_backfill.mail.quotes import Circumstances, cut_quotes
from atom_backfill.sources.outlook.parse import read_graph

QUOTED = (SegmentKind.QUOTE, SegmentKind.ATTRIBUTION)


@dataclass
class Score:
    """Counts of lines, and what follows from them."""

    true: int = 0
    false: int = 0
    missed: int = 0
    mails: int = 0
    emptied: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, float | int]:
        """Return F1, precision, recall, and how many mails lost all that was new."""
        precision = self.true / max(1, self.true + self.false)
        recall = self.true / max(1, self.true + self.missed)
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        return {
            "f1": round(f1, 4),
            "precision": round(precision, 4),
            "recall": round(recall, 4),
            "mails": self.mails,
            "emptied": len(self.emptied),
        }


def split_of(identity: str) -> str:
    """Tell which half a mail belongs to; fixed for ever."""
    return "tune" if int(sha256(identity.encode()).hexdigest(), 16) % 2 == 0 else "test"


def kinds_of(lines: list[str], sender: str = "") -> list[SegmentKind]:
    """Clean the lines as one text mail; the kind of each line (of the first, where the door split one)."""
    repaired = [repair(line) for line in lines]
    rendering = render_plain("\n".join(repaired), Limits())
    segments = cut_quotes(rendering, Circumstances(author=_address(sender), reply=not sender))
    kinds, at, current = [], 0, 0
    for line in repaired:
        while current < len(segments) - 1 and segments[current].end <= at:
            current += 1
        kinds.append(segments[current].kind if segments else SegmentKind.NEW)
        at += len(line) + 1
    return kinds


def _address(sender: str) -> Address:
    addresses, _ = read_addresses(sender, Limits(), 1)
    return addresses[0] if addresses and addresses[0].address else Address(sender, "")


def quoted_lines(corpus: Path) -> Iterator[dict[str, Any]]:
    """Read the replies whose lines are labelled."""
    with gzip.open(corpus / "labels" / "quoted_lines.jsonl.gz", "rt") as file:
        yield from map(json.loads, file)


def signature_mails(corpus: Path) -> Iterator[dict[str, Any]]:
    """Read the mails whose signature lines are labelled."""
    with (corpus / "labels" / "signatures.jsonl").open() as file:
        yield from map(json.loads, file)


def score_quotes(corpus: Path, *, strict: bool) -> dict[str, Score]:
    """Score the text/plain variants line by line."""
    scores = {"tune": Score(), "test": Score()}
    for mail in quoted_lines(corpus):
        score = scores[split_of(mail["id"])]
        score.mails += 1
        kinds = kinds_of([text for text, _ in mail["lines"]])
        kept = fresh = 0
        for (text, label), kind in zip(mail["lines"], kinds, strict=True):
            fresh += label == "N" and any(c.isalnum() for c in text)
            kept += kind is SegmentKind.NEW and any(c.isalnum() for c in text)
            if label == "B" or not text.strip() or (label == "F" and not strict):
                continue
            is_quoted, said = label in "QqA", kind in QUOTED
            score.true += is_quoted and said
            score.false += said and not is_quoted
            score.missed += is_quoted and not said
        if fresh and not kept:
            score.emptied.append(mail["id"])
    return scores


def score_html(corpus: Path) -> dict[str, Score]:
    """Score the HTML bodies of the same mails: where in the rendering does each labelled line's text stand?

    Lines that stand on both sides, or on neither, are left out.
    """
    labelled = {mail["id"]: mail for mail in quoted_lines(corpus) if mail["body_content_type"] == "html"}
    scores = {"tune": Score(), "test": Score()}
    for box in sorted({mail["mailbox"] for mail in labelled.values()}):
        with gzip.open(corpus / "mailboxes" / f"{box}.jsonl.gz", "rb") as file:
            for raw in file:
                identity = json.loads(raw)["id"]
                if identity in labelled:
                    _score_html(scores[split_of(identity)], raw, labelled[identity]["lines"])
    return scores


def _score_html(score: Score, raw: bytes, lines: list[tuple[str, str]]) -> None:
    score.mails += 1
    digest = clean(read_graph(raw, limits=Limits()), Limits())
    sides = {True: "", False: ""}
    for segment in digest.segments:
        sides[segment.kind in QUOTED] += _letters(digest.text[segment.start : segment.end])
    for text, label in lines:
        letters = _letters(text)
        if label in "BF" or len(letters) < 12:
            continue
        said, kept = letters in sides[True], letters in sides[False]
        if said == kept:
            continue
        is_quoted = label in "QqA"
        score.true += is_quoted and said
        score.false += said and not is_quoted
        score.missed += is_quoted and not said
    if any(label == "N" and len(_letters(text)) > 12 for text, label in lines) and not digest.clean_text:
        score.emptied.append(digest.message.source_id)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def score_signatures(corpus: Path) -> dict[str, Score]:
    """Score signature lines; the author is known, as it is of every mail."""
    scores = {"tune": Score(), "test": Score()}
    for mail in signature_mails(corpus):
        score = scores[split_of(mail["sid"])]
        score.mails += 1
        kinds = kinds_of([text for text, _ in mail["lines"]], mail["sender"])
        for (text, label), kind in zip(mail["lines"], kinds, strict=True):
            if text.strip():
                score.true += label == "S" and kind is SegmentKind.SIGNATURE
                score.false += label != "S" and kind is SegmentKind.SIGNATURE
                score.missed += label == "S" and kind is not SegmentKind.SIGNATURE
    return scores


def main(corpus: Path) -> dict[str, Any]:
    """Score cleaning on both halves."""
    parts: dict[str, Callable[[], dict[str, Score]]] = {
        "quoted": lambda: score_quotes(corpus, strict=False),
        "quoted_strict": lambda: score_quotes(corpus, strict=True),
        "quoted_html": lambda: score_html(corpus),
        "signatures": lambda: score_signatures(corpus),
    }
    return {name: {half: score.figures() for half, score in part().items()} for name, part in parts.items()}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["ATOM_CORPUS"])), indent=2))
