"""What comes from outside and tests replace: time, ids, chance, vectors, and what happens between a page's steps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from atom_backfill.backfill.ports import FaultPoint, no_faults
from atom_backfill.clock import Clock, SystemClock
from atom_backfill.memory.ports import Embedder


@dataclass(frozen=True, slots=True)
class Outside:
    """The defaults are the real world's. `embedder`: instead of the one that the settings name."""

    clock: Clock = field(default_factory=SystemClock)
    new_id: Callable[[], UUID] = uuid4
    rng: random.Random = field(default_factory=random.Random)
    reached: FaultPoint = no_faults
    embedder: Embedder | None = None
