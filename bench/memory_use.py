"""How much memory a worker takes, and that it does not grow with the mailbox.

Peaks of the worker's process, of its children, and of both at one moment. On the largest mailbox of the corpus, its
newest mails with the shipped embedder, then whole; then on a made-up mailbox and one of ten times its size. Vectors
that cost nothing to make take the same memory as any.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bench.world import Ran, mail, run_lane, simulator

LARGEST = "justin.mason"
NEWEST = 1_000
"""Mails read with the shipped embedder: the model's memory does not depend on how many more come."""
SMALL, LARGE = 6_500, 65_000
"""Mails made up, of which two thirds are read: as many as the largest mailbox of the corpus has, and ten times as many.
The small run must be long enough for an upkeep, whose libraries take memory too."""


def main(corpus: Path | None, *, small: int = SMALL, large: int = LARGE) -> dict[str, Any]:
    """Run it; peaks in MB."""
    with mail(corpus, LARGEST, sample=small) as box:
        name = box.names[0]
        since, _ = box.newest(name, NEWEST)
        with simulator("--data", str(box.folder)) as url:
            real = run_lane(url, name, "--since", since)
            whole = run_lane(url, name, "--embedder", "free")
    with simulator("--generate", f"small={small}", "--generate", f"large={large}") as url:
        made = {size: run_lane(url, size, "--embedder", "free") for size in ("small", "large")}
    return {
        "mailbox": name,
        "shipped_embedder": _peaks(real),
        "whole": _peaks(whole),
        **{size: _peaks(ran) for size, ran in made.items()},
        "largest_peak_mb": max(round(ran.memory.together) for ran in (real, whole, *made.values())),
        "ten_times_over_once": round(made["large"].memory.together / made["small"].memory.together, 2),
        "cpu_ten_times_over_once": round(_cpu_ms(made["large"]) / _cpu_ms(made["small"]), 2),
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
