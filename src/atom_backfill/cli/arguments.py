"""How people write moments, money and counts. Wrong words become usage errors with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import click


class Moment(click.ParamType[datetime]):
    """A date or a moment, as a datetime in UTC on whole seconds. Without a zone it is UTC; a bare date is midnight."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read ISO 8601."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value).strip())
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
            return moment.replace(microsecond=0)  # windows lie on whole seconds, as Graph's filters do
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no date; write 2024-01-31 or 2024-01-31T09:30:00Z.", param, ctx)


class Usd(click.ParamType[Decimal]):
    """An amount of US dollars, exact."""

    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read a number that is not negative."""
        try:
            amount = Decimal(str(value).strip().removeprefix("$"))
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or not 0 <= amount < 1_000_000:
            self.fail(f"{value!r} is no amount; write dollars like 2.50.", param, ctx)
        return amount


MOMENT = Moment()
USD = Usd()
LANE = click.Choice(["ingest", "graph"])
