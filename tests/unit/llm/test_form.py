"""How the form is found out that an endpoint can be held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from atom_backfill.errors import NeedsOwnerError
from atom_backfill.llm.endpoint import RequestRefusedError
from atom_backfill.llm.form import Form, find_form, response_format
from atom_backfill.llm.reply import Finish, Reply

SCHEMA = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string", "pattern": "^x$"}}}}
HELD = Reply('{"number_in_words":"four"}', Finish.WHOLE, 10, 5)


class Server:
    """Refuses some forms, and gives one answer in all others."""

    def __init__(self, refuses: Sequence[Form] = (), reply: Reply = HELD) -> None:
        self.asked: list[Form] = []
        self._refuses = refuses
        self._reply = reply

    async def complete(
        self, messages: Sequence[Mapping[str, str]], response_format: Mapping[str, Any] | None, most_tokens: int
    ) -> Reply:
        assert "JSON" in messages[0]["content"]  # the real service refuses JSON mode without the word
        match response_format:
            case None:
                form = Form.TEXT
            case {"type": "json_object"}:
                form = Form.JSON
            case _:
                form = Form.SCHEMA if "pattern" in str(response_format) else Form.PLAIN_SCHEMA
        self.asked.append(form)
        if form in self._refuses:
            raise RequestRefusedError("models.example", "response_format")
        return self._reply


@pytest.mark.parametrize("form", list(Form))
async def test_the_strictest_form_that_is_not_refused_is_found(form: Form) -> None:
    forms = list(Form)
    server = Server(refuses=forms[: forms.index(form)])
    assert await find_form(server) is form
    assert server.asked == forms[: forms.index(form) + 1]


@pytest.mark.parametrize("text", ["```json\n{}\n```", "I am a helpful assistant.", "[]", "{" * 100_000])
async def test_a_server_that_takes_a_form_and_heeds_nothing_of_it_is_asked_for_text(text: str) -> None:
    server = Server(reply=Reply(text, Finish.WHOLE, None, None))
    assert await find_form(server) is Form.TEXT
    assert server.asked == list(Form)


async def test_a_server_that_answers_json_and_heeds_no_schema_is_asked_for_json() -> None:
    assert await find_form(Server(reply=Reply('{"answer": 4}', Finish.WHOLE, None, None))) is Form.JSON


async def test_a_server_that_refuses_everything_is_told() -> None:
    with pytest.raises(RequestRefusedError):
        await find_form(Server(refuses=list(Form)))


@pytest.mark.parametrize(
    "reply", [Reply("", Finish.EMPTY, 1, 0), Reply(HELD.text, Finish.CUT_OFF, 1, 1), Reply("", Finish.REFUSED, 1, 1)]
)
async def test_a_model_that_cannot_answer_is_told(reply: Reply) -> None:
    with pytest.raises(NeedsOwnerError) as raised:
        await find_form(Server(reply=reply))
    assert raised.value.code == "model_unfit"


def test_a_form_is_as_strict_as_the_endpoint_can_be_held_to() -> None:
    sent = response_format(Form.SCHEMA, "facts", SCHEMA)
    assert sent == {"type": "json_schema", "json_schema": {"name": "facts", "strict": True, "schema": SCHEMA}}
    plain = response_format(Form.PLAIN_SCHEMA, "facts", SCHEMA)
    assert plain is not None
    assert plain["json_schema"]["schema"]["properties"] == {"a": {"type": "array", "items": {"type": "string"}}}
    assert response_format(Form.JSON, "facts", SCHEMA) == {"type": "json_object"}
    assert response_format(Form.TEXT, "facts", SCHEMA) is None
