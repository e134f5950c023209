"""How an endpoint can be held to the form of its answers, and how to find that out.

https://platform.openai.com/docs/guides/structured-outputs; of the servers that speak the same, some know no `pattern`,
some no schema, some no `response_format` at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from atom_backfill.errors import NeedsOwnerError
from atom_backfill.llm.endpoint import RequestRefusedError
from atom_backfill.llm.reply import Finish, Reply

MOST_TOKENS = 600
"""Of the answer that is asked for to find out; models that think before they answer need most of them for that."""


class Form(StrEnum):
    """What an endpoint takes, the strictest first."""

    SCHEMA = "schema"
    PLAIN_SCHEMA = "plain_schema"
    """A schema without `pattern`."""
    JSON = "json"
    TEXT = "text"


class Chat(Protocol):
    """Asks one model."""

    async def complete(
        self, messages: Sequence[Mapping[str, str]], response_format: Mapping[str, Any] | None, most_tokens: int
    ) -> Reply:
        """Ask once."""
        ...


def response_format(form: Form, name: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the `response_format` of a request; None where the endpoint knows none. `schema`: with its patterns."""
    match form:
        case Form.SCHEMA | Form.PLAIN_SCHEMA:
            sent = schema if form is Form.SCHEMA else _without_patterns(schema)
            return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": sent}}
        case Form.JSON:
            return {"type": "json_object"}
        case Form.TEXT:
            return None


async def find_form(chat: Chat) -> Form:
    """Find the strictest form that works, with up to four short calls.

    Raises NeedsOwnerError `model_unfit` where the model gives no answer in any, and what `Chat.complete` raises.
    """
    for form in Form:
        try:
            reply = await chat.complete(_QUESTION, response_format(form, "probe", _SCHEMA), MOST_TOKENS)
        except RequestRefusedError:
            if form is Form.TEXT:
                raise
            continue
        if _keeps_to(form, reply):
            return form
    raise NeedsOwnerError("model_unfit", "The model does not answer a plain question: choose another one.")


def _keeps_to(form: Form, reply: Reply) -> bool:
    """Tell whether a reply has the form: a server may take a `response_format` and heed nothing of it."""
    if reply.finish is not Finish.WHOLE:
        return False
    if form is Form.TEXT:
        return True
    try:
        said = json.loads(reply.text)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and (form is Form.JSON or said.keys() == _SCHEMA["properties"].keys())


def _without_patterns(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _without_patterns(value) for name, value in schema.items() if name != "pattern"}
    return [_without_patterns(each) for each in schema] if isinstance(schema, list) else schema


_ASKED = "How much is two and two? Answer in JSON."
_QUESTION = [{"role": "user", "content": _ASKED}]
_SCHEMA: dict[str, Any] = {
    "type": "object",
    # A name that nobody chooses who is not held to it.
    "properties": {"number_in_words": {"type": "string", "pattern": "^[a-z]+$"}},
    "required": ["number_in_words"],
    "additionalProperties": False,
}
