"""What the real service refuses the model simulator refuses, in its own words and form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from atom_simulators.llm.requests import Offers
from llm_simulator import SCHEMA, Simulator, a_unit, authorised, by_schema, llm_simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with llm_simulator() as running:
        yield running


def error(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    assert {*document} == {"error"}
    assert {*document["error"]} == {"message", "type", "param", "code"}
    found: dict[str, Any] = document["error"]
    return found


def test_without_a_key_nothing_is_told(simulator: Simulator) -> None:
    answer = httpx.get(f"{simulator.url}/v1/nothing/here")
    assert "You didn't provide an API key" in error(answer, 401)["message"]


def test_a_wrong_key_is_named_with_its_ends_only(simulator: Simulator) -> None:
    answer = simulator.http.get("/v1/models", headers=authorised("wrong"))
    assert error(answer, 401)["code"] == "invalid_api_key"
    with llm_simulator(keys={"sk-tenant-one"}) as strict:
        found = error(strict.http.get("/v1/models", headers=authorised("sk-tenant-two-secret")), 401)
        assert found["message"].startswith("Incorrect API key provided: sk-t")
        assert "tenant-two" not in found["message"]
        assert strict.http.get("/v1/models", headers=authorised("sk-tenant-one")).status_code == 200


def test_an_account_without_credit_is_told_so_and_not_to_wait(simulator: Simulator) -> None:
    answer = simulator.http.get("/v1/models", headers=authorised("exhausted"))
    found = error(answer, 429)
    assert (found["type"], found["code"]) == ("insufficient_quota", "insufficient_quota")
    assert "retry-after" not in answer.headers


def test_an_unknown_model_is_not_found(simulator: Simulator) -> None:
    found = error(simulator.chat(model="gpt-9"), 404)
    assert found["message"] == "The model `gpt-9` does not exist or you do not have access to it."
    assert found["code"] == "model_not_found"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(simulator: Simulator, body: bytes) -> None:
    answer = simulator.http.post("/v1/chat/completions", content=body)
    assert error(answer, 400)["message"].startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/chat/completions", 405, "Not allowed to GET on this resource."),
        ("POST", "/v1/models", 405, "Not allowed to POST on this resource."),
        ("GET", "/v1/files", 404, "Invalid URL (GET /v1/files)"),
        ("POST", "/chat/completions", 404, "Invalid URL (POST /chat/completions)"),
    ],
)
def test_other_addresses_and_methods_are_refused(
    simulator: Simulator, method: str, path: str, status: int, words: str
) -> None:
    assert error(simulator.http.request(method, path), status)["message"].startswith(words)


@pytest.mark.parametrize(
    ("about", "param", "code", "words"),
    [
        ({"model": None}, None, None, "you must provide a model parameter"),
        ({"model": 4}, "model", "invalid_type", "expected a string, but got an integer"),
        ({"model": "text-embedding-3-small"}, None, None, "This is not a chat model"),
        ({"messages": None}, "messages", "missing_required_parameter", "Missing required parameter: 'messages'."),
        ({"messages": "hello"}, "messages", "invalid_type", "expected an array of objects"),
        ({"messages": []}, "messages", "empty_array", "empty array"),
        ({"messages": ["x"]}, "messages[0]", "invalid_type", "expected an object, but got a string"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter", "Missing required"),
        ({"messages": [{"role": "god", "content": "x"}]}, "messages[0].role", "invalid_value", "Invalid value: 'god'."),
        ({"messages": [{"role": "user"}]}, "messages.[0].content", None, "expected a string, got null."),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
            "invalid_value",
            "'text' only",
        ),
        ({"max_length": 5}, None, None, "Unrecognized request argument supplied: max_length"),
        ({"temperature": "0"}, "temperature", "invalid_type", "expected a decimal, but got a string"),
        ({"temperature": 3}, "temperature", "decimal_above_max_value", "Expected a value <= 2, but got 3"),
        ({"top_p": -1}, "top_p", "decimal_below_min_value", "Expected a value >= 0, but got -1"),
        ({"n": 0}, "n", "invalid_value", "from 1 to 128"),
        ({"stream": "yes"}, "stream", "invalid_type", "expected a boolean"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None, "only allowed when 'stream' is enabled"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value", "Expected a value >= 1"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type", "expected an integer"),
        ({"max_tokens": 20_000}, "max_tokens", "invalid_value", "at most 16384 completion tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "invalid_parameter_combination", "same time"),
        (
            {"model": "gpt-5-mini", "max_tokens": 5},
            "max_tokens",
            "unsupported_parameter",
            "Use 'max_completion_tokens' instead.",
        ),
        ({"model": "gpt-5-mini", "temperature": 0}, "temperature", "unsupported_value", "does not support 0"),
        ({"response_format": "json"}, "response_format", "invalid_type", "expected an object"),
        ({"response_format": {}}, "response_format.type", "missing_required_parameter", "response_format.type"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value", "Invalid value: 'xml'."),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema",
            "missing_required_parameter",
            "response_format.json_schema",
        ),
    ],
)
def test_each_parameter_is_checked(
    simulator: Simulator, about: dict[str, Any], param: str | None, code: str | None, words: str
) -> None:
    answer = simulator.chat(**about)
    found = error(answer, 404 if "not a chat model" in answer.text else 400)
    assert (found["param"], found["code"]) == (param, code)
    assert words in found["message"]
    assert found["type"] == "invalid_request_error"


def test_json_mode_needs_the_word(simulator: Simulator) -> None:
    wanted = {"type": "json_object"}
    silent = [{"role": "user", "content": "Answer, please."}]
    found = error(simulator.chat(messages=silent, response_format=wanted), 400)
    assert found["param"] == "messages"
    assert "must contain the word 'json' in some form" in found["message"]
    spoken = [{"role": "user", "content": "Answer as JSON, please."}]
    assert simulator.chat(messages=spoken, response_format=wanted).status_code == 200


def test_what_does_not_fit_into_the_model_is_refused(simulator: Simulator) -> None:
    found = error(simulator.chat("word " * 9_000, model="local-model"), 400)
    assert found["code"] == "context_length_exceeded"
    assert found["message"].startswith("This model's maximum context length is 8192 tokens. However, your messages")
    assert simulator.chat("word " * 4_000, model="local-model").status_code == 200
    # What is kept for the answer counts as well.
    assert error(simulator.chat("word " * 4_500, model="local-model", max_tokens=4_096), 400)["param"] == "messages"


@pytest.mark.parametrize(
    ("offers", "formats"),
    [(Offers(schema=False), {"json_schema"}), (Offers(schema=False, json=False), {"json_schema", "json_object"})],
)
def test_a_server_may_lack_schemas_and_json_mode(offers: Offers, formats: set[str]) -> None:
    with llm_simulator(offers=offers) as simulator:
        for wanted in (by_schema(SCHEMA), {"type": "json_object"}, {"type": "text"}, None):
            answer = simulator.chat(response_format=wanted)
            if wanted and wanted["type"] in formats:
                found = error(answer, 400)
                assert f"'response_format' of type '{wanted['type']}' is not supported" in found["message"]
            else:
                assert answer.status_code == 200


def test_a_server_may_know_schemas_without_patterns() -> None:
    with llm_simulator(offers=Offers(pattern=False)) as simulator:
        found = error(simulator.chat(response_format=by_schema(SCHEMA)), 400)
        assert "'items', 'properties', 'e', 'items'), 'pattern' is not permitted." in found["message"]
        plain = json.loads(re.sub(r', "pattern": "(?:[^"\\\\]|\\\\.)*"', "", json.dumps(SCHEMA)))
        assert simulator.chat(response_format=by_schema(plain)).status_code == 200


def test_without_a_format_the_answer_is_wrapped_in_prose(simulator: Simulator) -> None:
    answer = simulator.extract(a_unit("We will pay by Friday."), response_format=None).json()
    content = answer["choices"][0]["message"]["content"]
    assert content.startswith("Here is what the mails state:")
    assert json.loads(content.partition("```json\n")[2].partition("\n```")[0])["u"][0]["n"] == 0


def test_a_refused_call_costs_nothing(simulator: Simulator) -> None:
    before = simulator.calls()["totals"]
    simulator.chat(model="gpt-9")
    after = simulator.calls()
    assert after["totals"]["calls"] == before["calls"] + 1
    assert after["totals"]["usd"] == before["usd"]
    assert (after["calls"][-1]["status"], after["calls"][-1]["code"]) == (404, "model_not_found")
