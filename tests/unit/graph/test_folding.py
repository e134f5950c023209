from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.graph.folding import Folded, fold


def found(text: str, quote: str) -> str | None:
    place = Folded(text).find(quote)
    return None if place is None else text[slice(*place)]


def test_a_quote_is_found_to_the_letter() -> None:
    assert found("We ship on Monday.", "ship on Monday") == "ship on Monday"


def test_line_breaks_and_indents_do_not_hide_a_quote() -> None:
    assert (
        found("We ship\r\n   the  pumps\ton Monday.", "ship the pumps on Monday") == "ship\r\n   the  pumps\ton Monday"
    )


def test_typographic_signs_are_equal_to_plain_ones() -> None:
    assert found("It’s “final” – really", 'It\'s "final" - really') == "It’s “final” – really"


def test_the_sign_that_the_prompt_puts_for_a_bracket_is_equal_to_it() -> None:
    assert found("if a < b then", "a ‹ b") == "a < b"


def test_other_letters_are_other_words() -> None:
    assert found("We ship on Monday.", "ship on monday") is None
    assert found("We ship on Monday.", "") is None
    assert found("", "ship") is None


@given(st.text(), st.data())
def test_any_stretch_of_a_text_is_found_in_it_and_reads_the_same(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    quote = text[start : data.draw(st.integers(start, len(text)))]
    shown = found(text, quote)
    assert fold(shown or "") == fold(quote)
