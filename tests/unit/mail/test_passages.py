from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.mail.digest import Segment, SegmentKind
from atom_backfill.mail.passages import MOST_TOKENS, content_hash, cut_passages, estimate_tokens

NEW, QUOTE = SegmentKind.NEW, SegmentKind.QUOTE
SENTENCE = "The roof of the workshop has to be mended before the winter comes. "


def whole(text: str) -> tuple[Segment, ...]:
    return (Segment(NEW, 0, len(text)),)


def test_a_short_mail_is_one_passage() -> None:
    text = "The gate is locked.\n\nUse the side door.\n"
    passages, cut = cut_passages(text, whole(text), limit=10)
    assert [passage.text for passage in passages] == ["The gate is locked.\n\nUse the side door."]
    assert not cut


def test_an_empty_mail_has_one_passage_of_no_length() -> None:
    for text in ("", " \n\n", "> old\n"):
        segments = (Segment(QUOTE, 0, len(text)),) if text.startswith(">") else whole(text)
        passages, _ = cut_passages(text, segments, limit=10)
        assert [(p.seq, p.start, p.end, p.text) for p in passages] == [(0, 0, 0, "")]


def test_a_long_mail_is_cut_into_passages_of_about_equal_size() -> None:
    text = "\n\n".join(SENTENCE * 3 for _ in range(20))
    passages, _ = cut_passages(text, whole(text), limit=50)
    sizes = [estimate_tokens(passage.text) for passage in passages]
    assert max(sizes) <= MOST_TOKENS
    assert min(sizes) > MOST_TOKENS * 0.6
    assert [passage.seq for passage in passages] == list(range(len(passages)))


def test_a_long_paragraph_is_cut_after_sentences() -> None:
    text = SENTENCE * 60
    passages, _ = cut_passages(text, whole(text), limit=50)
    assert all(passage.text.endswith("comes.") for passage in passages)
    assert all(estimate_tokens(passage.text) <= MOST_TOKENS for passage in passages)


def test_a_passage_never_reaches_over_what_was_cut_out() -> None:
    text = "Yes.\n> Is it?\nNo.\n"
    segments = (Segment(NEW, 0, 5), Segment(QUOTE, 5, 14), Segment(NEW, 14, 18))
    passages, _ = cut_passages(text, segments, limit=10)
    assert [passage.text for passage in passages] == ["Yes.", "No."]


def test_passages_are_capped_and_it_is_said() -> None:
    text = SENTENCE * 400
    passages, cut = cut_passages(text, whole(text), limit=3)
    assert len(passages) == 3
    assert cut


def test_equal_words_have_equal_hashes_whatever_their_spacing() -> None:
    assert content_hash("The  gate\n is locked. ") == content_hash("The gate is locked.")
    assert content_hash("The gate is locked.") != content_hash("the gate is locked.")
    assert len(content_hash("")) == 32


def test_other_scripts_count_by_the_character() -> None:
    assert estimate_tokens("門は六時に閉まります。" * 20) >= 200
    assert estimate_tokens("Ворота закрываются в шесть. " * 10) >= 200
    assert estimate_tokens("9f8a7b6c5d4e3f2a1b0c" * 10) > estimate_tokens("the gate is locked now " * 8)


@given(st.text(alphabet=st.sampled_from("ab. \n日é1!"), max_size=3_000), st.integers(1, 20))
def test_every_passage_is_the_text_to_the_letter_and_in_order(text: str, limit: int) -> None:
    passages, _ = cut_passages(text, whole(text), limit=limit)
    assert 1 <= len(passages) <= limit
    last = 0
    for passage in passages:
        assert text[passage.start : passage.end] == passage.text
        assert passage.start >= last
        assert estimate_tokens(passage.text) <= MOST_TOKENS + 25
        last = passage.end
