"""How much memory a worker takes, and that it does not grow with the mailbox.

Peaks of the worker's process, of its children, and of both at one moment. On the largest mailbox of the corpus, its
newest mails with the shipped embedder, then whole, then on one that holds each of its mails ten times. Vectors that
cost nothing to make take the same memory as any, and the worker is then as fast as it can be.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from bench.world import Ran, mail, run_lane, simulator, tenfold

LARGEST = "justin.mason"
NEWEST = 1_000
"""Mails read with the shipped embedder: the model's memory does not depend on how many more come."""
SAMPLE = 4_000
"""Mails of the sample mailbox, where there is no corpus."""


def main(corpus: Path | None, *, sample: int = SAMPLE) -> dict[str, Any]:
    """Run it; peaks in MB."""
    with mail(corpus, LARGEST, sample=sample) as box, tempfile.TemporaryDirectory(prefix="atom-bench-") as scratch:
        name = box.names[0]
        since, _ = box.newest(name, NEWEST)
        with simulator("--data", str(box.folder)) as url:
            real = run_lane(url, name, "--since", since)
            whole = run_lane(url, name, "--embedder", "free")
        tenfold(box, name, Path(scratch))
        with simulator("--data", scratch) as url:
            large = run_lane(url, name, "--embedder", "free")
    return {
        "mailbox": name,
        "shipped_embedder": _peaks(real),
        "whole": _peaks(whole),
        "tenfold": _peaks(large),
        "largest_peak_mb": max(round(ran.memory.together) for ran in (real, whole, large)),
        "ten_times_over_once": round(large.memory.together / whole.memory.together, 2),
        "cpu_ten_times_over_once": round(_cpu_ms(large) / _cpu_ms(whole), 2),
    }


def _peaks(ran: Ran) -> dict[str, Any]:
    return {
        "mails": ran.told["mails"],
        "passages": ran.told["passages"],
        "worker_mb": round(ran.memory.alone),
        "children_mb": round(ran.memory.children),
        "together_mb": round(ran.memory.together),
        "cpu_ms_a_mail": round(_cpu_ms(ran), 2),
        "load": ran.load.one_minute,
    }


def _cpu_ms(ran: Ran) -> float:
    return 1000 * float(ran.told["own_cpu_s"] + ran.told["children_cpu_s"]) / float(ran.told["mails"])


if __name__ == "__main__":
    folder = os.environ.get("ATOM_CORPUS")
    print(json.dumps(main(Path(folder) if folder else None), indent=2))
