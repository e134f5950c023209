"""What the simulators have in common as programs: how they refuse arguments, say where they are, and end when told."""

import argparse
import asyncio
import json
import signal
import sys
from contextlib import AbstractAsyncContextManager
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence; argparse's own would print all options before it."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


async def serve_until_told(serving: AbstractAsyncContextManager[str]) -> None:
    """Print where the server is as one JSON line, and serve until SIGINT or SIGTERM. Raises OSError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with serving as url:
        sys.stdout.write(json.dumps({"url": url}) + "\n")
        sys.stdout.flush()
        await stop.wait()
