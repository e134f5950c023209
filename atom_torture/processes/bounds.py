"""What is measured over runs, and what may be exceeded: by no measurement, or by one in twenty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """`share` of the measurements must be within `seconds`. `meaning` is for the report."""

    seconds: float
    meaning: str
    share: float = 1.0


ENOUGH = 40
"""Runs among which each measurement is due."""
BOUNDS: Mapping[str, Bound] = {
    "kill": Bound(30.0, "kill -9 to the next commit of every chunk that the worker had, with real leases", 0.95),
    "restart": Bound(15.0, "server restarted, or killed and back, to the next commit"),
    "drain": Bound(10.0, "SIGTERM to the end of the process"),
    "pause": Bound(10.0, "`pause` typed to nobody at work"),
    "cancel": Bound(10.0, "`cancel` typed to nobody at work"),
}


def exceeded(name: str, seconds: float) -> str:
    """Say that a single measurement is beyond its bound; "" where it is not, or where some may be."""
    bound = BOUNDS[name]
    if bound.share < 1.0 or seconds <= bound.seconds:
        return ""
    return f"{name}: {seconds:.1f} s, and {bound.seconds:.0f} s are allowed"


def exceeded_together(measured: Mapping[str, Sequence[float]]) -> list[str]:
    """Say which bounds too many measurements are beyond."""
    found = []
    for name, bound in BOUNDS.items():
        at = quantile(measured.get(name, ()), bound.share)
        if at is not None and at > bound.seconds:
            found.append(f"{name}: {at:.1f} s for {bound.share:.0%}, and {bound.seconds:.0f} s are allowed")
    return found


def unjudged(measured: Mapping[str, Sequence[float]], runs: int) -> list[str]:
    """Say which bounds nothing was held against, where there were runs enough for each."""
    missing = [name for name in BOUNDS if not measured.get(name)] if runs >= ENOUGH else []
    return [f"{name}: no time could be judged; let the machine be idle" for name in missing]


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value that so large a share of the values does not exceed; None of none."""
    ordered = sorted(values)
    # 0.95 * 20 is 19, whatever floats make of it: one in twenty may be slow.
    return ordered[max(1, math.ceil(round(share * len(ordered), 6))) - 1] if ordered else None
