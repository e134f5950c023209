"""A small run with real processes is clean and leaves nobody behind; the planted bugs are where they were planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from atom_torture.campaign import ROOT
from atom_torture.processes.campaign import replay_processes
from atom_torture.processes.plants import PLANTS, Planted
from atom_torture.processes.schedule import Schedule, Strike

SMALL = Schedule(
    seed=11,
    mails=60,
    folders=2,
    page=10,
    workers=2,
    concurrency=2,
    hurried=True,
    strikes=(Strike(5, "worker", "kill"), Strike(15, "vectors", "reset", 0.5), Strike(20, "worker", "term")),
    poison=("unreadable",),
)
"""A worker is killed, one is told to go, and connections break."""


@pytest.mark.long
def test_a_run_with_a_killed_worker_and_broken_connections_is_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    runs = replay_processes(SMALL.as_line())
    assert runs.violations == []
    assert {"worker/kill", "vectors/reset"} <= runs.fired.keys()
    assert list(tmp_path.glob("atom-torture-*")) == []


@pytest.mark.parametrize("each", PLANTS, ids=lambda each: each.plant.name)
def test_a_planted_program_still_is_python(each: Planted) -> None:
    text = (ROOT / "src" / "atom_backfill" / each.plant.file).read_text()
    compile(each.plant.grown_in(text), each.plant.file, "exec")
    assert each.schedule.as_line()
