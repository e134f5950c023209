"""One OpenAI-compatible server, called with one key: what is sent, and what each refusal means.

https://platform.openai.com/docs/guides/error-codes; local servers (Ollama, vLLM, llama.cpp) speak nearly the same.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from atom_backfill.clock import Clock
from atom_backfill.errors import AtomError, BugError, KeyNeededError, NeedsOwnerError, RetryLaterError
from atom_backfill.http import Answer, HttpClient, read_json, retry_after

CALL_SECONDS = 90.0
"""What the HttpClient handed over should be limited to."""
DEFAULT_WAIT_S = 10.0
"""After a 429 that does not say how long."""

Key = Callable[[], Awaitable[str]]
"""Asks the vault for the key at each call; "" for servers that want none."""


class RequestRefusedError(BugError):
    """The server refuses a request for what stands in it: 400 and its like. `about`: its parameter, or its own code."""

    def __init__(self, host: str, about: str) -> None:
        super().__init__("request_refused", f"{host} refuses what it was asked.", detail=about)
        self.about = about


@dataclass(frozen=True, slots=True)
class Posted:
    """What came back: the JSON, and the headers by lower-case name."""

    json: Any
    headers: Mapping[str, str]


class Endpoint:
    """A base URL and a key. `fix` is what a person does about the key, for the ends of sentences."""

    def __init__(self, http: HttpClient, *, key: Key, fix: str, clock: Clock) -> None:
        self.host = http.base.host
        self._http = http
        self._key = key
        self._fix = fix
        self._clock = clock

    async def post(self, path: str, asked: Mapping[str, Any], model: str) -> Posted:
        """Send JSON and return the JSON that comes back.

        Raises KeyNeededError and NeedsOwnerError for what a person has to set right, RetryLaterError for what passes
        (`model_throttled` among it, with `after`), and RequestRefusedError.
        """
        key = await self._key()
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        answer = await self._http.send("POST", path, headers=headers, content=json.dumps(asked).encode())
        if answer.status != 200:
            raise self._refusal(answer, model)
        return Posted(read_json(answer.body, self.host), answer.headers)

    def unreadable(self) -> RetryLaterError:
        """Say that an answer of status 200 is not of the documented shape."""
        return RetryLaterError("bad_answer", f"{self.host} sent an answer that cannot be read.")

    def _refusal(self, answer: Answer, model: str) -> AtomError:
        said = _error(answer, self.host)
        if answer.status in (401, 403):
            return KeyNeededError("key_rejected", f"{self.host} refuses the key: {self._fix}.")
        # 402 is said by servers that sell the models of others.
        if answer.status == 402 or (
            answer.status == 429 and "insufficient_quota" in (said.get("code"), said.get("type"))
        ):
            return NeedsOwnerError("quota_used_up", f"The account behind the key has no credit left at {self.host}.")
        if answer.status == 404:
            return NeedsOwnerError("no_such_model", f"{self.host} knows no {model}: check the base URL and the model.")
        if answer.status == 429:
            after = retry_after(answer.headers, self._clock.now())
            wait = DEFAULT_WAIT_S if after is None else after
            return RetryLaterError("model_throttled", f"{self.host} asks to wait.", after=wait)
        if answer.status in (408, 409, 425) or answer.status >= 500:
            after = retry_after(answer.headers, self._clock.now())
            return RetryLaterError("model_unavailable", f"{self.host} answered {answer.status}.", after=after)
        return RequestRefusedError(self.host, _about(said))


def _error(answer: Answer, host: str) -> dict[str, Any]:
    try:
        body = read_json(answer.body, host)
    except RetryLaterError:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {"message": error if isinstance(error, str) else ""}


def _about(said: Mapping[str, Any]) -> str:
    """Name what was refused, by the words of ours that the refusal has in it: what a server writes is not handed on."""
    for told in (said.get("code"), said.get("param"), said.get("message")):
        for word in _WORDS:
            if isinstance(told, str) and word in told:
                return word
    return ""


_WORDS = (
    "context_length_exceeded",
    "maximum context length",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "pattern",
    "response_format",
    "json_schema",
    "json_object",
    "format",
)
