"""How people write moments and money."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import click
import pytest

from atom_backfill.cli.arguments import MOMENT, USD


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T09:30", datetime(2024, 1, 31, 9, 30, tzinfo=UTC)),
        ("2024-01-31 09:30:05", datetime(2024, 1, 31, 9, 30, 5, tzinfo=UTC)),
        ("2024-01-31T09:30:00Z", datetime(2024, 1, 31, 9, 30, tzinfo=UTC)),
        ("2024-01-31T09:30:00+02:00", datetime(2024, 1, 31, 7, 30, tzinfo=UTC)),
        (" 2024-01-31T09:30:00.987654Z ", datetime(2024, 1, 31, 9, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_utc_and_whole_seconds(text: str, moment: datetime) -> None:
    assert MOMENT.convert(text, None, None) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-02-30", "31.01.2024", "2024-13-01", "0001-01-01T00:00+14:00", "9999-99-99", "\x00"]
)
def test_what_is_no_date_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 2024-01-31"):
        MOMENT.convert(text, None, None)


@pytest.mark.parametrize(("text", "amount"), [("2.50", "2.50"), ("$3", "3"), ("0", "0"), (" 1e2 ", "100")])
def test_money_is_exact(text: str, amount: str) -> None:
    assert USD.convert(text, None, None) == Decimal(amount)


@pytest.mark.parametrize("text", ["-1", "NaN", "Infinity", "2,50", "two", "", "1e9"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"write dollars like 2\.50"):
        USD.convert(text, None, None)
