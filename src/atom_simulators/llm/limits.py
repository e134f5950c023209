"""Requests and tokens a minute, as buckets that fill all the time, per key and model; and the headers that tell."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import duration, rate_limited, too_large_for_limit


@dataclass(frozen=True, slots=True)
class Limits:
    """A minute's requests and tokens; 0 lifts a limit."""

    requests: int = 0
    tokens: int = 0


@dataclass(slots=True)
class _Bucket:
    """Starts full. `level` is what is left of `size` at the moment `at`."""

    size: int
    at: float
    level: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = float(self.size)

    def fill(self, now: float) -> None:
        self.level = min(float(self.size), self.level + (now - self.at) * self.size / 60)
        self.at = now

    def wait(self, wanted: float) -> float:
        """Seconds until so much is there."""
        return max(0.0, (wanted - self.level) * 60 / self.size)


class Gate:
    """Lets calls through, or refuses them; what is refused takes nothing."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}

    def enter(self, key: str, model: str, tokens: int) -> None:
        """Take one request and so many tokens. Raises ApiError (429)."""
        found = self._found(key, model)
        wanted = {"requests": 1, "tokens": tokens}
        bucket = found.get("tokens")
        if bucket is not None and tokens > bucket.size:
            raise too_large_for_limit(model, bucket.size, tokens)
        for unit, bucket in found.items():
            # A rounding error must not make a client that waited as told wait again.
            if bucket.level < wanted[unit] - 1e-6:
                used = min(bucket.size, round(bucket.size - bucket.level))
                wait = bucket.wait(wanted[unit])
                raise rate_limited(model, unit, bucket.size, used, wanted[unit], wait)
        for unit, bucket in found.items():
            bucket.level -= wanted[unit]

    def headers(self, key: str, model: str) -> dict[str, str]:
        """`x-ratelimit-…` for the limits that there are."""
        told = {}
        for unit, bucket in self._found(key, model).items():
            told[f"x-ratelimit-limit-{unit}"] = str(bucket.size)
            told[f"x-ratelimit-remaining-{unit}"] = str(max(0, int(bucket.level + 1e-6)))
            told[f"x-ratelimit-reset-{unit}"] = duration(bucket.wait(bucket.size))
        return told

    def _found(self, key: str, model: str) -> dict[str, _Bucket]:
        now = self._monotonic()
        found = {}
        for unit, size in (("requests", self._limits.requests), ("tokens", self._limits.tokens)):
            if size:
                bucket = self._buckets.setdefault((key, model, unit), _Bucket(size, now))
                bucket.fill(now)
                found[unit] = bucket
        return found
