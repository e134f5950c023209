"""Every word that the product gives to users stands in the docs: notes, codes, states, stages, reasons."""

from __future__ import annotations

import re
from collections import Counter

import pytest

import source_words
from atom_backfill.mail.digest import SegmentKind
from atom_backfill.mail.door import Limits

DOCS = source_words.ROOT / "docs"
GLOSSARY = (DOCS / "glossary.md").read_text("utf-8")
ERRORS = (DOCS / "reference" / "errors.md").read_text("utf-8")
LIFECYCLE = (DOCS / "lifecycle.md").read_text("utf-8")
JOB = (DOCS / "reference" / "job.md").read_text("utf-8")


def test_every_error_code_of_the_source_is_documented() -> None:
    documented = _marked(ERRORS)
    codes = source_words.error_codes()
    assert len(codes) > 100, "the scan finds the codes"
    missing = {code: path for code, path in codes.items() if not _is_in(code, documented)}
    assert missing == {}


def test_no_error_code_is_documented_that_the_source_does_not_give() -> None:
    codes = source_words.error_codes()
    prefixes = tuple(code for code in codes if code.endswith("_"))
    first_columns = re.findall(r"^\| ((?:`\w+` ?)+)", ERRORS, re.MULTILINE)
    listed = {word for column in first_columns for word in _marked(column)} - {"code"}
    assert len(listed) > 100
    assert {word for word in listed if word not in codes and not word.startswith(prefixes)} == set()


def test_every_note_is_documented() -> None:
    notes = source_words.notes()
    assert "body_truncated" in notes
    assert notes - _marked(GLOSSARY) - _marked(ERRORS) == set()


@pytest.mark.parametrize(
    ("note", "limit"),
    [
        ("body_truncated", "body_characters"),
        ("subject_truncated", "subject_characters"),
        ("recipients_truncated", "recipients"),
        ("references_truncated", "references"),
        ("headers_truncated", "header_bytes"),
        ("headers_truncated", "header_lines"),
        ("parts_truncated", "mime_parts"),
        ("parts_truncated", "mime_depth"),
        ("passages_capped", "passages"),
        ("findings_capped", "findings"),
        ("findings_capped", "links"),
    ],
)
def test_the_limits_are_those_of_the_door(note: str, limit: str) -> None:
    [row] = re.findall(rf"^\| `{note}` \|.*$", GLOSSARY, re.MULTILINE)
    assert re.search(rf"\b{getattr(Limits(), limit):,}\b", row)


def test_every_segment_kind_is_documented() -> None:
    assert set(SegmentKind) <= _marked(GLOSSARY)


@pytest.mark.parametrize("column", ["status", "graph_status", "state"])
def test_every_state_is_documented(column: str) -> None:
    states = source_words.checked_words(column)
    assert states
    named = _marked(LIFECYCLE) | set(re.findall(r"\*\*(\w+)\*\*", LIFECYCLE))
    assert states - named == set()


def test_every_chunk_kind_and_stage_of_failure_is_documented() -> None:
    kinds, stages = source_words.checked_words("kind"), source_words.checked_words("stage")
    assert {"window", "check"} <= kinds
    assert {"fetch", "store"} <= stages
    assert (kinds | stages) - _marked(GLOSSARY) == set()


def test_every_word_for_what_sets_the_pace_is_documented() -> None:
    table = JOB.split("## `limited_by`")[1].split("\n## ")[0]
    about = source_words.words_of("_limited_by", "backfill/progress.py")
    plain = ("embedding", "store", "paused")
    words = {word for word in about if word.startswith(("mailbox_", "no_")) or word in plain}
    assert {"mailbox_throttle", "mailbox_latency", "no_worker"} <= words
    assert words - _marked(table) == set()


def test_every_fault_point_is_documented() -> None:
    points = source_words.fault_points()
    assert {"claimed", "committed"} <= points
    assert points - _marked((DOCS / "delivery.md").read_text("utf-8")) == set()


def test_every_log_line_is_documented() -> None:
    page = (DOCS / "howto" / "operate.md").read_text("utf-8")
    events = source_words.events()
    assert "Fetched N records" in events
    assert {event for event in events if f"`{event}`" not in page} == set()


def test_every_word_is_defined_once() -> None:
    defined = re.findall(r"^\| ((?:\*\*[\w' -]+\*\*(?:, )?)+) \|", GLOSSARY, re.MULTILINE)
    words = [word for cell in defined for word in re.findall(r"\*\*([^*]+)\*\*", cell)]
    assert len(words) > 50
    assert [word for word, count in Counter(words).items() if count > 1] == []


def _marked(text: str) -> set[str]:
    """Return the words in backquotes."""
    return set(re.findall(r"`(\w+)`", text))


def _is_in(code: str, documented: set[str]) -> bool:
    return code in documented or (code.endswith("_") and any(each.startswith(code) for each in documented))
