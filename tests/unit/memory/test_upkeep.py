from __future__ import annotations

import pytest

from atom_backfill.memory.ports import Condition
from atom_backfill.memory.upkeep import (
    MOST_SMALL_FILES,
    MOST_UNINDEXED,
    MOST_YOUNG,
    YOUNG_ROWS,
    is_due,
    segments_to_merge,
)


@pytest.mark.parametrize(
    ("condition", "due"),
    [
        (Condition(0, 0, 0), False),
        (Condition(50_000, MOST_UNINDEXED - 1, MOST_SMALL_FILES - 1), False),
        (Condition(50_000, MOST_UNINDEXED, 1), True),
        (Condition(50_000, 1, MOST_SMALL_FILES), True),
        (Condition(50_000, 0, MOST_SMALL_FILES * 3), False),
    ],
)
def test_upkeep_is_due_when_rows_or_files_have_gathered_since_the_last(condition: Condition, due: bool) -> None:
    assert is_due(condition) is due


@pytest.mark.parametrize(
    ("rows", "merged"),
    [
        ([], 0),
        ([2000] * 5, 0),
        ([2000] * 6, 6),
        ([12_000, 12_000, *[2000] * 5], 0),
        ([12_000, 12_000, *[2000] * 6], 6),
        ([500, 12_000, *[20] * 9], 9),
        ([0] * 7, 7),
    ],
)
def test_young_segments_are_merged_and_what_a_merge_has_made_is_left_alone(rows: list[int], merged: int) -> None:
    assert segments_to_merge(rows) == merged


def test_segments_grow_with_the_rows_and_not_with_the_upkeeps() -> None:
    rows: list[int] = []
    for _ in range(500):
        merged = segments_to_merge(rows)
        rows = [*rows[: len(rows) - merged], sum(rows[len(rows) - merged :]) + 200]
    assert sum(rows) == 100_000
    assert len(rows) <= 100_000 // YOUNG_ROWS + MOST_YOUNG
