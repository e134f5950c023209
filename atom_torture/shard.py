"""Some of a campaign's schedules, in a process of its own: `python -m atom_torture.shard FIRST COUNT STEP`.

Prints one JSON object a schedule. With `--schedule JSON` it runs that one. With PYTHONPATH at a patched copy of the
product it tortures that.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from atom_backfill.telemetry import configure
from atom_torture.arena import an_arena
from atom_torture.life import track_tasks
from atom_torture.run import run_schedule
from atom_torture.schedule import Schedule, from_seed, parse
from atom_torture.shards import named, run_shard


def main(arguments: list[str]) -> int:
    """Run them."""
    configure("text", "critical")
    return run_shard(arguments, from_seed, parse, _run)


async def _run(schedules: Iterable[Schedule], home: Path) -> None:
    track_tasks(asyncio.get_running_loop())
    async with an_arena(home) as arena:
        for schedule in schedules:
            with named(schedule.as_line()):
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
