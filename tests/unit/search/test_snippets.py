from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.search.snippets import MOST_CHARS, snippet

FILLER = "Nothing of note happened in the workshop on that day, and nobody asked about it either. "


def test_a_short_passage_is_shown_whole_in_one_line() -> None:
    assert snippet("lease", "The lease\n is\tsigned.\n") == "The lease is signed."


def test_the_window_is_around_the_words_asked_for() -> None:
    shown = snippet("boiler invoice", FILLER * 8 + "The invoice for the boiler came to 900 euros. " + FILLER * 8)
    assert "The invoice for the boiler came to 900 euros." in shown
    assert (shown[0], shown[-1]) == ("…", "…")


def test_a_rare_word_counts_more_than_a_frequent_one() -> None:
    text = "The lease. The lease again. " + FILLER * 6 + "Only here: zeppelin. " + FILLER * 6 + "The lease."
    assert "zeppelin" in snippet("the lease zeppelin", text)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("invoices", "invoicing"),
        ("CAFÉ", "café"),
        ("Müller", "muller"),
        ("Strasse", "Straße"),
        ("переговоры", "переговорах"),
    ],
)
def test_inflected_and_accented_words_match(query: str, word: str) -> None:
    assert word in snippet(query, FILLER * 5 + f"here it says {word} once. " + FILLER * 5)


def test_without_the_words_the_passage_starts_after_its_salutation() -> None:
    assert snippet("zeppelin", "Dear Ines, " + "the lease is signed at last. " * 20).startswith("…the lease")
    assert snippet("zeppelin", "The lease is signed at last. " * 20).startswith("The lease")


def test_without_text_the_subject_is_shown() -> None:
    assert snippet("lease", "", "Re: Lease of\nthe workshop") == "Re: Lease of the workshop"
    assert snippet("", "", "") == ""


def test_words_are_not_torn() -> None:
    shown = snippet("boiler", FILLER * 5 + "the boiler " + FILLER * 5).strip("…")
    assert set(shown.split()) <= set((FILLER + "the boiler").split())


def test_a_text_without_spaces_is_cut_too() -> None:
    shown = snippet("漢字", "これは文章です" * 200 + "漢字" + "これは文章です" * 200)
    assert 200 < len(shown) <= MOST_CHARS


@given(
    query=st.text(max_size=60),
    text=st.text(st.sampled_from("ab. \n\u0301\u200d\ufe0f\U0001f469\U0001f3fd漢é"), max_size=900),
)
def test_any_text_gives_a_short_line_that_tears_nothing(query: str, text: str) -> None:
    shown = snippet(query, text)
    assert len(shown) <= MOST_CHARS
    assert "\n" not in shown
    line = " ".join(text.split())
    kept = shown.removeprefix("…").removesuffix("…")
    assert kept in line
    if kept and shown.startswith("…") and not line.startswith(kept):
        assert unicodedata.category(kept[0]) != "Mn" or unicodedata.category(line[0]) == "Mn"
