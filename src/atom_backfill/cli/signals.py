"""What long commands do when they are told to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

INTERRUPTED = 130
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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


@contextmanager
def stopping() -> Iterator[Stopping]:
    """Have SIGINT, SIGTERM and SIGHUP interrupt only where `Stopping` says, so that nothing is left half cleaned up.

    Raises KeyboardInterrupt at the end where one came that has not been told of yet.
    """
    signals = Stopping()
    before = {number: signal.signal(number, signals.receive) for number in _STOPPING}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    signals.tell()


class Stopping:
    """Signals that were received, and what the next one is to do."""

    def __init__(self) -> None:
        self._received = False
        self._act: Callable[[], object] | None = None

    def receive(self, *_: object) -> None:
        """Take in a signal. Whoever is cleaning up already is not disturbed by more of them."""
        if not self._received:
            self._received = True
            if self._act:
                self._act()

    def tell(self) -> None:
        """Raise KeyboardInterrupt where a signal came."""
        if self._received:
            raise KeyboardInterrupt

    @contextmanager
    def calling(self, act: Callable[[], object]) -> Iterator[None]:
        """Call `act` when a signal comes, or has come already; it ends what is done here. Raises KeyboardInterrupt."""
        self._act = act
        try:
            if self._received:
                act()
            yield
        finally:
            self._act = None
            self.tell()

    def run(self, action: Coroutine[Any, Any, T]) -> T:
        """Run one action to its end; a signal cancels it. Raises KeyboardInterrupt once it has cleaned up."""
        import asyncio

        async def cancellable() -> T:
            loop, task = asyncio.get_running_loop(), asyncio.ensure_future(action)
            # Not `task.cancel` alone, since the loop may be asleep.
            with self.calling(lambda: loop.call_soon_threadsafe(task.cancel)):
                return await task

        return asyncio.run(cancellable())
