"""JSON and Retry-After as foreign hosts really write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.errors import RetryLaterError
from atom_backfill.http import RETRY_AFTER_LIMIT, read_json, retry_after

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'\xef\xbb\xbf{"value":[]}', {"value": []}),
        (b'{"id":"A","id":"B"}', {"id": "B"}),
        (b'{"size":NaN,"much":Infinity,"less":-Infinity}', {"size": None, "much": None, "less": None}),
        (b'{"subject":"tab\there and \x01"}', {"subject": "tab\there and \x01"}),
        (b'{"subject":"Gr\xfc\xdfe"}', {"subject": "Gr\u00fc\u00dfe"}),
        (b'{"subject":"\\ud83d"}', {"subject": "\ud83d"}),
        (b"null", None),
    ],
    ids=["bom", "equal keys", "no numbers", "raw controls", "latin-1", "lone surrogate", "null"],
)
def test_odd_json_is_read(body: bytes, value: Any) -> None:
    assert read_json(body, "the host") == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"value":[{"subject":"cut of',
        b"<html><body><h1>503 Service Unavailable</h1></body></html>",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"1" * 100_000,
        b"{'a':1}",
        b'{"a":1} trailing',
        b"\x00\x01\x02",
    ],
    ids=["empty", "truncated", "html", "deep lists", "deep objects", "huge number", "quotes", "trailing", "binary"],
)
def test_what_is_no_json_is_a_bad_answer_without_its_text(body: bytes) -> None:
    with pytest.raises(RetryLaterError) as raised:
        read_json(body, "the host")
    assert raised.value.code == "bad_answer"
    assert raised.value.message == "the host sent an answer that cannot be read."
    assert "cut of" not in raised.value.detail


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_fail_in_another_way(body: bytes) -> None:
    try:
        read_json(body, "the host")
    except RetryLaterError as error:
        assert error.code == "bad_answer"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("1", 1.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("99999999", RETRY_AFTER_LIMIT),
        ("inf", RETRY_AFTER_LIMIT),
        ("Mon, 02 Mar 2026 09:32:00 GMT", 120.0),
        ("Mon, 02 Mar 2026 09:32:00", 120.0),
        ("Mon, 02 Mar 2026 09:00:00 GMT", 0.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Mon, 99 Foo 2026 09:32:00 GMT", None),
        ("x" * 100_000, None),
    ],
)
def test_retry_after_is_seconds_from_now(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}, NOW) == seconds


def test_no_retry_after_is_none() -> None:
    assert retry_after({}, NOW) is None


@given(st.text(max_size=80))
def test_no_text_makes_retry_after_fail(value: str) -> None:
    seconds = retry_after({"retry-after": value}, NOW)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_LIMIT
