"""Throttling: requests at once, and requests in a span of time, per app and mailbox."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from .errors import GraphError
from .quirks import Quirks


@dataclass(frozen=True, slots=True)
class Limits:
    """The service's limits; 0 lifts one."""

    concurrency: int = 4
    requests: int = 10_000
    window_s: float = 600.0


class Throttle:
    """Counts what each app does with each mailbox. Requests that are refused count as well."""

    def __init__(self, limits: Limits, quirks: Quirks, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._quirks = quirks
        self._monotonic = monotonic
        self._flying: Counter[tuple[str, str]] = Counter()
        self._recent: dict[tuple[str, str], deque[float]] = {}
        self.in_flight: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.refused = 0

    def enter(self, app: str, mailbox: str) -> None:
        """Take a place for one request. Raises GraphError (429) where a limit is reached."""
        # First, since requests that the other limit refuses count as well.
        self._check_rate((app, mailbox))
        place = self._place(app, mailbox)
        if self._limits.concurrency and self._flying[place] >= self._limits.concurrency:
            raise self._refusal("MailboxConcurrency", self._quirks.throttle_retry_after)
        self._flying[place] += 1
        self.in_flight[mailbox] += 1
        self.peak[mailbox] = max(self.peak[mailbox], self.in_flight[mailbox])

    def leave(self, app: str, mailbox: str) -> None:
        """Give the place back."""
        self._flying[self._place(app, mailbox)] -= 1
        self.in_flight[mailbox] -= 1

    def _check_rate(self, pair: tuple[str, str]) -> None:
        if not self._limits.requests:
            return
        now = self._monotonic()
        recent = self._recent.setdefault(pair, deque(maxlen=self._limits.requests + 1))
        while recent and recent[0] <= now - self._limits.window_s:
            recent.popleft()
        recent.append(now)
        if len(recent) > self._limits.requests:
            wait = recent[0] + self._limits.window_s - now
            raise self._refusal("MailboxRequests", max(1, round(wait + 0.5)))

    def _refusal(self, limit: str, retry_after: int | None) -> GraphError:
        self.refused += 1
        inner = self._quirks.throttle_inner_error
        return throttled(limit, retry_after, inner=inner, code=self._quirks.throttle_code)

    def _place(self, app: str, mailbox: str) -> tuple[str, str]:
        return (app, mailbox if self._quirks.concurrency_scope == "mailbox" else "")


def throttled(limit: str, retry_after: float | None, *, inner: bool, code: str = "ApplicationThrottled") -> GraphError:
    """429; without `retry_after` the header is left out."""
    headers = {} if retry_after is None else {"Retry-After": wait_text(retry_after)}
    return GraphError(429, code, f"Application is over its {limit} limit.", headers, inner=inner)


def wait_text(seconds: float) -> str:
    """The value of a Retry-After header."""
    return str(int(seconds)) if seconds == int(seconds) else str(seconds)
