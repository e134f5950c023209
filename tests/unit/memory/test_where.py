from __future__ import annotations

from datetime import datetime, timedelta, timezone
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.memory.ports import Filter
from atom_backfill.memory.where import one_of, quoted, where


def test_an_empty_filter_narrows_nothing() -> None:
    assert where(Filter()) is None


def test_everything_asked_for_must_hold() -> None:
    clause = where(
        Filter(account_id=UUID(int=1), from_address="A@x.test", folder_ids=("In'box",), has_attachment=False)
    )
    assert clause == (
        "account_id = '00000000-0000-0000-0000-000000000001' AND from_address = 'a@x.test'"
        " AND array_has_any(folder_ids, ['In''box']) AND has_attachments = false"
    )


def test_moments_are_written_in_utc() -> None:
    moment = datetime(2026, 3, 2, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    clause = where(Filter(after=moment, before=moment))
    assert clause == (
        "received_at >= timestamp '2026-03-01T23:30:00+00:00' AND received_at < timestamp '2026-03-01T23:30:00+00:00'"
    )


def test_no_values_match_nothing() -> None:
    assert one_of("id", []) == "false"


@given(st.text())
def test_a_quoted_value_ends_where_it_should(value: str) -> None:
    inside = quoted(value)[1:-1]
    assert inside.replace("''", "'") == value
    assert "'" not in inside.replace("''", "")
