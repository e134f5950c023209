"""Dates as mail and Graph write them, read strictly: what is no date is None, never now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def read_iso(text: str) -> datetime | None:
    """Read an ISO 8601 moment as Graph writes it, in UTC; a leap second is the second after; no zone means UTC.

    None for what is no date, for dates before 1970, which Exchange uses for "none" (year 1, 1601), and for those after
    2199. A date in a near future is kept: it is what the mail says.
    """
    match = _ISO.fullmatch(text.strip())
    if not match:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    # datetime knows no second 60.
    leap = second == 60
    microsecond = int((match[7] or "0")[:6].ljust(6, "0"))
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, microsecond, tzinfo=UTC)
        moment += timedelta(seconds=leap) - _offset(match[8])
    except (ValueError, OverflowError):
        return None
    return moment if _FIRST_YEAR <= moment.year <= _LAST_YEAR else None


def read_rfc5322(text: str) -> datetime | None:
    """Read a Date header, obsolete and sloppy forms included, in UTC; None as in `read_iso`."""
    try:
        moment = parsedate_to_datetime(text.strip()[:200].replace(":60 ", ":59 "))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if _FIRST_YEAR <= moment.year <= _LAST_YEAR else None


def _offset(zone: str | None) -> timedelta:
    if not zone or zone in "Zz":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if zone[0] == "-" else offset


_FIRST_YEAR = 1970
_LAST_YEAR = 2199
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?)?\s*([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
