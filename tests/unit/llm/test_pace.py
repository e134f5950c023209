"""How fast a key is used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.llm.pace import (
    BURST_S,
    FIRST_REQUESTS,
    LEAST_REQUESTS,
    LEAST_TOKENS,
    Pace,
    after_answer,
    after_refusal,
    first_pace,
    give_back,
    take,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def told(requests: int, tokens: int = 1_000_000) -> dict[str, str]:
    return {"x-ratelimit-limit-requests": str(requests), "x-ratelimit-limit-tokens": str(tokens)}


def use(pace: Pace, seconds: float, tokens: int = 100, start: float = 0.0) -> tuple[Pace, list[float]]:
    """Call as often as is let through for so long; returns when the calls were made."""
    at, made = start, []
    while at < start + seconds:
        pace, wait = take(pace, later(at), tokens)
        if wait:
            at += max(wait, 0.001)
        else:
            made.append(at)
    return pace, made


def test_a_key_of_which_nothing_is_known_begins_without_a_burst() -> None:
    _, made = use(first_pace(NOW), 60)
    assert made[1] - made[0] >= 60 / FIRST_REQUESTS - 0.01
    assert len(made) <= FIRST_REQUESTS + FIRST_REQUESTS * BURST_S / 60


def test_what_the_server_says_of_its_limits_is_kept_to() -> None:
    pace = after_answer(first_pace(NOW), NOW, told(15))
    _, made = use(pace, 300)
    assert 70 <= len(made) <= 76
    for start in range(240):
        assert sum(start <= at < start + 60 for at in made) <= 16


def test_a_limit_that_no_call_would_fit_into_is_not_believed() -> None:
    pace = after_answer(first_pace(NOW), NOW, told(15, tokens=1))
    _, wait = take(pace, later(120), 3_000)
    assert wait < 120


def test_tokens_are_counted_like_requests() -> None:
    pace = after_answer(first_pace(NOW), NOW, told(10_000, tokens=60_000))
    _, made = use(pace, 120, tokens=3_000)
    assert 38 <= len(made) <= 42


def test_a_call_of_more_tokens_than_a_burst_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    pace = after_answer(first_pace(NOW), NOW, told(10_000, tokens=6_000))
    pace, made = use(pace, 240, tokens=5_000)
    assert 4 <= len(made) <= 5
    assert pace.tokens_left < 0


def test_unused_tokens_are_given_back_and_no_more_than_a_burst() -> None:
    pace = after_answer(first_pace(NOW), NOW, told(600, tokens=60_000))
    taken, _ = take(pace, NOW, 3_000)
    assert give_back(taken, NOW, 2_000).tokens_left == taken.tokens_left + 2_000
    assert give_back(taken, NOW, 10**9).tokens_left == 60_000 * BURST_S / 60


def test_nobody_calls_before_the_time_that_a_refusal_names() -> None:
    pace = after_refusal(first_pace(NOW), NOW, 20.0)
    _, wait = take(pace, later(5), 100)
    assert wait >= 15.0


def test_refusals_of_one_burst_lower_the_pace_once() -> None:
    once = after_refusal(first_pace(NOW), NOW, 10.0)
    assert once.requests < FIRST_REQUESTS
    again = after_refusal(once, later(1), 12.0)
    assert (again.requests, again.blocked_until) == (once.requests, later(13))


def test_a_server_that_says_nothing_is_called_faster_after_a_quiet_minute() -> None:
    slow = after_refusal(first_pace(NOW), NOW, 1.0)
    assert after_answer(slow, later(59), {}).requests == slow.requests
    assert after_answer(slow, later(61), {}).requests > slow.requests


@given(st.lists(st.tuples(st.sampled_from(["take", "refusal", "answer", "told"]), st.floats(0, 100)), max_size=60))
def test_whatever_a_server_does_there_is_a_pace_and_an_end_to_every_wait(moves: list[tuple[str, float]]) -> None:
    pace, at = first_pace(NOW), 0.0
    for move, seconds in moves:
        at += seconds
        match move:
            case "take":
                pace, wait = take(pace, later(at), 1_000)
                assert 0 <= wait <= 24 * 3600
                at += wait and wait + 0.001
                pace, wait = take(pace, later(at), 1_000) if wait else (pace, 0.0)
                assert wait == 0
            case "refusal":
                pace = after_refusal(pace, later(at), seconds)
            case "answer":
                pace = after_answer(pace, later(at), {"x-ratelimit-limit-requests": "lots"})
            case _:
                pace = after_answer(pace, later(at), told(3))
        assert pace.requests >= LEAST_REQUESTS
        assert pace.tokens >= LEAST_TOKENS
