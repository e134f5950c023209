from __future__ import annotations

import pytest

from atom_backfill.memory.ports import Condition
from atom_backfill.memory.upkeep import MOST_SMALL_FILES, MOST_UNINDEXED, is_due


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
