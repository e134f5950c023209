"""Dates as Graph writes and reads them, as whole seconds since 1970 (negative before)."""

import re
from datetime import datetime, timedelta

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: offsets near year 1 and 9999 overflow aware ones
_TEXT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|z|[+-]\d\d:\d\d)",
)


def seconds(text: object) -> int | None:
    """Seconds since 1970 of an ISO 8601 text with a zone, fractions cut; None where it is no such date."""
    match = _TEXT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute = (int(match[n]) for n in range(1, 6))
    try:
        naive = datetime(year, month, day, hour, minute, int(match[6] or 0))  # noqa: DTZ001
    except ValueError:
        return None
    return int((naive - _EPOCH).total_seconds()) - _offset(match[7])


def text(moment: float) -> str:
    """Seconds since 1970 as `2018-09-09T03:15:08Z`."""
    return (_EPOCH + timedelta(seconds=int(moment))).isoformat(timespec="seconds") + "Z"


def _offset(zone: str) -> int:
    if zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)
