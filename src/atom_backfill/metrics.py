"""What is counted while the product runs: names, units and labels, and the registry that holds the numbers.

docs/reference/metrics.md lists them. A label's values are few and known beforehand: no id, no address, nothing of mail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as Series


@dataclass(frozen=True, slots=True)
class Counter:
    """Something that is counted from a process's start. `labels`: the values that each label can have."""

    name: str
    unit: str
    about: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)


RESCUES = Counter(
    name="atom_rescues_total",
    unit="chunks",
    about="Chunks that were taken back, since whoever had them died, was stopped, or lost the database.",
    labels={"reason": ("lease_lapsed", "claimed_over")},
)
SWEPT = Counter(
    "atom_swept_total",
    "findings",
    "What sweepers found and repaired: passages missing or foreign, counters that were wrong, jobs that were stuck.",
    {"kind": ("missing", "foreign", "differs", "counters", "stuck")},
)
COUNTERS = (RESCUES, SWEPT)


class Metrics:
    """The numbers of one process; every series is there from the beginning, at 0. `registry` is for an exporter."""

    def __init__(self, counters: Sequence[Counter] = COUNTERS) -> None:
        self.registry = CollectorRegistry()
        self._series = {each.name: self._add(each) for each in counters}

    def count(self, counter: Counter, by: float = 1, **labels: str) -> None:
        """Count so many more. Raises ValueError for a label, or a value of one, that the counter does not have."""
        known = counter.labels.keys() == labels.keys()
        if not known or any(value not in counter.labels[label] for label, value in labels.items()):
            raise ValueError(f"{counter.name} has no such labels, or not these values of them")
        series = self._series[counter.name]
        (series.labels(**labels) if labels else series).inc(by)

    def totals(self) -> dict[str, float]:
        """Return what was counted, as a log takes it: the name, with the values of the labels behind dots."""
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        return {".".join((s.name, *s.labels.values())): s.value for s in samples if s.name in self._series}

    def _add(self, counter: Counter) -> Series:
        series = Series(counter.name, counter.about, list(counter.labels), registry=self.registry)
        for values in _every(counter.labels):
            series.labels(**values)
        return series


def _every(labels: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return every combination of labels; none for a counter without labels, whose one series is there by itself."""
    found: list[dict[str, str]] = []
    for label, values in labels.items():
        found = [{**before, label: value} for before in found or [{}] for value in values]
    return found
