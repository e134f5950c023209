"""`python -m bench [NAME…]`: runs every benchmark, or those named, each in a process of its own, and writes a report.

The report is bench/report/report.md, and report.json for scripts. Those that need the development mail are skipped,
with the reason, unless `ATOM_CORPUS` names its folder; the others then use the sample mailbox. `ATOM_CEREC` names the
folder of CEREC's seed threads, for the names in mails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.processes import load
from bench.report import Outcome, render
from bench.world import median

NAMES = (
    *("startup", "claims", "ingest", "memory_use", "verify_memory", "embedding", "identity_scale", "graph_walks"),
    *("quality_cleaning", "quality_search", "quality_identity"),
)
NEED_CORPUS = frozenset({"embedding", "quality_cleaning", "quality_search", "quality_identity"})
FOLDER = Path(__file__).with_name("report")


def main(arguments: list[str]) -> int:
    """Run them; 1 where one of them broke."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*NAMES, []], help=", ".join(NAMES))
    names = parser.parse_args(arguments).names or NAMES
    machine: dict[str, Any] = {
        "cores": load().cores,
        "load": load().one_minute,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "calibration_s": [calibrate()],
    }
    outcomes = [run(name) for name in names]
    machine["calibration_s"].append(calibrate())
    document = {"machine": machine, "benchmarks": {outcome.benchmark: asdict(outcome) for outcome in outcomes}}
    FOLDER.mkdir(exist_ok=True)
    report = render(document, outcomes)
    (FOLDER / "report.md").write_text(report, encoding="utf-8")
    (FOLDER / "report.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(report)
    return 1 if any(outcome.reason.startswith("broke") for outcome in outcomes) else 0


def run(name: str) -> Outcome:
    """Run one benchmark in a child process, which prints its document."""
    if name in NEED_CORPUS and not os.environ.get("ATOM_CORPUS"):
        return Outcome(name, None, "skipped: ATOM_CORPUS, the folder of the development mail, is not set", 0.0)
    print(f"{name} …", file=sys.stderr, flush=True)
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", f"bench.{name}"], stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.monotonic() - began
    if done.returncode:
        return Outcome(name, None, f"broke: status {done.returncode}", seconds)
    return Outcome(name, json.loads(done.stdout), "", seconds)


def calibrate() -> float:
    """Return the CPU seconds of a fixed loop of numbers, hashes and JSON, the median of five."""
    return round(median([_fixed_work() for _ in range(5)]), 3)


def _fixed_work() -> float:
    began = time.process_time()
    matrix = np.random.default_rng(1).standard_normal((256, 256), np.float32)
    rows = {str(number): [number, str(number) * 3] for number in range(2000)}
    for _ in range(20):
        matrix = np.tanh(matrix @ matrix.T / 256)
        text = json.dumps(rows)
        hashlib.sha256(text.encode()).digest()
        json.loads(text)
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
