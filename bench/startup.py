"""How soon the command line answers, and how long the whole demonstration takes."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.processes import load
from bench.world import environment, home, median

ROUNDS = 7
COMMAND = str(Path(sys.executable).with_name("atom-backfill"))


def main(_: object = None) -> dict[str, Any]:
    """Run it; seconds of wall time, and of CPU where other work on the machine might disturb."""
    with home() as folder:
        env = environment() | {"ATOM_HOME": str(folder)}
        alone = [_seconds([sys.executable, "-c", "pass"], env) for _ in range(ROUNDS)]
        helped = [_seconds([COMMAND, "--help"], env) for _ in range(ROUNDS)]
        began = load()
        demo = _seconds([COMMAND, "demo"], env)
    return {
        "python_alone_s": round(median([wall for wall, _ in alone]), 3),
        "help_s": round(median([wall for wall, _ in helped]), 3),
        "help_cpu_s": round(median([cpu for _, cpu in helped]), 3),
        "demo_s": round(demo[0], 1),
        "demo_cpu_s": round(demo[1], 1),
        "load": began.one_minute,
    }


def _seconds(command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Run a command; returns its seconds of wall time and of CPU, its children included."""
    began, before = time.monotonic(), _cpu()
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - began, _cpu() - before


def _cpu() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
