"""What tokens cost, and the user's own table."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.errors import UsageError
from atom_backfill.llm.prices import LIST_PRICES, Price, parse_prices, price_of


def test_amounts_are_rounded_up_and_never_down() -> None:
    price = Price(Decimal("0.15"), Decimal("0.60"))
    assert price.of(1, 0) == Decimal("0.000001")
    assert price.of(1_000_000, 1_000_000) == Decimal("0.75")


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**5)), max_size=20))
def test_many_calls_cost_no_less_than_all_their_tokens(calls: list[tuple[int, int]]) -> None:
    price = LIST_PRICES["gpt-4o-mini"]
    together = price.of(sum(given for given, _ in calls), sum(answered for _, answered in calls))
    assert sum((price.of(*call) for call in calls), Decimal(0)) >= together


def test_a_dated_model_costs_what_its_family_does() -> None:
    assert price_of("gpt-4o-mini-2024-07-18", {}) == LIST_PRICES["gpt-4o-mini"]


def test_nobody_knows_the_price_of_another_model() -> None:
    assert price_of("local-model", {}) is None
    assert price_of("", {}) is None


def test_the_users_own_table_goes_before_the_list() -> None:
    own = parse_prices('["gpt-4o-mini"]\ninput = 0.1\noutput = 1\n[local]\ninput = 0\noutput = 0\n')
    assert price_of("gpt-4o-mini-2024-07-18", own) == Price(Decimal("0.1"), Decimal(1))
    assert price_of("local", own) == Price(Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "not TOML"),
        (f"[local]\ninput = {'9' * 5000}\noutput = 1", "not TOML"),
        (f"local = {'[' * 50_000}", "not TOML"),
        ("local = 1", "no input of 'local'"),
        ("[local]\ninput = 1", "no output of 'local'"),
        ('[local]\ninput = "1"\noutput = 1', "no input of 'local'"),
        ("[local]\ninput = -1\noutput = 1", "no input of 'local'"),
        ("[local]\ninput = nan\noutput = 1", "no input of 'local'"),
        ("[local]\ninput = inf\noutput = 1", "no input of 'local'"),
        ("[local]\ninput = true\noutput = 1", "no input of 'local'"),
        ("[local]\ninput = 1e300\noutput = 1", "no input of 'local'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_prices(text)
