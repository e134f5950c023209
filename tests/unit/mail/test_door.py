from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.mail.door import cut, repair, repair_line

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=200)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("a\x00b", "ab"),
        ("a\ud83d b", "a\ufffd b"),
        ("a\ude00 b", "a\ufffd b"),
        ("\ud83d\ude00", "\U0001f600"),
        ("bell\x07 esc\x1b[31mred\x7f", "bell esc[31mred"),
        ("page\x0cbreak\x0btab\u2028line", "page\nbreak\ntab\nline"),
        ("\x93quoted\x94 \x85", "“quoted” …"),
        ("invoice_\u202efdp.exe \u2066x\u2069", "invoice_fdp.exe x"),
        ("pay\u200bment con\u200cfirm\u200dation\ufeff due\u2060", "payment confirmation due"),
        ("soft\u00adhyphen", "softhyphen"),
        ("Nice.\U000e0069\U000e0067\U000e006e", "Nice."),
        ("hidden\ufe00\ufe01\ufe02\U000e0101", "hidden"),
        ("Jose\u0301", "José"),
    ],
)
def test_what_no_store_or_screen_can_hold_is_repaired(written: str, read: str) -> None:
    assert repair(written) == read


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 family",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f Scotland",
        "❤\ufe0f heart",
        "می\u200cخواهم",
        "שלום \u200fעולם",
        "tab\tand\nline",
        "plain words, 1 < 2 > 0 & so on",
    ],
)
def test_what_means_something_is_kept(text: str) -> None:
    assert repair(text) == unicodedata.normalize("NFC", text)


def test_a_subject_becomes_one_line() -> None:
    assert repair_line("Invoice\r\nBcc: x@evil.example\r\n\r\n body ") == "Invoice Bcc: x@evil.example body"


def test_a_cut_never_parts_a_letter_from_its_marks() -> None:
    assert cut("abcdq\u0308", 5) == "abcd"
    assert cut("abc", 3) == "abc"


@given(ANY_TEXT)
def test_whatever_comes_in_what_leaves_is_storable_and_stays_as_it_is(text: str) -> None:
    repaired = repair(text)
    repaired.encode()
    assert "\x00" not in repaired
    assert "\r" not in repaired
    assert unicodedata.is_normalized("NFC", repaired)
    assert repair(repaired) == repaired
