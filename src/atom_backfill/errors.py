"""Errors, sorted by what to do next.

::

    AtomError                      carries code, user message, operator detail
    ├── RetryLaterError            the same call may work later        → the chunk goes back, `after` seconds
    │   └── ThrottledError         the foreign service asked to wait   → the whole mailbox waits
    ├── SkipItemError              one item cannot be read             → one row in failures, its page goes on
    ├── NeedsOwnerError            only the user can help              → exit 1 with a sentence that says what to do
    │   ├── NeedsOperatorError     database, disk or memory are unfit  → jobs try for a while, since it may pass
    │   └── SignInNeededError      the mailbox wants a new sign-in     → exit 4
    │       └── KeyNeededError     a model's key is missing or refused → exit 4, and no mailbox is to blame
    ├── NotFoundError              no such account, job, message       → exit 3
    ├── RefusedError               not in the present state            → exit 5
    ├── UsageError                 the arguments are wrong             → exit 2
    └── BugError                   an invariant does not hold          → bounded retries, then visible
    LeaseLost                      a verdict: another worker has this work; stop, write nothing

`code` is one word in snake case, the same in the CLI, the record, logs and HTTP.
Messages hold no mail text and no secrets.
"""

from __future__ import annotations


class AtomError(Exception):
    """The root of what the product raises on purpose. `detail` is for the operator, the message for the user."""

    exit_status = 1

    def __init__(self, code: str, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail


class RetryLaterError(AtomError):
    """The same call may work after `after` seconds; None leaves the delay to the retry policy.

    `progress`: it was no failure; the call got somewhere and goes on from there next time.
    """

    def __init__(
        self, code: str, message: str, *, after: float | None = None, progress: bool = False, detail: str = ""
    ) -> None:
        super().__init__(code, message, detail=detail)
        self.after = after
        self.progress = progress


class ThrottledError(RetryLaterError):
    """The foreign service asked to wait; and the whole mailbox waits. `concurrency`: too many were in flight."""

    def __init__(self, code: str, message: str, *, after: float, concurrency: bool = False, detail: str = "") -> None:
        super().__init__(code, message, after=after, detail=detail)
        self.concurrency = concurrency


class SkipItemError(AtomError):
    """One item cannot be read; its neighbours can. Becomes a row in failures with `stage` and `code`."""

    def __init__(self, code: str, message: str, *, stage: str = "fetch", detail: str = "") -> None:
        super().__init__(code, message, detail=detail)
        self.stage = stage


class NeedsOwnerError(AtomError):
    """Only the user or the operator can help; the message says what to change and where."""


class NeedsOperatorError(NeedsOwnerError):
    """What the product itself stands on is unfit: a standby after a failover, a full disk, a host name that is lost.

    No job is to blame, and it may be mended, or mend itself, any moment.
    """


class SignInNeededError(NeedsOwnerError):
    """Credentials are missing, refused or expired."""

    exit_status = 4


class KeyNeededError(SignInNeededError):
    """The key of a model's endpoint is missing or refused; no mailbox is to blame."""


class NotFoundError(AtomError):
    """There is no such thing, or it belongs to another tenant."""

    exit_status = 3


class RefusedError(AtomError):
    """The operation is not allowed in the present state."""

    exit_status = 5


class UsageError(AtomError):
    """The arguments are wrong."""

    exit_status = 2


class BugError(AtomError):
    """An invariant does not hold; the worker retries a bounded number of times and then shows it."""


class LeaseLost(Exception):  # noqa: N818 - a verdict, not a failure
    """The fence has moved on: another worker owns this work. Whoever sees this stops and writes nothing."""
