"""The `/chat/completions` half of an OpenAI-compatible endpoint, with the differences between servers found out.

https://platform.openai.com/docs/api-reference/chat. Newer models want `max_completion_tokens`, other servers know
`max_tokens` alone, and some models take no temperature: what a server refuses is left out or named otherwise from then
on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atom_backfill.llm.endpoint import Endpoint, Posted, RequestRefusedError
from atom_backfill.llm.reply import Finish, Reply

_TOO_LONG = ("context_length_exceeded", "maximum context length")
_OTHER_LIMIT = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}
_ADJUSTMENTS = 3
_MOST_TOKENS = 2**31


class OpenAIChat:
    """Asks one model of one endpoint."""

    def __init__(self, endpoint: Endpoint, model: str) -> None:
        self.model = model
        self._endpoint = endpoint
        self._limit = "max_completion_tokens"
        self._settings: dict[str, Any] = {"temperature": 0}

    async def complete(
        self, messages: Sequence[Mapping[str, str]], response_format: Mapping[str, Any] | None, most_tokens: int
    ) -> Reply:
        """Ask once. `most_tokens`: of the answer. Raises what `Endpoint.post` raises."""
        asked: dict[str, Any] = {"model": self.model, "messages": list(messages)}
        if response_format is not None:
            asked["response_format"] = dict(response_format)
        for _ in range(_ADJUSTMENTS):
            try:
                sent = asked | self._settings | {self._limit: most_tokens}
                return self._read(await self._endpoint.post("/chat/completions", sent, self.model))
            except RequestRefusedError as refused:
                if refused.about in _TOO_LONG:
                    return Reply("", Finish.TOO_LONG, 0, 0)
                if not self._adjust(refused.about):
                    raise
        raise RequestRefusedError(self._endpoint.host, "max_tokens")

    def _adjust(self, about: str) -> bool:
        """Ask otherwise from now on; False where that is no remedy."""
        if about == self._limit:
            self._limit = _OTHER_LIMIT[self._limit]
            return True
        return self._settings.pop(about, None) is not None

    def _read(self, posted: Posted) -> Reply:
        answer, headers = posted.json, posted.headers
        try:
            choice = answer["choices"][0]
            message, ended = choice["message"], choice.get("finish_reason")
            text, refusal = message.get("content"), message.get("refusal")
        except (TypeError, KeyError, IndexError, AttributeError):
            if isinstance(answer, dict) and answer.get("choices") == []:
                return Reply("", Finish.EMPTY, *_usage(answer), headers)
            raise self._endpoint.unreadable() from None
        if not isinstance(text, str | None):
            raise self._endpoint.unreadable()
        return Reply(text or "", _finish(text or "", ended, refusal), *_usage(answer), headers)


def _finish(text: str, ended: object, refusal: object) -> Finish:
    if refusal or ended == "content_filter":
        return Finish.REFUSED
    if ended == "length":
        return Finish.CUT_OFF
    return Finish.WHOLE if text.strip() else Finish.EMPTY


def _usage(answer: Mapping[str, Any]) -> tuple[int | None, int | None]:
    usage = answer.get("usage")
    told = usage if isinstance(usage, dict) else {}
    counts = [told.get(name) for name in ("prompt_tokens", "completion_tokens")]
    read = [count if type(count) is int and 0 <= count < _MOST_TOKENS else None for count in counts]
    return read[0], read[1]
