"""The simulator's own count of calls, tokens and money: `/_simulator/calls`. No text and no key is kept."""

import hashlib
import json
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import IO, Any

_KEPT = 100_000


@dataclass(slots=True)
class Entry:
    """One call. `key` tells keys apart without showing them; `units` are digests, so that buying twice shows.

    `usd` is None where the model has no price. `left`: the client had gone before its answer was ready, which is
    billed like any other. `status` 0: no answer reached the client.
    """

    operation: str
    at: float
    n: int = 0
    key: str = ""
    model: str = ""
    status: int = 0
    code: str | None = None
    fault: str | None = None
    finish: str | None = None
    format: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0
    seconds: float = 0.0
    in_flight: int = 0
    left: bool = False
    units: list[str] = field(default_factory=list)


class Ledger:
    """Calls in the order in which they ended, and their totals."""

    def __init__(self, log: IO[str] | None = None) -> None:
        self._log = log
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._by = {name: Counter[str]() for name in ("operation", "status", "code", "fault")}
        self._sums: Counter[str] = Counter()
        self._usd = 0.0
        self._without_price = 0
        self._units: Counter[str] = Counter()
        self.in_flight = 0
        self.most_in_flight = 0

    def start(self, operation: str, at: float) -> Entry:
        """A call comes in."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return Entry(operation, round(at, 3), in_flight=self.in_flight)

    def end(self, entry: Entry, seconds: float) -> None:
        """A call is over."""
        self.in_flight -= 1
        self._sums["calls"] += 1
        entry.n, entry.seconds = self._sums["calls"], round(seconds, 4)
        for name, counter in self._by.items():
            value = getattr(entry, name)
            if value is not None:
                counter[str(value)] += 1
        if entry.prompt_tokens:
            self._sums["billed"] += 1
            self._sums["prompt_tokens"] += entry.prompt_tokens
            self._sums["completion_tokens"] += entry.completion_tokens
            self._usd += entry.usd or 0.0
            self._without_price += entry.usd is None
            self._units.update(entry.units)
        self._entries.append(entry)
        if self._log is not None:
            self._log.write(json.dumps(asdict(entry)) + "\n")
            self._log.flush()

    def shown(self, since: int = 0, limit: int | None = None) -> dict[str, Any]:
        """The calls after number `since`, and the totals of all."""
        calls = [asdict(entry) for entry in self._entries if entry.n > since]
        return {"calls": calls if limit is None else calls[:limit], "totals": self.totals()}

    def totals(self) -> dict[str, Any]:
        """Calls, tokens and dollars. `units_bought_again`: how many bought units had been bought before."""
        return {
            **{name: self._sums[name] for name in ("calls", "billed", "prompt_tokens", "completion_tokens")},
            "usd": round(self._usd, 9),
            "billed_without_price": self._without_price,
            "units_bought": self._units.total(),
            "units_bought_again": self._units.total() - len(self._units),
            "most_in_flight": self.most_in_flight,
            **{f"by_{name}": dict(sorted(counter.items())) for name, counter in self._by.items()},
        }


def digest(text: str) -> str:
    """A short name for a text or a key that gives none of it away."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
