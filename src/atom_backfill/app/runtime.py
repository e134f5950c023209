"""What a worker's process asks of its runtime: long work that makes and drops thousands of small objects a page."""

from __future__ import annotations

import gc

from atom_backfill.memory.allocator import bound_allocator

COLLECT_AFTER = 20_000
"""Objects made between two looks for unreachable cycles; a page makes that many, and next to none of them in cycles.
Measured: with Python's own default a fifth of a worker's time went there."""


def settle_in() -> None:
    """Set this process up; harmless to repeat."""
    bound_allocator()
    gc.set_threshold(COLLECT_AFTER, 20, 20)
