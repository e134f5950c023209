"""A TCP proxy that breaks what it forwards when it is told to.

- `latency`: each piece, either way, comes a fifth of a second late.
- `reset`: open connections are reset (RST), and whoever connects meanwhile is reset too.
- `half_open`: the peers of the connections that are open lose each other without a FIN. The client is never told; the
  server's side is reset when the time is over, as its keepalive would do.
- `cut`: each connection ends (FIN) once the server has sent `size` more bytes.
- `black_hole`: nothing passes and whoever connects is accepted, for a time; what was held back comes afterwards.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

LATE_S = 0.2
PIECE = 65_536

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Stream]]


@dataclass(eq=False, slots=True)
class _Link:
    """A client's connection with its server's. `left`: bytes that may still come from the server; None: any number."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    severed: bool = False
    left: int | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Proxy:
    """Stands before one server while the block lasts. `lag_s`: seconds that each request always takes."""

    def __init__(self, connect: Connect, *, lag_s: float = 0.0) -> None:
        self._connect = connect
        self._lag_s = lag_s
        self._links: set[_Link] = set()
        self._kind = ""
        self._size = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._over: asyncio.Task[None] | None = None
        self._others: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        tasks = [*self._others, *(task for link in self._links for task in link.tasks)]
        for task in (self._over, *tasks):
            if task is not None:
                task.cancel()
        for link in self._links:
            _drop(link.client, link.server)
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def calm(self) -> bool:
        """Whether nothing strikes at present; a half-open connection is over only when its client has found out."""
        return not self._kind and not any(link.severed for link in self._links)

    def strike(self, kind: str, seconds: float, size: int = 0) -> None:
        """Let something strike for so long; what struck before is over. Raises ValueError for what is not known."""
        if kind not in ("latency", "reset", "half_open", "cut", "black_hole"):
            raise ValueError(f"a connection does not know {kind!r}")
        self.heal()
        self._kind, self._size = kind, size
        if kind == "black_hole":
            self._flowing.clear()
        for link in self._links:
            if kind == "reset":
                _reset(link.client, link.server)
            elif kind == "half_open":
                link.severed = True
                self._later(self._notice(link, seconds))
            elif kind == "cut":
                link.left = size
        if kind == "half_open":
            self._kind = ""  # who connects from now on gets through
        else:
            self._over = asyncio.create_task(self._end_after(seconds))

    def heal(self) -> None:
        """End what strikes at present; half-open connections stay what they are."""
        if self._over is not None:
            self._over.cancel()
            self._over = None
        self._kind = ""
        self._flowing.set()
        for link in self._links:
            link.left = None

    async def _end_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._over = None
        self.heal()

    def _later(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def _notice(self, link: _Link, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            _reset(link.server)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, left=self._size if self._kind == "cut" else None)
        self._links.add(link)
        task = asyncio.current_task()
        assert task is not None
        link.tasks.append(task)
        try:
            if self._kind == "reset":
                _reset(writer)
                return
            await self._flowing.wait()
            there, link.server = await self._connect()
            link.tasks.append(asyncio.create_task(self._pump(there, writer, link, down=True)))
            await self._pump(reader, link.server, link, down=False)
            if not link.severed:
                await asyncio.gather(*link.tasks[1:])
        except OSError:
            pass  # the server is away
        except asyncio.CancelledError:
            pass  # the proxy is closed
        finally:
            for other in link.tasks[1:]:
                other.cancel()
            _drop(writer, None if link.severed else link.server)
            self._links.discard(link)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link, *, down: bool) -> None:
        """Pass pieces on until one side ends."""
        with suppress(ConnectionError, TimeoutError):
            while piece := await source.read(PIECE):
                if not await self._pass(piece, sink, link, down=down):
                    return
        if down and link.severed:
            await asyncio.Event().wait()  # the client never hears of it
        with suppress(OSError, RuntimeError):
            if not link.severed and sink.can_write_eof():
                sink.write_eof()
            elif not link.severed:
                sink.close()

    async def _pass(self, piece: bytes, sink: asyncio.StreamWriter, link: _Link, *, down: bool) -> bool:
        """Pass a piece on, or what is left of it; False where the connection has ended by that."""
        if not down and self._lag_s:
            await asyncio.sleep(self._lag_s)
        if self._kind == "latency":
            await asyncio.sleep(LATE_S)
        await self._flowing.wait()
        if link.severed:
            return True
        if down and link.left is not None:
            piece, cut = piece[: link.left], len(piece) >= link.left
            link.left -= len(piece)
            if cut:
                sink.write(piece)
                _drop(link.client, link.server)
                return False
        sink.write(piece)
        await sink.drain()
        return True


def _reset(*writers: asyncio.StreamWriter | None) -> None:
    """End connections by RST."""
    for writer in writers:
        if writer is not None:
            with suppress(OSError):
                there = writer.get_extra_info("socket")
                there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


def _drop(*writers: asyncio.StreamWriter | None) -> None:
    """End connections by FIN."""
    for writer in writers:
        if writer is not None:
            with suppress(OSError, RuntimeError):
                writer.close()
