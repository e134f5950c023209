"""Requests and tokens a minute: the refusal, how long to wait, and what the headers say."""

from __future__ import annotations

import pytest

from atom_simulators.llm.limits import Limits
from llm_simulator import authorised, llm_simulator


def test_the_request_after_the_last_is_refused_with_the_time_to_wait() -> None:
    with llm_simulator(limits=Limits(requests=15)) as simulator:
        assert [simulator.chat().status_code for _ in range(15)] == [200] * 15
        refused = simulator.chat()
        error = refused.json()["error"]
        assert (refused.status_code, error["type"], error["code"]) == (429, "requests", "rate_limit_exceeded")
        assert "on requests per min (RPM): Limit 15, Used 15, Requested 1. Please try again in 4s." in error["message"]
        assert (refused.headers["retry-after"], refused.headers["retry-after-ms"]) == ("4", "4000")
        simulator.time.seconds += 4
        assert simulator.chat().status_code == 200, "who waits as told is served"
        assert simulator.chat().status_code == 429


def test_the_headers_count_down_and_up_again() -> None:
    with llm_simulator(limits=Limits(requests=60, tokens=60_000)) as simulator:
        headers = simulator.chat().headers
        assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("60", "59")
        assert headers["x-ratelimit-reset-requests"] == "1s"
        used = simulator.calls()["calls"][0]["prompt_tokens"]
        assert int(headers["x-ratelimit-remaining-tokens"]) == 60_000 - used
        assert headers["x-ratelimit-reset-tokens"] == f"{used}ms"
        simulator.time.seconds += 60
        assert simulator.chat().headers["x-ratelimit-remaining-requests"] == "59"


def test_tokens_are_limited_by_what_a_request_may_cost() -> None:
    with llm_simulator(limits=Limits(tokens=2_000)) as simulator:
        assert simulator.chat(max_tokens=1_500).status_code == 200
        refused = simulator.chat(max_tokens=1_500)
        error = refused.json()["error"]
        assert (refused.status_code, error["type"]) == (429, "tokens")
        assert (
            "on tokens per min (TPM): Limit 2000, Used 1500, Requested 1500. Please try again in 30s"
            in error["message"]
        )
        assert refused.headers["retry-after"] == "30"


def test_a_request_that_no_waiting_lets_through_is_told_so() -> None:
    with llm_simulator(limits=Limits(tokens=2_000)) as simulator:
        refused = simulator.chat(max_tokens=2_001)
        assert refused.status_code == 429
        assert refused.json()["error"]["message"].startswith("Request too large for gpt-4o-mini in organization org-")
        assert "retry-after" not in refused.headers


def test_each_key_and_each_model_has_its_own_minute() -> None:
    with llm_simulator(limits=Limits(requests=1)) as simulator:
        assert simulator.chat().status_code == 200
        assert simulator.chat().status_code == 429
        assert simulator.chat(model="gpt-4.1-mini").status_code == 200
        simulator.http.headers.update(authorised("sk-other"))
        assert simulator.chat().status_code == 200


@pytest.mark.parametrize("limits", [Limits(), Limits(tokens=10**9)])
def test_without_a_limit_there_is_no_header_of_it(limits: Limits) -> None:
    with llm_simulator(limits=limits) as simulator:
        headers = simulator.chat().headers
        assert "x-ratelimit-limit-requests" not in headers
        assert ("x-ratelimit-limit-tokens" in headers) == bool(limits.tokens)
