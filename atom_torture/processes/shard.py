"""Some of a campaign's runs, in a process of its own: `python -m atom_torture.processes.shard FIRST COUNT STEP`.

Prints one JSON object a run. With `--schedule JSON` it runs that one. With PYTHONPATH at a patched copy of the product
it tortures that.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from atom_torture.processes.schedule import Schedule, from_seed, parse


def main(arguments: list[str]) -> int:
    """Run them."""
    # A process that is started in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if arguments[0] == "--schedule":
        schedules: Iterable[Schedule] = [parse(arguments[1])]
    else:
        first, count, step = map(int, arguments)
        schedules = (from_seed(seed) for seed in range(first, first + count * step, step))
    with tempfile.TemporaryDirectory(prefix="atom-torture-") as folder:
        # The embedded server runs as another account when this is root.
        Path(folder).chmod(0o755)
        asyncio.run(_run(schedules, Path(folder)))
    return 0


async def _run(schedules: Iterable[Schedule], folder: Path) -> None:
    # Here, since every program that is forked runs this file once more.
    import atom_backfill
    from atom_torture.processes.run import run_schedule
    from atom_torture.processes.world import Template

    template = Template(folder, Path(str(atom_backfill.__file__)).parent.parent)
    await template.make()
    for schedule in schedules:
        print((await run_schedule(template, schedule)).as_line(), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
