"""docs/reference/metrics.md lists what is counted, with units and labels."""

from __future__ import annotations

import re

import pytest

import source_words
from atom_backfill.metrics import COUNTERS, Counter

PAGE = (source_words.ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (.+?) \| (.*?) \| (.+?) \|$", PAGE, re.MULTILINE)


def test_the_page_lists_every_metric_and_no_other() -> None:
    assert [name for name, *_ in ROWS] == [counter.name for counter in COUNTERS]


@pytest.mark.parametrize("counter", COUNTERS, ids=lambda counter: counter.name)
def test_a_metric_is_listed_with_its_unit_and_the_values_of_its_labels(counter: Counter) -> None:
    [(unit, labels, about)] = [row for name, *row in ROWS if name == counter.name]
    assert (unit, about) == (counter.unit, counter.about)
    told = "; ".join(f"`{label}`: " + ", ".join(f"`{v}`" for v in values) for label, values in counter.labels.items())
    assert labels == told
