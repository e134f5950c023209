"""HTTP in front of the service, and the simulator's own surface below `/_simulator`."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from ..scenario import Fault, ScenarioError, Script, parse_faults
from ..serving import Connections, Receive, Send, client_of, close, read_body, reset, serving_application, waiter
from . import faults
from .service import Reply, Service


class Application:
    """The ASGI application of one simulator."""

    def __init__(self, service: Service, connections: Connections) -> None:
        self._service = service
        self._connections = connections

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request (the lifespan protocol is not spoken: uvicorn is told so)."""
        body = await read_body(receive)
        method, path = scope["method"], scope["path"].rstrip("/") or "/"
        if path.startswith("/_simulator"):
            await _send(send, _control(self._service, method, path, scope["query_string"].decode("latin-1"), body))
            return
        if body is None:
            await _send(send, _json(413, {"error": {"message": "Request too large", "type": "invalid_request_error"}}))
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        gone = waiter(receive)

        async def wait(seconds: float) -> bool:
            # A wait that took less than it should was cut short by the client.
            clock = asyncio.get_running_loop()
            started = clock.time()
            await gone(seconds)
            return clock.time() - started < seconds * 0.9

        reply = await self._service.answer(method, path, headers, body, wait)
        if not reply.left:
            transport = self._connections.find(client_of(scope))
            await _deliver(send, reply, transport, gone)


async def _deliver(send: Send, reply: Reply, transport: Any, gone: Callable[[float], Any]) -> None:
    fault: Fault | None = reply.fault
    if fault is not None and fault.kind == "hang":
        await gone(fault.seconds(600.0))
        close(transport)
    elif fault is not None and fault.kind == "reset":
        # Half a body under the length of the whole, so that a client can tell.
        await send(_start(reply))
        await send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})
        reset(transport)
    else:
        await _send(send, reply)


async def _send(send: Send, reply: Reply) -> None:
    await send(_start(reply))
    await send({"type": "http.response.body", "body": reply.body})


def _start(reply: Reply) -> dict[str, Any]:
    headers = {"content-type": reply.content_type, **reply.headers, "content-length": str(len(reply.body))}
    return {
        "type": "http.response.start",
        "status": reply.status,
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
    }


def _control(service: Service, method: str, path: str, query: str, body: bytes | None) -> Reply:
    """`/_simulator/…`, which asks for no key; a refusal is `{"error": sentence}`."""
    match [method, *path.strip("/").split("/")[1:]]:
        case ["GET", "calls"]:
            asked = dict(part.split("=", 1) for part in query.split("&") if "=" in part)
            since, limit = asked.get("since", "0"), asked.get("limit", "")
            if not since.isdecimal() or (limit and not limit.isdecimal()):
                return _json(400, {"error": "since and limit are whole numbers"})
            return _json(200, service.ledger.shown(int(since), int(limit) if limit else None))
        case ["PUT", "faults"]:
            try:
                service.script = Script(parse_faults(json.loads(body or b""), faults.GRAMMAR))
            except (ValueError, ScenarioError) as error:
                return _json(400, {"error": str(error)})
            return _json(200, {"faults": len(service.script.faults)})
        case _:
            return _json(404, {"error": "there is no such control; see docs/howto/simulate-llm.md"})


def _json(status: int, document: object) -> Reply:
    return Reply(status, json.dumps(document).encode())


@asynccontextmanager
async def serving(service: Service, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve until the block ends; gives the server's root URL. Port 0 takes a free one. Raises OSError."""
    connections = Connections()
    async with serving_application(Application(service, connections), connections, host, port) as url:
        yield url
