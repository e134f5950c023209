"""How fast a key may be used: two buckets, of requests and of tokens, that learn their size from the server. Pure.

All workers share a key's buckets through the database, by whose clock they fill. A server's own word counts
(`x-ratelimit-limit-…`, Retry-After); where it gives none, a refusal lowers the pace by a third, and a minute without
one raises it by a tenth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)
FIRST_REQUESTS, FIRST_TOKENS = 500.0, 200_000.0
"""A minute, of a key of which nothing is known: what the smallest paying account has. The first answers say whether it
is less, and the calls in flight bound the burst."""
LEAST_REQUESTS, LEAST_TOKENS = 1.0, 2_000.0
"""A minute, whatever a server says: with less a call would wait for hours."""
MOST_A_MINUTE = 10_000_000.0
BURST_S = 4.0
"""So many seconds' worth may be used at once. A server's own buckets hold a minute's worth, but they are the key's, and
the key may be in use elsewhere too."""
_LOWERED, _RAISED = 2 / 3, 1.1


@dataclass(frozen=True, slots=True)
class Pace:
    """What a key may do: a minute's requests and tokens, what is left of each at the moment `at`, and no call before.

    `told`: the server has said its limits. `raised_at`: when the pace was last changed.
    """

    requests: float
    tokens: float
    requests_left: float
    tokens_left: float
    at: datetime
    blocked_until: datetime
    raised_at: datetime
    told: bool = False


def first_pace(now: datetime) -> Pace:
    """Return the pace of a key of which nothing is known."""
    return Pace(FIRST_REQUESTS, FIRST_TOKENS, 1.0, FIRST_TOKENS * BURST_S / 60, now, now, now)


def take(pace: Pace, now: datetime, tokens: int) -> tuple[Pace, float]:
    """Take one request of so many tokens. Returns the pace after it and 0.0, or as it is and the seconds to wait.

    A request of more tokens than are let through at once waits until the bucket is full, and leaves a debt.
    """
    filled = _filled(pace, now)
    wanted = min(float(tokens), _burst(filled.tokens))
    waits = (
        (filled.blocked_until - now).total_seconds(),
        (1.0 - filled.requests_left) * 60 / filled.requests,
        (wanted - filled.tokens_left) * 60 / filled.tokens,
    )
    if max(waits) > 0:
        return filled, max(waits)
    left = replace(filled, requests_left=filled.requests_left - 1, tokens_left=filled.tokens_left - tokens)
    return left, 0.0


def give_back(pace: Pace, now: datetime, tokens: int) -> Pace:
    """Give back tokens that were taken and not used; a negative number takes more."""
    filled = _filled(pace, now)
    return replace(filled, tokens_left=min(_burst(filled.tokens), filled.tokens_left + tokens))


def after_refusal(pace: Pace, now: datetime, wait_s: float) -> Pace:
    """Return the pace after a 429: nobody calls before `wait_s` is over, and more slowly then."""
    filled = _filled(pace, now)
    until = max(filled.blocked_until, now + timedelta(seconds=wait_s))
    if filled.told or filled.blocked_until > now:
        # Its limits are known, or this is another call of the same burst: waiting is enough.
        return replace(filled, blocked_until=until, requests_left=min(1.0, filled.requests_left))
    requests = max(LEAST_REQUESTS, filled.requests * _LOWERED)
    tokens = max(LEAST_TOKENS, filled.tokens * _LOWERED)
    slower = replace(filled, requests=requests, tokens=tokens, blocked_until=until, raised_at=now)
    return replace(slower, requests_left=min(1.0, filled.requests_left), tokens_left=min(0.0, filled.tokens_left))


def after_answer(pace: Pace, now: datetime, headers: Mapping[str, str]) -> Pace:
    """Return the pace after an answer: at what the server says of its limits, else faster after a quiet minute."""
    filled = _filled(pace, now)
    requests, tokens = (_number(headers, f"x-ratelimit-limit-{unit}") for unit in ("requests", "tokens"))
    if requests or tokens:
        a_minute = max(LEAST_REQUESTS, requests or filled.requests), max(LEAST_TOKENS, tokens or filled.tokens)
        known = replace(filled, requests=a_minute[0], tokens=a_minute[1], told=True)
        return _filled(known, now)
    if filled.told or now - filled.raised_at < MINUTE:
        return filled
    faster = min(MOST_A_MINUTE, filled.requests * _RAISED), min(MOST_A_MINUTE, filled.tokens * _RAISED)
    return replace(filled, requests=faster[0], tokens=faster[1], raised_at=now)


def _filled(pace: Pace, now: datetime) -> Pace:
    seconds = max(0.0, (now - pace.at).total_seconds())
    return replace(
        pace,
        requests_left=min(_burst(pace.requests), pace.requests_left + seconds * pace.requests / 60),
        tokens_left=min(_burst(pace.tokens), pace.tokens_left + seconds * pace.tokens / 60),
        at=max(now, pace.at),
    )


def _burst(a_minute: float) -> float:
    return max(1.0, a_minute * BURST_S / 60)


def _number(headers: Mapping[str, str], name: str) -> float | None:
    told = headers.get(name, "")
    return min(float(told), MOST_A_MINUTE) if told.isdecimal() and len(told) < 12 and int(told) > 0 else None
