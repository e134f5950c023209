"""What follows an error: try again when, or give up. Pure."""

from __future__ import annotations

import random

from atom_backfill.errors import (
    AtomError,
    BugError,
    KeyNeededError,
    NeedsOperatorError,
    NeedsOwnerError,
    RetryLaterError,
    SignInNeededError,
    ThrottledError,
)
from atom_backfill.jobs.job import Again, FailJob, Outcome, Quarantine

ATTEMPTS = 10
"""Failures without progress before a chunk is quarantined, or its job fails: about a quarter of an hour of trying."""
ATTEMPTS_AT_A_BUG = 3
LONGEST_WAIT = 300.0
LONGEST_THROTTLE = 3600.0
"""Whatever a service asks for, it is asked again after an hour."""


def outcome_of(error: Exception, attempts: int, rng: random.Random) -> Outcome:
    """Decide what an error means for the chunk; `attempts` counts earlier failures without progress."""
    code, words = (error.code, error.message) if isinstance(error, AtomError) else ("bug", _name(error))
    match error:
        case ThrottledError():
            return Again(_bounded(error.after or 1.0), code, words, counts=False)
        case RetryLaterError(progress=True):
            return Again(_bounded(error.after or 0.0), code, words, counts=False)
        case RetryLaterError() if attempts + 1 < ATTEMPTS:
            return Again(_bounded(max(error.after or 0.0, _backoff(attempts, rng))), code, words, counts=True)
        case NeedsOperatorError() if attempts + 1 < ATTEMPTS:
            return Again(_backoff(attempts, rng), code, words, counts=True)
        case NeedsOwnerError():
            about_mailbox = isinstance(error, SignInNeededError) and not isinstance(error, KeyNeededError)
            return FailJob(code, words, sign_in=about_mailbox)
        case AtomError() if not isinstance(error, BugError):
            return Quarantine(code, words)
        case _ if attempts + 1 < ATTEMPTS_AT_A_BUG:
            return Again(_backoff(attempts, rng), code, words, counts=True)
        case _:
            return Quarantine(code, words)


def given_up(attempts: int) -> Quarantine | None:
    """Give up a chunk that has failed too often to be tried at all: each time its worker died, or lost it."""
    if attempts < ATTEMPTS:
        return None
    words = "Workers died at it, or lost it, each time; the log of the last one says more. Retry it after mending that."
    return Quarantine("worker_lost", words)


def _backoff(attempts: int, rng: random.Random) -> float:
    """Return 2, 4, 8 … seconds with up to a quarter of jitter, capped."""
    return float(min(LONGEST_WAIT, 2.0 ** min(attempts + 1, 16)) * (1 + rng.random() / 4))


def _bounded(seconds: float) -> float:
    return min(LONGEST_THROTTLE, max(0.0, seconds))


def _name(error: Exception) -> str:
    """Name the kind of an unexpected error; its text might hold mail."""
    return f"An unexpected {type(error).__name__}; the log says where."
