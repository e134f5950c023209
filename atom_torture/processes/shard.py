"""Some of a campaign's runs, in a process of its own: `python -m atom_torture.processes.shard FIRST COUNT STEP`.

Prints one JSON object a run. With `--schedule JSON` it runs that one. With PYTHONPATH at a patched copy of the product
it tortures that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from atom_torture.processes.schedule import Schedule, from_seed, parse
from atom_torture.shards import named, run_shard


def main(arguments: list[str]) -> int:
    """Run them."""
    return run_shard(arguments, from_seed, parse, _run)


async def _run(schedules: Iterable[Schedule], folder: Path) -> None:
    # Here, since every program that is forked runs this file once more.
    import atom_backfill
    from atom_torture.processes.run import run_schedule
    from atom_torture.processes.world import Template

    template = Template(folder, Path(str(atom_backfill.__file__)).parent.parent)
    await template.make()
    for schedule in schedules:
        with named(schedule.as_line()):
            result = await run_schedule(template, schedule)
        print(result.as_line(), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
