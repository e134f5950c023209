"""OpenAI's own client against the simulator (`make test-sdk`; skipped where it is not installed)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from atom_simulators.llm.limits import Limits
from llm_simulator import PROMPT, SCHEMA, Simulator, a_call, a_unit, by_schema, llm_simulator

pytestmark = [pytest.mark.sdk, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
openai = pytest.importorskip("openai", reason="openai is not installed: make test-sdk")

TEXT = "We will order forty lenses from Corvane Optics before the summer."


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with llm_simulator() as running:
        yield running


def client(simulator: Simulator, key: str = "sk-any", retries: int = 0) -> Any:
    return openai.OpenAI(base_url=f"{simulator.url}/v1", api_key=key, max_retries=retries, timeout=20)


def asked(**about: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": a_call(a_unit(TEXT))}]
    return {"model": "gpt-4o-mini", "messages": messages, "response_format": by_schema(SCHEMA), **about}


def test_a_completion_is_read(simulator: Simulator) -> None:
    answer = client(simulator).chat.completions.create(**asked())
    assert json.loads(answer.choices[0].message.content)["u"][0]["n"] == 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id.startswith("req_")


def test_a_stream_is_read(simulator: Simulator) -> None:
    chunks = [*client(simulator).chat.completions.create(**asked(stream=True, stream_options={"include_usage": True}))]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert json.loads(said)["u"][0]["n"] == 0
    assert chunks[-1].usage.completion_tokens > 0


def test_models_and_embeddings_are_read(simulator: Simulator) -> None:
    assert "gpt-4o-mini" in {model.id for model in client(simulator).models.list()}
    vectors = client(simulator).embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=8)
    assert [len(item.embedding) for item in vectors.data] == [8, 8]


@pytest.mark.parametrize(
    ("about", "key", "error", "code"),
    [
        ({}, "wrong", "AuthenticationError", "invalid_api_key"),
        ({}, "exhausted", "RateLimitError", "insufficient_quota"),
        ({"model": "gpt-9"}, "sk-any", "NotFoundError", "model_not_found"),
        ({"response_format": by_schema({"type": "array"})}, "sk-any", "BadRequestError", None),
    ],
)
def test_refusals_are_the_client_s_errors(
    simulator: Simulator, about: dict[str, Any], key: str, error: str, code: str | None
) -> None:
    with pytest.raises(getattr(openai, error)) as refused:
        client(simulator, key).chat.completions.create(**asked(**about))
    assert refused.value.code == code


def test_a_refused_answer_and_a_cut_one_are_told_apart() -> None:
    with llm_simulator(faults=[{"on": "chat", "kind": "refusal", "at": [1]}]) as simulator:
        refused = client(simulator).chat.completions.create(**asked())
        assert refused.choices[0].message.refusal
        cut = client(simulator).chat.completions.create(**asked(max_completion_tokens=5))
        assert cut.choices[0].finish_reason == "length"


def test_the_client_s_own_patience_gets_through() -> None:
    script = [{"on": "chat", "kind": "500", "at": [1]}, {"on": "chat", "kind": "429", "retry_after": 0.01, "at": [2]}]
    with llm_simulator(faults=script) as simulator:
        assert client(simulator, retries=3).chat.completions.create(**asked()).choices


def test_a_limit_is_a_rate_limit_error_with_its_headers() -> None:
    with llm_simulator(limits=Limits(requests=1)) as simulator:
        client(simulator).chat.completions.create(**asked())
        with pytest.raises(openai.RateLimitError) as refused:
            client(simulator).chat.completions.create(**asked())
        assert refused.value.response.headers["x-ratelimit-limit-requests"] == "1"
        assert refused.value.response.headers["retry-after"] == "60"
