"""What was asked of the simulator, for tests and checkers: `/_sim/log` and `/_sim/stats`.

No token, no body and no header is kept.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

_KEPT = 50_000


@dataclass(slots=True)
class Ticket:
    """One request while it is worked on: what it is, whose mailbox it touches, and the place it holds."""

    request_id: str
    client_request_id: str
    operation: str = "other"
    mailbox: str = ""
    app: str = ""
    holds_place: bool = False
    fault: Any = None
    in_batch: bool = False
    in_flight: int = 0


@dataclass(slots=True)
class Journal:
    """The last requests, and totals of all."""

    lines: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    count: int = 0
    by_operation: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    by_fault: Counter[str] = field(default_factory=Counter)

    def record(
        self, ticket: Ticket, method: str, path: str, query: str, status: int, at: float, seconds: float
    ) -> None:
        """Keep one request that was answered with `status` (0: not at all)."""
        self.count += 1
        self.by_operation[ticket.operation] += 1
        self.by_status[status] += 1
        kind = ticket.fault.kind if ticket.fault is not None else None
        if kind:
            self.by_fault[kind] += 1
        self.lines.append(
            {
                "n": self.count,
                "at": round(at, 3),
                "method": method,
                "path": path,
                "query": query,
                "operation": ticket.operation,
                "status": status,
                "seconds": round(seconds, 4),
                "mailbox": ticket.mailbox or None,
                "app": ticket.app or None,
                "in_flight": ticket.in_flight,
                "fault": kind,
                "in_batch": ticket.in_batch,
            }
        )
