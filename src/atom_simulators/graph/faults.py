"""Faults that the Graph simulator knows, and how each reaches the client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..scenario import Fault, Grammar, Script
from ..serving import close, reset
from .errors import GraphError
from .limits import throttled, wait_text
from .mailbox import Mailbox

Send = Callable[[dict[str, Any]], Awaitable[None]]

_LISTS = frozenset({"messages", "folders", "delta"})
_STATUS = {"retry_after": "number", "body": "text"}
_PAGE: dict[str, str] = {}
GRAMMAR = Grammar(
    operations=frozenset({"messages", "message", "count", "folders", "delta", "batch", "token"}),
    details={
        "429": _STATUS,
        "500": _STATUS,
        "502": _STATUS,
        "503": _STATUS,
        "504": _STATUS,
        "hang": {"seconds": "number"},
        "slow": {"seconds": "number"},
        "reset": {},
        "truncate": {},
        "badjson": {},
        "empty_page": _PAGE,
        "dup": _PAGE,
        "loop_next": _PAGE,
        "lost_next": _PAGE,
        "evil_next": {"url": "text"},
        "expire_token": {},
        "corrupt_item": {"id!": "text"},
    },
    only_on={
        **dict.fromkeys(("empty_page", "dup", "loop_next", "lost_next", "evil_next"), _LISTS),
        "corrupt_item": frozenset({"messages", "message", "delta", "batch"}),
    },
)
# A part of a batch has no connection of its own to break.
OF_CONNECTIONS = frozenset({"hang", "slow", "reset", "truncate", "badjson"})
NEVER_BY_CALL = frozenset({"corrupt_item"})
_SLOW_PIECES = 20
_HTML = "<html><head><title>Error</title></head><body><h1>Our services aren't available right now</h1></body></html>"


def status_error(fault: Fault | None) -> GraphError | None:
    """The error that a fault of a status is answered by."""
    if fault is None or not fault.kind.isdecimal():
        return None
    retry_after = fault.details.get("retry_after")
    seconds = float(retry_after) if isinstance(retry_after, int | float) else None
    if fault.kind == "429":
        return throttled("MailboxConcurrency", seconds, inner=False)
    code, message = {
        "500": ("InternalServerError", "Error while processing response."),
        "502": ("UnknownError", ""),
        "503": ("serviceNotAvailable", "The service is temporarily unavailable."),
        "504": ("UnknownError", ""),
    }[fault.kind]
    headers = {} if seconds is None else {"Retry-After": wait_text(seconds)}
    return GraphError(int(fault.kind), code, message, headers)


def gateway_body(fault: Fault | None) -> bytes | None:
    """What a gateway says in place of JSON, where the fault asks for it (`body`: `html` or `empty`)."""
    wanted = fault.text("body") if fault is not None else ""
    return {"html": _HTML.encode(), "empty": b""}.get(wanted)


def corrupt_items(script: Script, operation: str, mailbox: Mailbox) -> dict[str, Fault]:
    """The messages whose content cannot be had at present, by immutable id."""
    found = ((mailbox.find(fault.text("id")), fault) for fault in script.standing("corrupt_item", operation))
    return {entry.id: fault for entry, fault in found if entry is not None}


async def deliver(
    send: Send,
    start: dict[str, Any],
    body: bytes,
    fault: Fault | None,
    transport: asyncio.Transport | None,
    gone: Callable[[float], Awaitable[None]],
) -> None:
    """Send an answer, or what a fault leaves of it. `gone(seconds)` waits until the client left, or that long."""
    kind = fault.kind if fault is not None else ""
    if fault is not None and kind == "hang":
        await gone(fault.seconds(60.0))
        close(transport)
    # Half a body under the length of the whole, so that a client can tell.
    elif kind == "reset":
        await send(start)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        reset(transport)
    elif kind == "truncate":
        await send(start)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        close(transport)
    elif fault is not None and kind == "slow":
        await _dribble(send, start, body, fault.seconds(5.0), gone)
    else:
        await send(start)
        await send({"type": "http.response.body", "body": body})


def is_silent(fault: Fault | None) -> bool:
    """Whether no answer reaches the client at all."""
    return fault is not None and fault.kind in ("hang", "reset")


def broken_json(body: bytes) -> bytes:
    """An answer that stops in the middle, under an honest Content-Length."""
    return body[: len(body) * 2 // 3] if body.startswith(b"{") else b'{"value": ['


async def _dribble(
    send: Send, start: dict[str, Any], body: bytes, seconds: float, gone: Callable[[float], Awaitable[None]]
) -> None:
    await send(start)
    size = -(-len(body) // _SLOW_PIECES) or 1
    for number in range(_SLOW_PIECES):
        await gone(seconds / _SLOW_PIECES)
        piece = body[number * size : (number + 1) * size]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
