"""HTTP in front of the service: an ASGI application."""

import gzip
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from ..serving import Connections, Receive, Send, client_of, read_body, serving_application, waiter
from . import control, discovery, faults
from .aadsts import SignInError
from .journal import Ticket
from .service import Service, diagnostic
from .wire import JSON, Answer, Call

_WORTH_PACKING = 512


class Application:
    """The ASGI application of one simulator."""

    def __init__(self, service: Service, connections: Connections) -> None:
        self._service = service
        self._connections = connections

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request (the lifespan protocol is not spoken: uvicorn is told so)."""
        service = self._service
        started, at = service.clocks.monotonic(), service.clocks.now()
        body = await read_body(receive)
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
            transport = self._connections.find(client_of(scope))
            await faults.deliver(send, _start(answer, packed), packed, ticket.fault, transport, waiter(receive))
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
    connections = Connections()
    async with serving_application(Application(service, connections), connections, host, port) as url:
        yield url


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
