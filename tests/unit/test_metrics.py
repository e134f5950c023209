"""What is counted: names, labels of few values, and numbers that begin at 0."""

from __future__ import annotations

import re

import pytest
from prometheus_client import generate_latest

from atom_backfill.metrics import COUNTERS, RESCUES, Counter, Metrics

PLAIN = Counter("atom_things_total", "things", "Things.")
TWO = Counter("atom_pairs_total", "pairs", "Pairs.", {"reason": ("a", "b"), "lane": ("ingest", "graph")})


def test_every_series_is_there_from_the_beginning() -> None:
    assert Metrics([PLAIN, TWO]).totals() == {
        "atom_things_total": 0,
        "atom_pairs_total.a.ingest": 0,
        "atom_pairs_total.a.graph": 0,
        "atom_pairs_total.b.ingest": 0,
        "atom_pairs_total.b.graph": 0,
    }


def test_what_is_counted_adds_up_and_two_processes_count_apart() -> None:
    metrics, others = Metrics([PLAIN, TWO]), Metrics([PLAIN, TWO])
    metrics.count(PLAIN)
    metrics.count(PLAIN, by=3)
    metrics.count(TWO, reason="b", lane="graph")
    totals = metrics.totals()
    assert (totals["atom_things_total"], totals["atom_pairs_total.b.graph"]) == (4, 1)
    assert sum(totals.values()) == 5
    assert not any(others.totals().values())


@pytest.mark.parametrize(
    "labels", [{}, {"reason": "ines@lumen.example"}, {"reason": "lease_lapsed", "chunk": "1f0c"}, {"worker": "w-1"}]
)
def test_a_label_has_no_other_values_than_those_that_are_listed(labels: dict[str, str]) -> None:
    metrics = Metrics()
    with pytest.raises(ValueError, match="atom_rescues_total"):
        metrics.count(RESCUES, **labels)
    assert not any(metrics.totals().values())


def test_an_exporter_finds_names_units_and_numbers() -> None:
    metrics = Metrics()
    metrics.count(RESCUES, reason="lease_lapsed")
    told = generate_latest(metrics.registry).decode()
    assert 'atom_rescues_total{reason="lease_lapsed"} 1.0' in told
    assert f"# HELP atom_rescues_total {RESCUES.about}" in told


@pytest.mark.parametrize("counter", COUNTERS, ids=lambda counter: counter.name)
def test_names_are_the_product_s_and_series_are_few(counter: Counter) -> None:
    assert re.fullmatch(r"atom_[a-z_]+_total", counter.name)
    assert len(Metrics([counter]).totals()) <= 20
