"""An HTTP server for simulators: uvicorn that runs inside a block, and connections that a fault can break."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Peer = tuple[str, int]

_LARGEST_BODY = 4 * 1024 * 1024


class Connections:
    """The open transports by the client's address, so that a fault can break one."""

    def __init__(self) -> None:
        self._open: dict[Peer, asyncio.Transport] = {}

    def find(self, peer: Peer | None) -> asyncio.Transport | None:
        """The transport of a client."""
        return self._open.get(peer) if peer is not None else None

    def protocol(self) -> type[H11Protocol]:
        """A protocol class that keeps this table."""
        table = self._open

        class Protocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                table[_peer(transport)] = transport
                # asyncio sets it on sockets it made itself only; without it each answer waits 40 ms.
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                table.pop(_peer(self.transport), None)
                super().connection_lost(exc)

        return Protocol


@asynccontextmanager
async def serving_application(
    application: Application, connections: Connections, host: str, port: int
) -> AsyncIterator[str]:
    """Serve until the block ends; gives the server's root URL. Port 0 takes a free one. Raises OSError."""
    with socket.create_server((host, port), backlog=512) as listener:
        running = _Server(_config(application, connections))
        async with asyncio.TaskGroup() as group:
            group.create_task(running.serve(sockets=[listener]))
            await running.ready.wait()
            try:
                yield f"http://{host}:{listener.getsockname()[1]}"
            finally:
                running.stop()


def client_of(scope: MutableMapping[str, Any]) -> Peer | None:
    """The client's address in a request."""
    client = scope.get("client")
    return (str(client[0]), int(client[1])) if client else None


async def read_body(receive: Receive) -> bytes | None:
    """The request's body, None where it is larger than allowed."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _LARGEST_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def waiter(receive: Receive) -> Callable[[float], Awaitable[None]]:
    """A way to wait that ends early when the client leaves."""

    async def gone(seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            pass

    return gone


def close(transport: asyncio.Transport | None) -> None:
    """Close a client's connection."""
    if transport is not None:
        transport.close()


def reset(transport: asyncio.Transport | None) -> None:
    """Break a client's connection with RST."""
    if transport is None:
        return
    raw: socket.socket = transport.get_extra_info("socket")
    # With no time to linger, closing sends RST in place of FIN.
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class _Server(uvicorn.Server):
    """A server that says when it is ready, and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Let the server end."""
        self.should_exit = True
        self._stopped.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        tick = 0
        # Ticks keep the Date header true; between them a stop is noticed at once.
        while not await self.on_tick(tick):
            tick = (tick + 1) % 864_000
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        # Answers under way have a second; one that hangs on purpose must not hold up the end.
        if self.server_state.tasks:
            _, late = await asyncio.wait(self.server_state.tasks, timeout=1)
            for task in late:
                task.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(application: Application, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=connections.protocol(),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


def _peer(transport: asyncio.BaseTransport) -> Peer:
    host, port = transport.get_extra_info("peername")[:2]
    return (str(host), int(port))
