"""HTTP in front of the service: an ASGI application, and the server that runs it."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import control, discovery, faults
from .aadsts import SignInError
from .journal import Ticket
from .service import Service, diagnostic
from .wire import JSON, Answer, Call

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Peer = tuple[str, int]

_LARGEST_BODY = 4 * 1024 * 1024
_WORTH_PACKING = 512


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


class Application:
    """The ASGI application of one simulator."""

    def __init__(self, service: Service, connections: Connections) -> None:
        self._service = service
        self._connections = connections

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request (the lifespan protocol is not spoken: uvicorn is told so)."""
        service = self._service
        started, at = service.clocks.monotonic(), service.clocks.now()
        body = await _body(receive)
        if body is None:
            await send(_start(Answer(413), b""))
            await send({"type": "http.response.body"})
            return
        call = _call(scope, body)
        request_id = service.clocks.new_id()
        ticket = Ticket(request_id, call.headers.get("client-request-id", request_id))
        status = 0
        try:
            answer = await self._answer(call, ticket)
            status = 0 if faults.is_silent(ticket.fault) else answer.status
            packed = _pack(answer, call.headers.get("accept-encoding", ""))
            transport = self._connections.find(_client(scope))
            await faults.deliver(send, _start(answer, packed), packed, ticket.fault, transport, _waiter(receive))
        finally:
            service.leave(ticket)
            if not call.path.startswith("/_sim"):
                seconds = service.clocks.monotonic() - started
                service.journal.record(ticket, call.method, call.path, call.query_text, status, at, seconds)

    async def _answer(self, call: Call, ticket: Ticket) -> Answer:
        segments = call.segments
        if segments[0] == "_sim":
            return control.answer(self._service, call)
        lower = [part.lower() for part in segments]
        match [call.method, *lower]:
            case ["GET", _, "v2.0", ".well-known", "openid-configuration"]:
                return discovery.openid_configuration(call, segments[0], self._service.quirks)
            case ["GET", "common", "discovery", "instance"]:
                return discovery.instance(call)
            case ["GET", _, "discovery", "v2.0", "keys"]:
                return Answer(content={"keys": []}, content_type=JSON)
            case [_, _, "oauth2", "v2.0", what]:
                return self._sign_in(call, segments[0], what, ticket)
        answer = await self._service.answer(call, ticket)
        answer.headers.setdefault("OData-Version", "4.0")
        answer.headers.setdefault("x-ms-ags-diagnostic", diagnostic())
        return answer

    def _sign_in(self, call: Call, tenant: str, what: str, ticket: Ticket) -> Answer:
        service = self._service
        try:
            match [call.method, what]:
                case ["POST", "token"]:
                    return self._token(call, tenant, ticket)
                case ["POST", "devicecode"]:
                    return service.sign_in.device_code(call, tenant)
                case ["GET", "authorize"]:
                    return service.sign_in.authorize(call, tenant)
                case _:
                    return Answer(404, raw=b"", content_type="text/html")
        except SignInError as error:
            correlation = call.headers.get("client-request-id", ticket.request_id)
            return error.answer(service.clocks.now(), ticket.request_id, correlation)

    def _token(self, call: Call, tenant: str, ticket: Ticket) -> Answer:
        service = self._service
        ticket.operation = "token"
        ticket.fault = service.script.call("token", leave=faults.NEVER_BY_CALL)
        error = faults.status_error(ticket.fault)
        if error is not None:
            answer = SignInError(90033).answer(service.clocks.now(), ticket.request_id, ticket.client_request_id)
            raw = faults.gateway_body(ticket.fault)
            return Answer(error.status, answer.content, raw, dict(error.headers), JSON)
        answer = service.sign_in.token(call, tenant)
        kind = ticket.fault.kind if ticket.fault is not None else ""
        if kind == "expire_token":
            spoilt = service.tokens.check(f"Bearer {answer.content['access_token']}", call.origin)
            service.tokens.end(spoilt, call.origin)
        if kind == "badjson":
            answer.raw = faults.broken_json(answer.encoded())
        answer.headers.update({"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"})
        return answer


@asynccontextmanager
async def serving(service: Service, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve until the block ends; gives the server's root URL. Port 0 takes a free one. Raises OSError."""
    with socket.create_server((host, port), backlog=512) as listener:
        running = _Server(_config(service))
        async with asyncio.TaskGroup() as group:
            group.create_task(running.serve(sockets=[listener]))
            await running.ready.wait()
            try:
                yield f"http://{host}:{listener.getsockname()[1]}"
            finally:
                running.stop()


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


def _config(service: Service) -> uvicorn.Config:
    connections = Connections()
    return uvicorn.Config(
        Application(service, connections),
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


def _client(scope: MutableMapping[str, Any]) -> Peer | None:
    client = scope.get("client")
    return (str(client[0]), int(client[1])) if client else None


async def _body(receive: Receive) -> bytes | None:
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


def _call(scope: MutableMapping[str, Any], body: bytes) -> Call:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Call(
        method=scope["method"],
        origin=f"{scope['scheme']}://{headers.get('host', 'localhost')}",
        path=scope["raw_path"].decode("latin-1"),
        query_text=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
    )


def _pack(answer: Answer, accepted: str) -> bytes:
    body = answer.encoded()
    if "gzip" in accepted.lower() and len(body) >= _WORTH_PACKING:
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Vary"] = "Accept-Encoding"
        return gzip.compress(body, compresslevel=1)
    return body


def _start(answer: Answer, body: bytes) -> dict[str, Any]:
    headers = {
        "Cache-Control": "no-cache",
        "Content-Type": answer.content_type,
        **answer.headers,
        "Content-Length": str(len(body)),
    }
    return {
        "type": "http.response.start",
        "status": answer.status,
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
    }


def _waiter(receive: Receive) -> Callable[[float], Awaitable[None]]:
    """A way to wait that ends early when the client leaves."""

    async def gone(seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            pass

    return gone
