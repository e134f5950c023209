from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atom_backfill.mail.clean import CLEANER, clean
from atom_backfill.mail.digest import SegmentKind
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Message
from builders import a_message
from digests import assert_sound

PIECES = [
    "words and more", "> old words", ">> older", "-- ", "Ines", "Regards,", "On 3 Mar 2026, Tomasz wrote:",
    "From: a@b.test", "Sent: Monday", "To: b@c.test", "Subject: x", "----- Original Message -----",
    "---------- Forwarded message ---------", "________________________________", "unsubscribe here",
    "This e-mail is confidential.", "begin 644 x", "end", "-----BEGIN PGP MESSAGE-----",
    "https://lumen.example/a", "mara@lumen.example", "+44 20 7946 0301", "3 March 2026", "420 EUR", "", " ",
    "\t", "\u00a0", "é日😀", "\ud83d", "\x00\x07", "\u202e",
]  # fmt: skip
TAGS = [
    "<p>", "</p>", "<div style='display:none'>", "</div>", "<br>", "<blockquote>", "</blockquote>",
    "<table><tr><td>", "</table>", "<a href='https://lumen.example/b'>", "</a>", "<ul><li>", "<pre>", "</pre>",
    "<!--", "-->", "<script>", "&nbsp;", "&#0;", "<img alt='😀'>", "<div class='gmail_signature'>",
    "<span style='color:#fff'>", "<", ">", "<x@y.test>",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=25).map("\n".join)
HTML = st.lists(st.sampled_from(TAGS) | st.sampled_from(PIECES), max_size=40).map("".join)
LIMITS = Limits(passages=5, findings=20)


@settings(deadline=None)
@given(TEXTS, st.sampled_from(["", "Re: x", "Fwd: x"]))
def test_no_text_breaks_cleaning(body: str, subject: str) -> None:
    assert_sound(clean(a_message(body=body, subject=subject), LIMITS))


@settings(deadline=None)
@given(HTML)
def test_no_html_breaks_cleaning(body: str) -> None:
    assert_sound(clean(a_message(body=f"<html>{body}", body_type="html"), LIMITS))


@settings(deadline=None)
@given(TEXTS)
def test_cleaning_again_gives_the_same(body: str) -> None:
    once = clean(a_message(body=body), LIMITS)
    assert clean(once.message, LIMITS) == once


@settings(deadline=None)
@given(TEXTS)
def test_a_mail_with_words_that_answers_none_is_never_emptied(body: str) -> None:
    digest = clean(a_message(body=body, subject="x"), LIMITS)
    kinds = {segment.kind for segment in digest.segments}
    if any(character.isalnum() for character in digest.text) and not kinds & {
        SegmentKind.BLOB,
        SegmentKind.ATTRIBUTION,
    }:
        assert digest.clean_text


def test_a_mail_with_a_subject_alone_has_a_passage() -> None:
    (passage,) = clean(a_message(body="", subject="Gate"), Limits()).passages
    assert (passage.start, passage.end, passage.text) == (0, 0, "")


def test_cuts_are_noted_on_the_message() -> None:
    digest = clean(a_message(body="words. " * 4_000, notes=("body_truncated",)), Limits(passages=2))
    assert digest.notes == ("body_truncated", "passages_capped")
    assert digest.message.notes == digest.notes


def test_the_cleaner_names_its_parts() -> None:
    assert CLEANER.count("-") >= 3


HOSTILE = [
    ">", "> ", ">\n", "-", "_" * 30 + "\n", "@", "a@", "a.", "1 ", "1,", "+1 ", "(1)", "http://", "www.", "$1",
    "€1 ", "é", "日", "\u0301", "On x wrote:\n", "On 1.1.2026 x@y.test wrote:\n", "On 1.1.2026 x wrote:\n| a\n",
    "On 1.1.2026 x wrote:\n  a\n", "a:\n", "To: x,\n", "From: a\nSent: b\nTo: c\n", "-- \n", "Thanks,\n",
    "Bob\n", "12/12/2026 12:12\n", "----- Forwarded by x\n", "begin 644 x\n", "-----BEGIN PGP MESSAGE-----\n",
    "unsubscribe ", "confidential intended recipient ", "March 2026 ", "2026-", "\n", "> a\nb 1\n",
]  # fmt: skip
HOSTILE_HTML = [
    "<div>", "<ul><li>x", "<pre>", "<blockquote>", "<table><tr><td>", "<tr><td>a<td>b", "<b><p>", "<p>x",
    "<a href=x>y", "<", "<!--", "<b ", "<span style='margin-left:40px'>x", "<p style='color:red;'>x", "&nbsp;",
    "<x@y>", "<http://a.b/c>", "<img alt=x>", "<style>", "<svg>",
    "<p class=gmail_attr>x</p>", "<p class=gmail_signature>x</p>y", "<div class=gmail_attr>x",
]  # fmt: skip


def seconds(message: Message) -> float:
    started = time.process_time()
    clean(message, Limits())
    return time.process_time() - started


@pytest.mark.parametrize("piece", HOSTILE)
def test_text_made_to_be_slow_takes_time_in_proportion_to_its_length(piece: str) -> None:
    body = piece * (60_000 // len(piece))
    assert seconds(a_message(body=body, subject=body[:10_000])) < 1.5


@pytest.mark.parametrize("piece", HOSTILE_HTML)
def test_html_made_to_be_slow_takes_time_in_proportion_to_its_length(piece: str) -> None:
    body = "<html><body>x<b>y</b>" + piece * (60_000 // len(piece))
    assert seconds(a_message(body=body, body_type="html")) < 1.5
