"""The benchmarks' report: what was asked for stands beside what was measured, and nothing is left out in silence."""

from __future__ import annotations

import os
from importlib.util import find_spec

from bench.__main__ import NAMES, NEED_CORPUS
from bench.processes import cpu_seconds, tree
from bench.report import TARGETS, Outcome, render

MACHINE = {
    "machine": {"cores": 2, "python": "3.11", "platform": "Linux", "load": 0.1, "calibration_s": [0.2, 0.2]},
}


def row(report: str, words: str) -> list[str]:
    """The cells of the only row that begins with these words."""
    (line,) = [line for line in report.splitlines() if line.startswith(f"| {words}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_figure_stands_beside_its_target() -> None:
    outcome = Outcome("startup", {"help_s": 0.21, "demo_s": 75.0}, "", 80.0)
    report = render(MACHINE, [outcome])
    assert row(report, "`atom-backfill --help`")[1:] == ["≤ 0.3", "0.21", ""]
    assert row(report, "`demo`")[1:] == ["≤ 60", "75", "missed"]


def test_each_mailbox_has_a_row() -> None:
    figures = {"without_embedder": {name: {"cpu_ms_a_mail": ms} for name, ms in (("text", 3.0), ("html", 4.5))}}
    report = render(MACHINE, [Outcome("ingest", figures, "", 1.0)])
    assert row(report, "CPU a mail without the embedder, ms (text)")[2:] == ["3", ""]
    assert row(report, "CPU a mail without the embedder, ms (html)")[2:] == ["4.5", "missed"]


def test_a_share_that_is_written_with_its_counts_is_compared() -> None:
    figures = {"hybrid": {"test": {"known_items": "180/182 0.989", "question": "9/16 0.562"}}}
    report = render(MACHINE, [Outcome("quality_search", figures, "", 1.0)])
    assert row(report, "known items")[2:] == ["0.989", ""]
    assert row(report, "questions")[2:] == ["0.562", "missed"]
    assert row(report, "reply queries")[2:] == ["–", "not measured"]


def test_what_did_not_run_says_why() -> None:
    report = render(MACHINE, [Outcome("embedding", None, "skipped: there is no mail", 0.0)])
    assert row(report, "int8 over fp32")[3] == "skipped: there is no mail"
    figures = {"over_fp32": "skipped: no such model", "over_best_shape": 1.0, "second_core": 1.9}
    report = render(MACHINE, [Outcome("embedding", figures, "", 1.0)])
    assert row(report, "int8 over fp32")[2:] == ["–", "skipped: no such model"]


def test_every_target_is_of_a_benchmark_that_exists() -> None:
    assert {target.benchmark for target in TARGETS} <= set(NAMES)
    assert set(NAMES) >= NEED_CORPUS
    assert [name for name in NAMES if find_spec(f"bench.{name}") is None] == []


def test_processes_are_read() -> None:
    assert os.getpid() in tree(os.getppid())
    assert cpu_seconds(os.getpid()) > 0
