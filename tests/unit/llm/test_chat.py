"""The `/chat/completions` client: what is sent, and what each answer becomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from atom_backfill.errors import AtomError, KeyNeededError, NeedsOwnerError, RetryLaterError
from atom_backfill.http import HttpClient
from atom_backfill.llm.chat import OpenAIChat
from atom_backfill.llm.endpoint import DEFAULT_WAIT_S, Endpoint, RequestRefusedError
from atom_backfill.llm.reply import Finish, Reply
from fakes.clock import FakeClock

KEY, SECRET_WORDS = "sk-for-tests", "the harbour sale"
MESSAGES = [{"role": "user", "content": SECRET_WORDS}]


def answered(content: object = "{}", *, ended: str = "stop", **about: object) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": ended, "message": {"role": "assistant", "content": content, **about}}
    return {"choices": [choice], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}


def refused(message: str, *, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code, "param": param}}


class Asking:
    """A client and what its server was sent; the server gives these answers in turn."""

    def __init__(self, answers: Sequence[tuple[int, object]], *, key: str = KEY, headers: dict[str, str] | None = None):
        self.sent: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self._answers = list(answers)
        self._headers = headers or {}
        self._http = HttpClient("https://models.example/v1", transport=httpx.MockTransport(self._answer))

        async def stored() -> str:
            return key

        endpoint = Endpoint(self._http, key=stored, fix="set another one", clock=FakeClock())
        self.chat = OpenAIChat(endpoint, "small-model")

    async def ask(self, response_format: dict[str, Any] | None = None) -> Reply:
        return await self.chat.complete(MESSAGES, response_format, 100)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(json.loads(request.content))
        self.authorizations.append(request.headers.get("authorization"))
        status, body = self._answers.pop(0)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content, headers=self._headers)


async def test_a_question_is_sent_with_its_form_its_limit_and_the_key() -> None:
    asking = Asking([(200, answered('{"u":[]}'))])
    assert await asking.ask({"type": "json_object"}) == Reply('{"u":[]}', Finish.WHOLE, 12, 3)
    assert asking.sent == [
        {
            "model": "small-model",
            "messages": MESSAGES,
            "response_format": {"type": "json_object"},
            "temperature": 0,
            "max_completion_tokens": 100,
        }
    ]
    assert asking.authorizations == [f"Bearer {KEY}"]


async def test_a_server_that_wants_no_key_gets_none() -> None:
    asking = Asking([(200, answered())], key="")
    await asking.ask()
    assert asking.authorizations == [None]


async def test_what_a_server_does_not_know_is_asked_otherwise_from_then_on() -> None:
    asking = Asking(
        [
            (400, refused("Unsupported parameter: 'max_completion_tokens'.", param="max_completion_tokens")),
            (400, refused("Unsupported value: 'temperature' does not support 0.", param="temperature")),
            (200, answered()),
            (200, answered()),
        ]
    )
    await asking.ask()
    await asking.ask()
    for sent in asking.sent[2:]:
        assert (sent["max_tokens"], "temperature" in sent, "max_completion_tokens" in sent) == (100, False, False)


async def test_a_server_that_takes_no_limit_at_all_is_given_up() -> None:
    asking = Asking([(400, refused(f"{name} is not known")) for name in ("max_completion_tokens", "max_tokens") * 2])
    with pytest.raises(RequestRefusedError):
        await asking.ask()
    assert len(asking.sent) == 3


@pytest.mark.parametrize(
    ("answer", "finish"),
    [
        (answered("half an ans", ended="length"), Finish.CUT_OFF),
        (answered("", ended="content_filter"), Finish.REFUSED),
        (answered(None, refusal="I cannot help with that."), Finish.REFUSED),
        (answered(None), Finish.EMPTY),
        (answered("  \n"), Finish.EMPTY),
        ({"choices": []}, Finish.EMPTY),
    ],
)
async def test_no_end_but_a_whole_answer_is_taken_for_one(answer: object, finish: Finish) -> None:
    assert (await Asking([(200, answer)]).ask()).finish is finish


@pytest.mark.parametrize(
    "body",
    [
        refused("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"),
        {"error": "This model's maximum context length is 4096 tokens"},
    ],
)
async def test_a_question_that_is_too_long_is_told(body: object) -> None:
    assert (await Asking([(400, body)]).ask()).finish is Finish.TOO_LONG


@pytest.mark.parametrize(
    "usage", [None, 7, {}, {"prompt_tokens": "9", "completion_tokens": -1}, {"prompt_tokens": True}]
)
async def test_what_the_server_does_not_count_is_unknown(usage: object) -> None:
    reply = await Asking([(200, answered() | {"usage": usage})]).ask()
    assert (reply.input_tokens, reply.output_tokens) == (None, None)


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (401, refused("Incorrect API key provided", code="invalid_api_key"), KeyNeededError, "key_rejected"),
        (403, b"", KeyNeededError, "key_rejected"),
        (404, refused("no such model", code="model_not_found"), NeedsOwnerError, "no_such_model"),
        (429, refused("quota", code="insufficient_quota"), NeedsOwnerError, "quota_used_up"),
        (402, b"", NeedsOwnerError, "quota_used_up"),
        (429, b"slow down", RetryLaterError, "model_throttled"),
        (500, b"<html>", RetryLaterError, "model_unavailable"),
        (503, b"", RetryLaterError, "model_unavailable"),
        (302, b"", RequestRefusedError, "request_refused"),
        (400, refused("Invalid schema for response_format"), RequestRefusedError, "request_refused"),
        (200, b"no json", RetryLaterError, "bad_answer"),
        (200, b"[]", RetryLaterError, "bad_answer"),
        (200, b'"x"', RetryLaterError, "bad_answer"),
        (200, {"choices": [7]}, RetryLaterError, "bad_answer"),
        (200, {"choices": [{"message": None}]}, RetryLaterError, "bad_answer"),
        (200, answered(["a list"]), RetryLaterError, "bad_answer"),
        (200, b'{"a":' * 100_000, RetryLaterError, "bad_answer"),
    ],
)
async def test_every_refusal_is_sorted_and_tells_nothing_of_what_was_asked(
    status: int, body: object, error: type[AtomError], code: str
) -> None:
    with pytest.raises(error) as raised:
        await Asking([(status, body)]).ask()
    assert raised.value.code == code
    assert not any(word in f"{raised.value.message} {raised.value.detail}" for word in (KEY, SECRET_WORDS))


async def test_what_a_server_says_of_the_question_is_not_handed_on() -> None:
    with pytest.raises(RequestRefusedError) as raised:
        await Asking([(400, refused(f"response_format: cannot handle {SECRET_WORDS}"))]).ask()
    assert raised.value.about == "response_format"
    assert SECRET_WORDS not in f"{raised.value.message} {raised.value.detail}"


@pytest.mark.parametrize(("headers", "wait"), [({"retry-after": "7"}, 7.0), ({}, DEFAULT_WAIT_S)])
async def test_a_throttled_call_says_how_long_to_wait(headers: dict[str, str], wait: float) -> None:
    with pytest.raises(RetryLaterError) as raised:
        await Asking([(429, b"{}")], headers=headers).ask()
    assert raised.value.after == wait
