"""Tokens are counted as tiktoken's o200k_base counts them."""

from __future__ import annotations

import pytest

from atom_simulators.llm import tokens


# Counted by another implementation of the encoding (bpe-openai 0.1.4).
@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("hello", 1),
        ("Hello, world!", 4),
        ("we recall all of lot 24-03 before the end of January", 14),
        ("£118,700 and €6,400", 9),
        ("Einverstanden, das ist anständig.", 8),
        ("いつもお世話になっております。", 9),
        ("I'll don't we've", 3),
        ("  two  spaces\n\n\nand lines\r\n", 8),
        ('{"u":[{"n":0,"e":["topic|lot 24-03|quote"],"r":[]}]}', 25),
        ("camelCaseWords HTTPServer 1234567", 9),
        ("🚢🚢 ahoy", 6),
        ("-" * 50, 2),
    ],
)
def test_the_count_is_the_encoder_s(text: str, count: int) -> None:
    assert tokens.count(text) == count


def test_a_text_is_cut_between_pieces() -> None:
    text = "we recall all of lot 24-03 before the end of January"
    cut = tokens.cut(text, 5)
    assert text.startswith(cut)
    assert tokens.count(cut) <= 5
    assert tokens.cut(text, 1_000) == text
    assert tokens.cut(text, 0) == ""


def test_messages_have_a_frame_and_the_schema_is_paid_for() -> None:
    assert tokens.of_prompt(["hello", "hello"]) == 2 * (1 + 3) + 3
    assert tokens.of_prompt(["hello"], '{"type":"object"}') > tokens.of_prompt(["hello"])


def test_a_text_of_megabytes_is_counted_in_a_moment() -> None:
    line = "topic|something else|and there was something else that nobody wrote down\n"
    once = tokens.count(line)
    assert tokens.count(line * 150_000) == pytest.approx(once * 150_000, rel=0.01)


def test_a_long_run_of_one_letter_is_counted_in_a_moment() -> None:
    assert 0 < tokens.count("x" * 100_000) < 100_000
