"""`$batch`: up to 20 requests in one, each answered on its own."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import GraphError, bad_request
from .wire import Answer, Call, split_target

Perform = Callable[[Call], Awaitable[Answer]]
_MOST = 20
# Outlook works on so many parts of a batch at once.
_AT_ONCE = 4
_INHERITED = ("authorization", "host")


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch; `after` are the keys of the parts that must have succeeded."""

    id: str
    call: Call
    after: tuple[str, ...]

    @property
    def key(self) -> str:
        """Ids of parts are told apart without regard to case."""
        return self.id.casefold()


async def run(call: Call, perform: Perform) -> Answer:
    """Answer a batch. Raises GraphError (400) where it is refused as a whole."""
    parts = _read(call)
    gate = asyncio.Semaphore(_AT_ONCE)
    done = {part.key: asyncio.get_running_loop().create_future() for part in parts}

    async def one(part: Part) -> dict[str, Any]:
        statuses = [await done[name] for name in part.after]
        if any(status >= 400 for status in statuses):
            answer = _failed_dependency()
        else:
            async with gate:
                answer = await perform(part.call)
        done[part.key].set_result(answer.status)
        return _response(part.id, answer)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(part)) for part in parts]
    # Answers come in any order; the real service was seen to reverse them.
    return Answer(content={"responses": [task.result() for task in reversed(tasks)]})


def _read(call: Call) -> list[Part]:
    try:
        document = json.loads(call.body)
    except ValueError:
        raise bad_request("Invalid batch payload format.") from None
    requests = document.get("requests") if isinstance(document, dict) else None
    if not isinstance(requests, list) or not requests:
        raise bad_request("Invalid batch payload format.")
    if len(requests) > _MOST:
        raise GraphError(
            400,
            "MaximumValueExceeded",
            f"Number of batch request steps exceeds the maximum value of {_MOST}.",
        )
    parts: list[Part] = []
    seen: set[str] = set()
    for request in requests:
        part = _part(call, request)
        if part.key in seen:
            raise bad_request(f"Request Id {part.id} has to be unique in a batch.")
        # A part may wait only for parts before it, so that none wait for one another.
        if not seen.issuperset(part.after):
            raise bad_request("Invalid batch payload format.")
        seen.add(part.key)
        parts.append(part)
    return parts


def _part(outer: Call, request: object) -> Part:
    if not isinstance(request, dict):
        raise bad_request("Invalid batch payload format.")
    name, method, url = request.get("id"), request.get("method"), request.get("url")
    if not (isinstance(name, str) and name and isinstance(method, str) and isinstance(url, str)):
        raise bad_request("Invalid batch payload format.")
    after = request.get("dependsOn", [])
    headers = request.get("headers", {})
    if not isinstance(after, list) or not isinstance(headers, dict):
        raise bad_request("Invalid batch payload format.")
    path, query = split_target(url)
    call = Call(
        method=method.upper(),
        origin=outer.origin,
        path="/v1.0/" + path.lstrip("/"),
        query_text=query,
        headers=_headers(outer.headers, headers),
        body=json.dumps(request["body"]).encode() if "body" in request else b"",
    )
    return Part(name, call, tuple(str(one).casefold() for one in after))


def _headers(outer: Mapping[str, str], own: Mapping[Any, Any]) -> dict[str, str]:
    inherited = {key: outer[key] for key in _INHERITED if key in outer}
    return {**inherited, **{str(key).lower(): str(value) for key, value in own.items()}}


def _response(name: str, answer: Answer) -> dict[str, Any]:
    kind = answer.content_type.replace(";", "; ")
    headers = {"Cache-Control": "private", "Content-Type": kind, **answer.headers}
    body = answer.content
    # The answer as a whole is JSON: what is not travels as base64.
    if answer.raw is not None:
        body = base64.b64encode(answer.raw).decode()
    return {"id": name, "status": answer.status, "headers": headers, "body": body}


def _failed_dependency() -> Answer:
    error = {"code": "FailedDependency", "message": "Failed Dependency"}
    return Answer(424, content={"error": error})
