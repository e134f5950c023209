"""What tokens cost: list prices of 2025, and a table of the user's that goes before them. Pure.

Money is Decimal: a budget is never exceeded by a rounding.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal, InvalidOperation
from typing import Any, Final

from atom_backfill.errors import UsageError

_MILLION = Decimal(1_000_000)
MICRO_USD = Decimal("0.000001")
"""What amounts are rounded up to."""
_MOST_USD = Decimal(1_000_000)
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens."""

    input_usd: Decimal
    output_usd: Decimal

    def of(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return what so many tokens cost, rounded up to a millionth of a dollar."""
        exact = (input_tokens * self.input_usd + output_tokens * self.output_usd) / _MILLION
        return exact.quantize(MICRO_USD, ROUND_UP)


LIST_PRICES: Final[dict[str, Price]] = {
    model: Price(Decimal(given), Decimal(answered))
    for model, given, answered in (
        ("gpt-4o-mini", "0.15", "0.60"),
        ("gpt-4o", "2.50", "10.00"),
        ("gpt-4.1-nano", "0.10", "0.40"),
        ("gpt-4.1-mini", "0.40", "1.60"),
        ("gpt-5-nano", "0.05", "0.40"),
        ("gpt-5-mini", "0.25", "2.00"),
    )
}
"""As published on https://openai.com/api/pricing in 2025."""


def price_of(model: str, own: Mapping[str, Price]) -> Price | None:
    """Return a model's price, the user's own first; a dated name costs what its family does. None: nobody knows."""
    for name in (model, _DATED.sub("", model)):
        found = own.get(name) or LIST_PRICES.get(name)
        if found is not None:
            return found
    return None


def parse_prices(text: str) -> dict[str, Price]:
    """Read a price table, in TOML: `[model]` with `input` and `output` in dollars for a million tokens.

    Raises UsageError `bad_prices`, which says what is wrong with which model.
    """
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers and nesting that are too much for Python
        raise UsageError("bad_prices", f"The price table is not TOML: {error}.") from None
    return {model: Price(_amount(model, row, "input"), _amount(model, row, "output")) for model, row in table.items()}


def _amount(model: str, row: Any, name: str) -> Decimal:
    told = row.get(name) if isinstance(row, dict) else None
    number = isinstance(told, int | float) and not isinstance(told, bool)
    try:
        amount = Decimal(str(told)) if number else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _MOST_USD:
        raise UsageError(
            "bad_prices",
            f'The price table has no {name} of {model!r}: write ["{model}"] with `{name} = 0.15`, in dollars for a '
            "million tokens.",
        )
    return amount
