"""The memory lane, end to end: wall time a hundred mails, CPU a mail without the embedder, time to the first result.

The mailbox is served by the simulator, two seconds a page. Runs with the shipped embedder tell the wall time; runs with
one that costs next to nothing tell what everything else costs. Both kinds take turns, and the median counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.world import PAGE_LATENCY_S, Ran, mail, median, run_lane, simulator

ROUNDS = 3
WALL_MAILS = 500
"""Newest mails that a run with the shipped embedder reads."""
WALL, TEXT, HTML, LARGEST = "karen.lewellen", "jeff.skilling", "marcus.leech", "justin.mason"
"""Mailboxes of the corpus: prose of about 1.4 passages a mail; long recipient lists; HTML; 4,432 mails."""
SAMPLE = 4_000


def main(corpus: Path | None, *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Run everything; figures by mailbox."""
    with mail(corpus, WALL, TEXT, HTML, LARGEST, sample=SAMPLE) as box:
        wall, *others, largest = box.names if corpus else (*box.names, *box.names)
        since, _ = box.newest(wall, WALL_MAILS)
        _, subject = box.newest(largest, 1)
        with simulator("--data", str(box.folder), "--page-latency", str(PAGE_LATENCY_S)) as url:
            real: list[Ran] = []
            free: dict[str, list[Ran]] = {name: [] for name in others or [wall]}
            for _ in range(rounds):
                real.append(run_lane(url, wall, "--since", since))
                for name, runs in free.items():
                    runs.append(run_lane(url, name, "--embedder", "free"))
            found = [run_lane(url, largest, "--find", subject) for _ in range(rounds)]
    return {
        "wall": {"mailbox": wall, **_wall(real)},
        "without_embedder": {name: _costs(runs) for name, runs in free.items()},
        "first_result": {
            "mailbox": largest,
            "seconds": _median(found, lambda told: told["found_s"]),
            "load": [run.load.one_minute for run in found],
        },
    }


def _wall(runs: list[Ran]) -> dict[str, Any]:
    return {
        "mails": runs[0].told["mails"],
        "passages_per_100": _median(runs, lambda told: 100 * told["passages"] / told["mails"]),
        "seconds_per_100": _median(runs, lambda told: 100 * told["after_first_page_s"] / told["mails"]),
        "seconds_per_150_passages": _median(runs, lambda told: 150 * told["after_first_page_s"] / told["passages"]),
        "over_embedding_alone": _median(
            runs, lambda told: told["after_first_page_s"] / (told["alone_s_a_passage"] * told["passages"])
        ),
        "cpu_seconds_per_100": _median(runs, lambda told: 100 * _cpu(told, "own", "children") / told["mails"]),
        "first_page_s": _median(runs, lambda told: told["first_page_s"]),
        "load": [run.load.one_minute for run in runs],
    }


def _costs(runs: list[Ran]) -> dict[str, Any]:
    def ms(*parts: str) -> float:
        return _median(runs, lambda told: 1000 * _cpu(told, *parts) / told["mails"])

    return {
        "mails": runs[0].told["mails"],
        "cpu_ms_a_mail": ms("own", "children"),
        "of_it_worker": ms("own"),
        "of_it_children": ms("children"),
        "database_server_ms": ms("server"),
        "mails_per_s": _median(runs, lambda told: told["mails"] / told["wall_s"]),
        "load": [run.load.one_minute for run in runs],
    }


def _cpu(told: dict[str, Any], *parts: str) -> float:
    return sum(float(told[f"{part}_cpu_s"]) for part in parts)


def _median(runs: list[Ran], figure: Callable[[dict[str, Any]], float]) -> float:
    return round(median([figure(run.told) for run in runs]), 2)


if __name__ == "__main__":
    folder = os.environ.get("ATOM_CORPUS")
    print(json.dumps(main(Path(folder) if folder else None), indent=2))
