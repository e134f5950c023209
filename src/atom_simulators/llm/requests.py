"""Reads a chat completion request as strictly as the real service does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import tokens
from .errors import ApiError, context_exceeded, invalid, missing, no_json, no_model, wrong_type
from .models import Model
from .schemas import check_format

_KNOWN = frozenset(
    {
        "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
        "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model", "n",
        "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_retention",
        "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store",
        "stream", "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user",
        "verbosity", "web_search_options"
    }
)  # fmt: skip
_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_RANGES = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
}
_FORMATS = ("text", "json_object", "json_schema")


@dataclass(frozen=True, slots=True)
class Offers:
    """Which ways to structured output the server has."""

    schema: bool = True
    json: bool = True
    pattern: bool = True


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request that the service takes. `prompt` and `most` (None: the model's own limit) in tokens."""

    model: Model
    contents: tuple[str, ...]
    last: str
    format: str
    schema: Mapping[str, Any] | None
    strict: bool
    prompt: int
    most: int | None
    choices: int
    stream: bool
    include_usage: bool


def read_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a request. Raises ApiError (400)."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise no_json() from error
    if not isinstance(document, dict):
        raise no_json()
    return document


def find_model(document: Mapping[str, Any], models: Mapping[str, Model], *, embeds: bool = False) -> Model:
    """The model that a request names. Raises ApiError (400, 404)."""
    name = document.get("model")
    if name is None:
        raise ApiError(400, "you must provide a model parameter")
    if not isinstance(name, str):
        raise wrong_type("model", "a string", name)
    found = models.get(name)
    if found is None:
        raise no_model(name)
    if found.embeds != embeds:
        kind = "embeddings" if embeds else "chat"
        raise ApiError(403 if embeds else 404, f"This is not a {kind} model and thus not supported in this endpoint.")
    return found


def read_chat(document: Mapping[str, Any], models: Mapping[str, Model], offers: Offers) -> ChatRequest:
    """Check a request. Raises ApiError (400, 404) with the first thing that is wrong."""
    model = find_model(document, models)
    for name in document:
        if name not in _KNOWN:
            raise ApiError(400, f"Unrecognized request argument supplied: {name}")
    contents, last = _messages(document)
    kind, schema, strict = _format(document, contents, offers)
    most = _most(document, model)
    _numbers(document, model)
    prompt = tokens.of_prompt(list(contents), json.dumps(schema, separators=(",", ":")) if schema else "")
    if prompt + (most or 0) > model.context:
        raise context_exceeded(model.context, prompt + (most or 0))
    stream, usage = _stream(document)
    return ChatRequest(model, contents, last, kind, schema, strict, prompt, most, _choices(document), stream, usage)


def _messages(document: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Every message's text, and the last user's."""
    messages = document.get("messages")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise invalid(
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "empty_array",
        )
    contents, last = [], ""
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            raise wrong_type(f"messages[{place}]", "an object", message)
        role = message.get("role")
        if role is None:
            raise missing(f"messages[{place}].role")
        if role not in _ROLES:
            known = ", ".join(f"'{name}'" for name in _ROLES[:-1])
            raise invalid(
                f"messages[{place}].role",
                f"Invalid value: '{role}'. Supported values are: {known}, and '{_ROLES[-1]}'.",
                "invalid_value",
            )
        text = _text(message.get("content"), place)
        contents.append(text)
        last = text if role == "user" else last
    return tuple(contents), last


def _text(content: object, place: int) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        shown = "null" if content is None else type(content).__name__
        raise invalid(f"messages.[{place}].content", f"Invalid value for 'content': expected a string, got {shown}.")
    parts = []
    for at, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise invalid(
                f"messages[{place}].content[{at}].type",
                "Invalid value. This model supports content of type 'text' only.",
                "invalid_value",
            )
        parts.append(part["text"])
    return "".join(parts)


def _format(
    document: Mapping[str, Any], contents: tuple[str, ...], offers: Offers
) -> tuple[str, Mapping[str, Any] | None, bool]:
    wanted = document.get("response_format")
    if wanted is None:
        return "text", None, False
    if not isinstance(wanted, dict):
        raise wrong_type("response_format", "an object", wanted)
    kind = wanted.get("type")
    if kind is None:
        raise missing("response_format.type")
    if kind not in _FORMATS:
        known = "'json_object', 'json_schema', and 'text'"
        raise invalid(
            "response_format.type", f"Invalid value: '{kind}'. Supported values are: {known}.", "invalid_value"
        )
    if (kind == "json_schema" and not offers.schema) or (kind == "json_object" and not offers.json):
        raise invalid(
            "response_format",
            f"Invalid parameter: 'response_format' of type '{kind}' is not supported with this model.",
        )
    if kind == "json_object" and not any("json" in content.lower() for content in contents):
        raise invalid(
            "messages",
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        )
    if kind != "json_schema":
        return str(kind), None, False
    described = wanted.get("json_schema")
    if described is None:
        raise missing("response_format.json_schema")
    if not isinstance(described, dict):
        raise wrong_type("response_format.json_schema", "an object", described)
    check_format(described, patterns=offers.pattern)
    return "json_schema", described["schema"], described.get("strict") is True


def _most(document: Mapping[str, Any], model: Model) -> int | None:
    """The limit of the answer in tokens."""
    old, new = document.get("max_tokens"), document.get("max_completion_tokens")
    if old is not None and new is not None:
        raise invalid(
            "max_tokens",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "invalid_parameter_combination",
        )
    if old is not None and model.reasoning:
        raise invalid(
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "unsupported_parameter",
        )
    param, value = ("max_tokens", old) if old is not None else ("max_completion_tokens", new)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(param, "an integer", value)
    if value < 1:
        raise invalid(
            param,
            f"Invalid '{param}': integer below minimum value. Expected a value >= 1, but got {value} instead.",
            "integer_below_min_value",
        )
    if value > model.most_output:
        raise invalid(
            param,
            f"{param} is too large: {value}. This model supports at most {model.most_output} completion tokens, "
            f"whereas you provided {value}.",
            "invalid_value",
        )
    return value


def _numbers(document: Mapping[str, Any], model: Model) -> None:
    for param, (least, greatest) in _RANGES.items():
        value = document.get(param)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong_type(param, "a decimal", value)
        if value < least or value > greatest:
            side, sign, edge = ("below minimum", ">=", least) if value < least else ("above maximum", "<=", greatest)
            raise invalid(
                param,
                f"Invalid '{param}': decimal {side} value. Expected a value {sign} {edge:g}, but got {value} instead.",
                f"decimal_{'below_min' if value < least else 'above_max'}_value",
            )
        if model.reasoning and value != (1 if param in ("temperature", "top_p") else 0):
            raise invalid(
                param,
                f"Unsupported value: '{param}' does not support {value} with this model. Only the default (1) value is "
                "supported.",
                "unsupported_value",
            )


def _choices(document: Mapping[str, Any]) -> int:
    value = document.get("n")
    if value is None:
        return 1
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type("n", "an integer", value)
    if not 1 <= value <= 128:
        raise invalid("n", f"Invalid 'n': expected a value from 1 to 128, but got {value} instead.", "invalid_value")
    return value


def _stream(document: Mapping[str, Any]) -> tuple[bool, bool]:
    stream, options = document.get("stream"), document.get("stream_options")
    if stream is not None and not isinstance(stream, bool):
        raise wrong_type("stream", "a boolean", stream)
    if options is not None and not stream:
        raise invalid("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    usage = isinstance(options, dict) and options.get("include_usage") is True
    return bool(stream), usage
