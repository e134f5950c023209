"""A crowd works for a minute of simulated time, and what is unfair is named."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from atom_torture.crowd import ENOUGH, unfair


@pytest.mark.long
def test_a_minute_of_a_crowd_is_clean_and_told_of() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "atom_torture.crowd", "60"], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert (told["seconds"] >= 60, told["deadlocks"], told["violations"]) == (True, 0, [])
    assert told["pages"] >= 24, "every worker has read"
    assert len(told["shares"]) == 20


def test_a_share_that_is_too_small_or_too_large_is_named_once_there_are_pages_enough() -> None:
    shares = [0.89, 0.91, 1.09, 1.11]
    assert unfair(shares, ENOUGH * 4) == ["a tenant has a share of 0.89", "a tenant has a share of 1.11"]
    assert unfair(shares, ENOUGH * 4 - 1) == []
