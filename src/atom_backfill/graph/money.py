"""The nouns of what a model's calls cost: what is asked for, what is allowed, what it came to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that is to be made. `most_usd`: what it can cost at most, None without a price; `cap_usd`: the tenant's.

    `tokens`: by how much it will lower the key's bucket.
    """

    call_id: UUID
    units: tuple[UUID, ...]
    attempt: int
    model: str
    most_usd: Decimal | None
    cap_usd: Decimal | None
    key_name: str
    key_version: int
    tokens: int


class Refusal(StrEnum):
    """Why a call may not be made."""

    STOPPED = "stopped"
    """The lane was paused, cancelled, or does not go on for another reason."""
    LEASE_LOST = "lease_lost"
    KEY_CHANGED = "key_changed"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again after so many seconds. `rate`: it is the key's pace, else money that calls in flight hold back."""

    seconds: float
    rate: bool


Admission = Wait | Refusal | None
"""None: the call may be made now."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a call came to. `usd` None: nobody knows a price; tokens None: nobody knows how many.

    `outcome`: the answer's finish, or the code of what went wrong. `refused_s`: the server asks to wait so long.
    """

    outcome: str
    usd: Decimal | None
    input_tokens: int | None
    output_tokens: int | None
    latency_s: float
    headers: Mapping[str, str] = field(default_factory=dict)
    refused_s: float | None = None
