from __future__ import annotations

from datetime import UTC, datetime

import pytest

from atom_backfill.mail.dates import read_iso, read_rfc5322


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-02T09:30:00Z", at(2026, 3, 2, 9, 30)),
        ("2026-03-02T09:30:00", at(2026, 3, 2, 9, 30)),
        ("2026-03-02T23:30:00-11:00", at(2026, 3, 3, 10, 30)),
        ("2026-03-02T09:30:00.1234567Z", at(2026, 3, 2, 9, 30, 0, 123456)),
        ("2016-12-31T23:59:60Z", at(2017, 1, 1)),
        ("2026-03-02", at(2026, 3, 2)),
        ("2099-12-31T23:59:59Z", at(2099, 12, 31, 23, 59, 59)),
        ("0001-01-01T00:00:00Z", None),
        ("1601-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-11:00", None),
        ("2026-02-30T00:00:00Z", None),
        ("last tuesday", None),
        ("", None),
        ("٢٠٢٦-03-02T00:00:00Z", None),
    ],
)
def test_iso_moments_are_read_or_refused_but_never_guessed(text: str, moment: datetime | None) -> None:
    assert read_iso(text) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Mon, 02 Mar 2026 10:30:00 +0100", at(2026, 3, 2, 9, 30)),
        ("2 Mar 2026 09:30 GMT", at(2026, 3, 2, 9, 30)),
        ("Mon, 2 Mar 2026 09:30:00 -0000 (nobody knows)", at(2026, 3, 2, 9, 30)),
        ("Sat, 31 Dec 2016 23:59:60 +0000", at(2016, 12, 31, 23, 59, 59)),
        ("Mon, 02 Mar 26 09:30:00 +0000", at(2026, 3, 2, 9, 30)),
        ("Thu, 01 Jan 1601 00:00:00 +0000", None),
        ("Mon, 42 Mar 2026 09:30:00 +0000", None),
        ("1 " * 10_000, None),
        ("", None),
        ("soon", None),
    ],
)
def test_header_dates_are_read_or_refused_but_never_guessed(text: str, moment: datetime | None) -> None:
    assert read_rfc5322(text) == moment
