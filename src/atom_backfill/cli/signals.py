"""What long commands do when they are told to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTED = 130


@contextmanager
def on_signals(act: Callable[[], object]) -> Iterator[list[signal.Signals]]:
    """Call `act` when the process is told to stop, and note by which signal; a second one ends it at once.

    Inside a running event loop.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def on(number: signal.Signals) -> None:
        if received:  # whoever asks twice does not want to wait for the page at hand; its lease will lapse
            raise SystemExit(INTERRUPTED)
        received.append(number)
        act()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, on, number)
    try:
        yield received
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
