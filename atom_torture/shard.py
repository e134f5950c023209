"""Some of a campaign's schedules, in a process of its own: `python -m atom_torture.shard FIRST COUNT STEP`.

Prints one JSON object a schedule. With `--schedule JSON` it runs that one. With PYTHONPATH at a patched copy of the
product it tortures that.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from atom_backfill.telemetry import configure
from atom_torture.arena import an_arena
from atom_torture.life import track_tasks
from atom_torture.run import run_schedule
from atom_torture.schedule import Schedule, from_seed, parse


def main(arguments: list[str]) -> int:
    """Run them."""
    configure("text", "critical")
    # A process that is started in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if arguments[0] == "--schedule":
        schedules: Iterable[Schedule] = [parse(arguments[1])]
    else:
        first, count, step = map(int, arguments)
        schedules = (from_seed(seed) for seed in range(first, first + count * step, step))
    with tempfile.TemporaryDirectory(prefix="atom-torture-") as home:
        # The embedded server runs as another account when this is root.
        Path(home).chmod(0o755)
        asyncio.run(_run(schedules, Path(home)))
    return 0


async def _run(schedules: Iterable[Schedule], home: Path) -> None:
    track_tasks(asyncio.get_running_loop())
    async with an_arena(home) as arena:
        for schedule in schedules:
            result = await run_schedule(arena, schedule)
            told = {
                "schedule": result.schedule.as_line(),
                "violations": result.violations,
                "fired": result.fired,
                "recovered": [round(seconds, 1) for seconds in result.recovered],
            }
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
