"""What the graph lane's handler needs: the lane's ledger, and a model to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from atom_backfill.access.keys import KeyStatus, ModelKey
from atom_backfill.backfill.ports import FaultPoint, no_faults
from atom_backfill.clock import Clock
from atom_backfill.errors import UsageError
from atom_backfill.graph.facts import Facts, Unit
from atom_backfill.graph.money import Admission, Asked, Settlement
from atom_backfill.graph.units import UnitPlan
from atom_backfill.jobs.job import GraphStatus, Lease
from atom_backfill.llm.form import Chat, Form
from atom_backfill.llm.prices import Price, price_of


class Ended(StrEnum):
    """How a unit ends."""

    DONE = "done"
    EMPTY = "empty"
    SPLIT = "split"
    REFUSED = "refused"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Taken:
    """A unit that this lease works on. `unit` None: its mail has changed or is gone; `answer`: said before, or None."""

    plan: UnitPlan
    unit: Unit | None
    key: bytes
    answer: str | None
    attempts: int
    troubles: int


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a unit. `reason`: a code, "" for none; `parts`: the units that stand for one that was split."""

    taken: Taken
    ended: Ended
    facts: Facts = field(default_factory=Facts)
    reason: str = ""
    attempts: int = 0
    parts: tuple[UnitPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class Back:
    """A unit that is given back. `alone`: it shares no call any more; `attempts`, `troubles`: by how much they rise."""

    unit_id: UUID
    alone: bool = False
    attempts: int = 0
    troubles: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A lane that somebody may work on: with which key, and the job's budget. `value` is the key's."""

    key: ModelKey
    value: str
    budget_usd: Decimal | None


class LaneLedger(Protocol):
    """Where units, calls and facts count. What changes units or facts checks the fence and raises LeaseLost."""

    async def open(self, lease: Lease) -> Opened | None:
        """Take the lane up: queue again and count what an earlier lease left; None where there is no usable key."""
        ...

    async def make_units(self, lease: Lease) -> int:
        """Make some of the units that the job's stored mails are missing; 0 when none is."""
        ...

    async def take(self, lease: Lease, model: str) -> Sequence[Taken]:
        """Take the newest waiting units that fit into one call; none when nothing waits."""
        ...

    async def admit(self, lease: Lease, asked: Asked) -> Admission:
        """Reserve a call's money and its place in the key's pace, or say what stands in the way."""
        ...

    async def settle(self, lease: Lease, asked: Asked, came: Settlement, answers: Mapping[bytes, str]) -> bool:
        """Note what a call came to, and keep the answers, whoever has the lease by now; False: more than the budget."""
        ...

    async def store(self, lease: Lease, results: Sequence[Result], model: str) -> tuple[int, int]:
        """Make results count, each in a savepoint of its own; returns new entities and relationships."""
        ...

    async def give_back(self, lease: Lease, units: Sequence[Back]) -> None:
        """Queue units again."""
        ...

    async def stop(self, lease: Lease, status: GraphStatus, code: str, error: str) -> None:
        """Have the lane go on no more by itself, and tell why; of a key that is refused, all lanes of the tenant."""
        ...

    async def note_key(self, lease: Lease, key: ModelKey, status: KeyStatus, form: Form | None) -> None:
        """Store what was learnt of the key."""
        ...


def refuse_unpriced(model: str, prices: Mapping[str, Price]) -> None:
    """Refuse a budget for a model of which nobody knows the price. Raises UsageError."""
    if price_of(model, prices) is None:
        raise UsageError(
            "no_price",
            f"Nobody knows what {model} costs, so no budget can be kept: write its price into a file and name that in "
            "ATOM_MODEL_PRICES.",
        )


OpenChat = Callable[[ModelKey, str], AbstractAsyncContextManager[Chat]]


@dataclass(frozen=True, slots=True)
class LaneParts:
    """What the handler is made of. `room`: calls in flight of this worker, over all its slots."""

    ledger: LaneLedger
    open_chat: OpenChat
    prices: Mapping[str, Price]
    cap_usd: Decimal | None
    calls: int
    room: AbstractAsyncContextManager[Any]
    clock: Clock
    new_id: Callable[[], UUID]
    reached: FaultPoint = no_faults
