"""What each kind of error leads to."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.errors import (
    AtomError,
    BugError,
    KeyNeededError,
    NeedsOperatorError,
    NeedsOwnerError,
    NotFoundError,
    RefusedError,
    RetryLaterError,
    SignInNeededError,
    SkipItemError,
    ThrottledError,
    UsageError,
)
from atom_backfill.jobs.job import Again, FailJob, Quarantine
from atom_backfill.jobs.retry import (
    ATTEMPTS,
    ATTEMPTS_AT_A_BUG,
    LONGEST_THROTTLE,
    LONGEST_WAIT,
    given_up,
    outcome_of,
)

RNG = random.Random(1)


def every_error_class() -> set[type[AtomError]]:
    found, todo = set[type[AtomError]](), [AtomError]
    while todo:
        kind = todo.pop()
        found.add(kind)
        todo += kind.__subclasses__()
    return {kind for kind in found if kind.__module__ == "atom_backfill.errors"}


ERRORS: dict[type[AtomError], Callable[[], AtomError]] = {
    AtomError: lambda: AtomError("odd", "Odd."),
    RetryLaterError: lambda: RetryLaterError("away", "Away."),
    ThrottledError: lambda: ThrottledError("throttled", "Wait.", after=7.0),
    SkipItemError: lambda: SkipItemError("bad_item", "Bad."),
    NeedsOwnerError: lambda: NeedsOwnerError("access_denied", "Denied."),
    NeedsOperatorError: lambda: NeedsOperatorError("disk_full", "Full."),
    SignInNeededError: lambda: SignInNeededError("expired", "Expired."),
    KeyNeededError: lambda: KeyNeededError("key_rejected", "Refused."),
    NotFoundError: lambda: NotFoundError("gone", "Gone."),
    RefusedError: lambda: RefusedError("refused", "Refused."),
    UsageError: lambda: UsageError("usage", "Wrong."),
    BugError: lambda: BugError("broken", "Broken."),
}
FIRST = {
    RetryLaterError: Again,
    ThrottledError: Again,
    NeedsOwnerError: FailJob,
    NeedsOperatorError: Again,
    SignInNeededError: FailJob,
    KeyNeededError: FailJob,
    BugError: Again,
}
LAST = {
    RetryLaterError: Quarantine,
    ThrottledError: Again,
    NeedsOwnerError: FailJob,
    NeedsOperatorError: FailJob,
    SignInNeededError: FailJob,
    KeyNeededError: FailJob,
}


def test_every_class_of_the_taxonomy_is_tried() -> None:
    assert set(ERRORS) == every_error_class()


@pytest.mark.parametrize("kind", ERRORS)
def test_the_first_failure(kind: type[AtomError]) -> None:
    assert type(outcome_of(ERRORS[kind](), 0, RNG)) is FIRST.get(kind, Quarantine)


@pytest.mark.parametrize("kind", ERRORS)
def test_the_last_failure(kind: type[AtomError]) -> None:
    error = ERRORS[kind]()
    outcome = outcome_of(error, ATTEMPTS - 1, RNG)
    assert type(outcome) is LAST.get(kind, Quarantine)
    assert (outcome.code, outcome.error) == (error.code, error.message)


@pytest.mark.parametrize("kind", [SignInNeededError, KeyNeededError, NeedsOwnerError])
def test_only_a_missing_sign_in_is_the_accounts_fault(kind: type[AtomError]) -> None:
    outcome = outcome_of(ERRORS[kind](), 0, RNG)
    assert isinstance(outcome, FailJob)
    assert outcome.sign_in == (kind is SignInNeededError)


@given(st.integers(0, ATTEMPTS - 2), st.floats(0, 100_000), st.randoms(use_true_random=False))
def test_waits_grow_and_stay_within_bounds(attempts: int, asked: float, rng: random.Random) -> None:
    outcome = outcome_of(RetryLaterError("away", "Away.", after=asked), attempts, rng)
    assert isinstance(outcome, Again)
    assert outcome.counts
    backoff = min(LONGEST_WAIT, 2.0 ** (attempts + 1))
    assert max(asked, backoff) <= outcome.after <= max(asked, backoff * 1.25) or outcome.after == LONGEST_THROTTLE
    assert outcome.after <= LONGEST_THROTTLE


def test_a_chunk_is_tried_for_about_a_quarter_of_an_hour_before_it_is_given_up() -> None:
    for luck in (0.0, 1.0):
        rng = random.Random()
        rng.random = lambda luck=luck: luck  # type: ignore[method-assign,assignment]
        outcomes = [outcome_of(RetryLaterError("away", "Away."), n, rng) for n in range(ATTEMPTS)]
        assert [type(outcome) for outcome in outcomes] == [Again] * (ATTEMPTS - 1) + [Quarantine]
        assert 800 <= sum(outcome.after for outcome in outcomes if isinstance(outcome, Again)) <= 1020


def test_what_an_operator_has_to_mend_is_waited_for_as_long_and_then_fails_the_job() -> None:
    """A failover, a DNS blip or a disk that was full for a minute end no job."""
    outcomes = [outcome_of(NeedsOperatorError("disk_full", "Full."), n, RNG) for n in range(ATTEMPTS)]
    assert [type(outcome) for outcome in outcomes] == [Again] * (ATTEMPTS - 1) + [FailJob]
    assert sum(outcome.after for outcome in outcomes if isinstance(outcome, Again)) >= 800
    assert all(outcome.counts for outcome in outcomes if isinstance(outcome, Again))


def test_a_throttle_is_never_a_failure_and_never_endless() -> None:
    outcome = outcome_of(ThrottledError("throttled", "Wait.", after=31.0), 10_000, RNG)
    assert outcome == Again(31.0, "throttled", "Wait.", counts=False)
    forever = outcome_of(ThrottledError("throttled", "Wait.", after=1e12), 0, RNG)
    assert isinstance(forever, Again)
    assert forever.after == LONGEST_THROTTLE


def test_a_call_that_got_somewhere_has_not_failed() -> None:
    scanning = RetryLaterError("indexing", "Scanning.", after=0.0, progress=True)
    assert outcome_of(scanning, 10_000, RNG) == Again(0.0, "indexing", "Scanning.", counts=False)


@pytest.mark.parametrize("error", [ValueError("the body of a secret mail"), BugError("broken", "It broke.")])
def test_a_bug_is_tried_three_times_and_then_shown(error: Exception) -> None:
    outcomes = [outcome_of(error, n, RNG) for n in range(ATTEMPTS_AT_A_BUG)]
    assert [type(outcome) for outcome in outcomes] == [Again, Again, Quarantine]


def test_an_unexpected_error_is_named_and_its_text_kept_out() -> None:
    outcome = outcome_of(ValueError("the body of a secret mail"), 99, RNG)
    assert isinstance(outcome, Quarantine)
    assert outcome.code == "bug"
    assert "ValueError" in outcome.error
    assert "secret" not in outcome.error


def test_a_chunk_that_loses_its_workers_each_time_is_given_up() -> None:
    assert given_up(ATTEMPTS - 1) is None
    lost = given_up(ATTEMPTS)
    assert lost is not None
    assert lost.code == "worker_lost"
