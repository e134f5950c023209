"""What follows an error: try again when, or give up. Pure."""

from __future__ import annotations

import random

from atom_backfill.errors import (
    AtomError,
    BugError,
    NeedsOwnerError,
    RetryLaterError,
    SignInNeededError,
    ThrottledError,
)
from atom_backfill.jobs.job import Again, FailJob, Outcome, Quarantine

ATTEMPTS = 8
"""Failures without progress before a chunk is quarantined: about ten minutes of trying."""
ATTEMPTS_AT_A_BUG = 3
LONGEST_WAIT = 300.0


def outcome_of(error: Exception, attempts: int, rng: random.Random) -> Outcome:
    """Decide what an error means for the chunk; `attempts` counts earlier failures without progress."""
    match error:
        case ThrottledError():
            return Again(error.after or 1.0, error.code, error.message, counts=False)
        case RetryLaterError() if attempts + 1 < ATTEMPTS:
            return Again(max(error.after or 0.0, _backoff(attempts, rng)), error.code, error.message, counts=True)
        case NeedsOwnerError():
            return FailJob(error.code, error.message, sign_in=isinstance(error, SignInNeededError))
        case AtomError() if not isinstance(error, BugError):
            return Quarantine(error.code, error.message)
        case _ if attempts + 1 < ATTEMPTS_AT_A_BUG:
            return Again(_backoff(attempts, rng), "bug", _bug_words(error), counts=True)
        case _:
            return Quarantine("bug", _bug_words(error))


def _backoff(attempts: int, rng: random.Random) -> float:
    """Return 2, 4, 8 … seconds with up to a quarter of jitter, capped."""
    return float(min(LONGEST_WAIT, 2.0 ** (attempts + 1)) * (1 + rng.random() / 4))


def _bug_words(error: Exception) -> str:
    """Name the kind of an unexpected error; its text might hold mail."""
    return f"unexpected {type(error).__name__}; the log has the place"
