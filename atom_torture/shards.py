"""What each process of a campaign does around its schedules. Imports nothing of the product."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")


def run_shard(
    arguments: Sequence[str],
    from_seed: Callable[[int], S],
    parse: Callable[[str], S],
    run: Callable[[Iterable[S], Path], Coroutine[Any, Any, None]],
) -> int:
    """Run `--schedule JSON`, or the schedules of `FIRST COUNT STEP`, in a folder of which nothing is left."""
    if arguments[0] == "--schedule":
        schedules: Iterable[S] = [parse(arguments[1])]
    else:
        first, count, step = map(int, arguments)
        schedules = (from_seed(seed) for seed in range(first, first + count * step, step))
    in_a_home(lambda home: run(schedules, home))
    return 0


def in_a_home(work: Callable[[Path], Coroutine[Any, Any, T]]) -> T:
    """Do something in a folder of which nothing is left, not even when this process is told to end."""
    # A process that is started in the background ignores the one, and the other would leave a server behind.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with tempfile.TemporaryDirectory(prefix="atom-torture-") as home:
        # The embedded server runs as another account when this is root.
        Path(home).chmod(0o755)
        return asyncio.run(work(Path(home)))


@contextmanager
def named(schedule: str) -> Iterator[None]:
    """Let a mistake of the harness tell in which schedule it came up."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in the schedule {schedule}")
        raise


async def to_its_end(work: Callable[[], T]) -> T:
    """Do something in a thread; who is cancelled meanwhile first waits for its end, so that it can be undone."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        raise
