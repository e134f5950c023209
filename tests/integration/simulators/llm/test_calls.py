"""The simulator's own count of calls, tokens and money, and the shape of what it counts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from llm_simulator import PROMPT, SCHEMA, Simulator, a_call, a_unit, by_schema, llm_simulator

UNIT = a_unit("We will order forty lenses from Corvane Optics before the summer.")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with llm_simulator() as running:
        yield running


def test_the_bill_is_the_usage_times_the_list_price(simulator: Simulator) -> None:
    usages = [simulator.extract(UNIT, model=model).json()["usage"] for model in ("gpt-4o-mini", "gpt-5-mini")]
    first, second = simulator.calls()["calls"]
    assert [first["prompt_tokens"], first["completion_tokens"]] == [
        usages[0]["prompt_tokens"],
        usages[0]["completion_tokens"],
    ]
    assert first["usd"] == pytest.approx(
        (usages[0]["prompt_tokens"] * 0.15 + usages[0]["completion_tokens"] * 0.6) / 1e6
    )
    assert second["usd"] == pytest.approx(
        (usages[1]["prompt_tokens"] * 0.25 + usages[1]["completion_tokens"] * 2) / 1e6
    )
    totals = simulator.calls()["totals"]
    assert totals["usd"] == pytest.approx(first["usd"] + second["usd"])
    assert totals["prompt_tokens"] == sum(usage["prompt_tokens"] for usage in usages)


def test_a_model_without_a_price_has_tokens_and_no_money(simulator: Simulator) -> None:
    simulator.extract(UNIT, model="local-model")
    answer = simulator.calls()
    assert answer["calls"][0]["usd"] is None
    assert answer["totals"]["billed_without_price"] == 1
    assert answer["totals"]["prompt_tokens"] > 0


def test_a_schema_is_part_of_the_prompt_s_price(simulator: Simulator) -> None:
    with_schema = simulator.extract(UNIT).json()["usage"]["prompt_tokens"]
    without = simulator.extract(UNIT, response_format={"type": "json_object"}).json()["usage"]["prompt_tokens"]
    assert 150 < with_schema - without < 220


def test_a_unit_that_is_bought_twice_shows(simulator: Simulator) -> None:
    other = a_unit("The lenses came on Tuesday, thank you for them.")
    simulator.extract(UNIT)
    simulator.extract(other, UNIT)
    totals = simulator.calls()["totals"]
    assert (totals["units_bought"], totals["units_bought_again"]) == (3, 1)


def test_the_answer_has_the_service_s_shape(simulator: Simulator) -> None:
    answer = simulator.extract(UNIT)
    document = answer.json()
    assert document["object"] == "chat.completion"
    assert document["id"].startswith("chatcmpl-")
    assert {*document} == {"id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"}
    (choice,) = document["choices"]
    assert {*choice} == {"index", "message", "logprobs", "finish_reason"}
    assert choice["message"]["role"] == "assistant"
    assert document["usage"]["total_tokens"] == sum(document["usage"][f"{n}_tokens"] for n in ("prompt", "completion"))
    assert answer.headers["x-request-id"].startswith("req_")


def test_an_answer_longer_than_asked_for_is_cut_off_and_billed_as_cut(simulator: Simulator) -> None:
    whole = simulator.extract(UNIT).json()
    cut = simulator.extract(UNIT, max_completion_tokens=10).json()
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["usage"]["completion_tokens"] <= 10 < whole["usage"]["completion_tokens"]
    text = cut["choices"][0]["message"]["content"]
    assert text
    assert whole["choices"][0]["message"]["content"].startswith(text)


def test_several_choices_are_the_same_and_cost_as_many(simulator: Simulator) -> None:
    one, three = (simulator.extract(UNIT, n=n).json() for n in (1, 3))
    assert len({choice["message"]["content"] for choice in three["choices"]}) == 1
    assert three["usage"]["completion_tokens"] == 3 * one["usage"]["completion_tokens"]


def test_a_stream_carries_the_same_answer_and_the_usage_if_asked_for(simulator: Simulator) -> None:
    whole = simulator.extract(UNIT).json()
    streamed = simulator.extract(UNIT, stream=True, stream_options={"include_usage": True})
    assert streamed.headers["content-type"] == "text/event-stream"
    *events, end = [line.removeprefix("data: ") for line in streamed.text.split("\n\n") if line]
    assert end == "[DONE]"
    chunks = [json.loads(event) for event in events]
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert said == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"] == whole["usage"]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


def test_models_are_listed_and_shown(simulator: Simulator) -> None:
    listed = simulator.http.get("/v1/models").json()
    names = [model["id"] for model in listed["data"]]
    assert listed["object"] == "list"
    assert {"gpt-4o-mini", "gpt-5-mini", "text-embedding-3-small"} <= {*names}
    assert simulator.http.get("/v1/models/gpt-4o-mini").json()["object"] == "model"
    assert simulator.http.get("/v1/models/none").status_code == 404


def test_embeddings_are_unit_vectors_and_always_the_same(simulator: Simulator) -> None:
    asked = {"model": "text-embedding-3-small", "input": ["harbour", "ferry", "harbour"], "dimensions": 8}
    answer = simulator.http.post("/v1/embeddings", json=asked).json()
    one, two, three = (item["embedding"] for item in answer["data"])
    assert one == three != two
    assert sum(value * value for value in one) == pytest.approx(1)
    assert answer["usage"]["prompt_tokens"] > 0
    for wrong in ({"input": []}, {"input": None}, {"input": 4}, {"model": "gpt-4o-mini"}, {"dimensions": 0}):
        assert simulator.http.post("/v1/embeddings", json={**asked, **wrong}).status_code in (400, 403)


def test_an_answer_takes_a_time_and_more_for_each_token() -> None:
    with llm_simulator(latency_s=0.05, per_token_s=0.001) as simulator:
        started = time.monotonic()
        tokens = simulator.extract(UNIT).json()["usage"]["completion_tokens"]
        assert time.monotonic() - started >= 0.05 + 0.001 * tokens


def test_calls_at_once_are_counted_and_do_not_wait_for_each_other() -> None:
    with llm_simulator(latency_s=0.3) as simulator, ThreadPoolExecutor(8) as pool:
        simulator.extract(UNIT)
        started = time.monotonic()
        assert {answer.status_code for answer in pool.map(lambda _: simulator.extract(UNIT), range(8))} == {200}
        assert time.monotonic() - started < 8 * 0.3
        assert simulator.calls()["totals"]["most_in_flight"] >= 4


def test_a_client_that_leaves_is_billed() -> None:
    with llm_simulator(latency_s=5) as simulator:
        with pytest.raises(httpx.ReadTimeout):
            messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": a_call(UNIT)}]
            body = {"model": "gpt-4o-mini", "messages": messages, "response_format": by_schema(SCHEMA)}
            httpx.post(
                f"{simulator.url}/v1/chat/completions",
                json=body,
                timeout=httpx.Timeout(5, read=2),
                headers=dict(simulator.http.headers),
            )
        deadline = time.monotonic() + 10
        while not simulator.calls()["calls"] and time.monotonic() < deadline:
            pass
        (call,) = simulator.calls()["calls"]
        assert (call["left"], call["status"]) == (True, 0)
        assert call["usd"] > 0


def test_no_text_and_no_key_is_in_the_count(simulator: Simulator) -> None:
    simulator.extract(UNIT)
    shown = simulator.http.get("/_simulator/calls").text
    assert "lenses" not in shown
    assert "sk-good" not in shown


def test_the_count_can_be_read_on_from_a_number(simulator: Simulator) -> None:
    for _ in range(3):
        simulator.extract(UNIT)
    assert [c["n"] for c in simulator.http.get("/_simulator/calls?since=2").json()["calls"]] == [3]
    assert simulator.http.get("/_simulator/calls?limit=0").json()["calls"] == []
    assert simulator.http.get("/_simulator/calls?since=x").status_code == 400
    assert simulator.http.get("/_simulator/nothing").status_code == 404
