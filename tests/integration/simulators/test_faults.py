"""Scripted faults, each as a client of the real service would meet it."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from atom_simulators.graph.limits import Limits
from graph_simulator import (
    IMMUTABLE,
    Simulator,
    error_of,
    graph_simulator,
    message_id,
    numbers_of,
    until,
)

DELTA = "/mailFolders/inbox/messages/delta"
CALLS = {
    "messages": "/messages",
    "message": f"/messages/{message_id(1)}",
    "count": "/messages/$count",
    "folders": "/mailFolders",
    "delta": DELTA,
}


def rule(kind: str, on: str = "messages", **about: Any) -> dict[str, Any]:
    return {"on": on, "kind": kind, **({} if "every" in about else {"at": [1]}), **about}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("429", "ApplicationThrottled"),
        ("500", "InternalServerError"),
        ("502", "UnknownError"),
        ("503", "serviceNotAvailable"),
        ("504", "UnknownError"),
    ],
)
def test_a_status_comes_with_its_code_and_the_next_call_is_well(kind: str, code: str) -> None:
    with graph_simulator(faults=[rule(kind)]) as simulator:
        answer = simulator.get("/messages")
        assert error_of(answer) == (int(kind), code)
        assert "retry-after" not in answer.headers
        assert simulator.get("/messages").status_code == 200


@pytest.mark.parametrize("kind", ["429", "503"])
def test_a_status_can_say_when_to_come_back(kind: str) -> None:
    with graph_simulator(faults=[rule(kind, retry_after=17)]) as simulator:
        assert simulator.get("/messages").headers["retry-after"] == "17"


@pytest.mark.parametrize(("body", "expected"), [("html", b"<html>"), ("empty", b"")])
def test_a_gateway_answers_without_json(body: str, expected: bytes) -> None:
    with graph_simulator(faults=[rule("502", body=body)]) as simulator:
        answer = simulator.get("/messages")
        assert answer.status_code == 502
        assert answer.content[:6] == expected


@pytest.mark.parametrize("operation", [*CALLS, "batch", "token"])
def test_a_fault_strikes_its_operation_only(operation: str) -> None:
    with graph_simulator(faults=[rule("500", operation, at=[2 if operation == "token" else 1])]) as simulator:
        found = {name: simulator.get(path).status_code for name, path in CALLS.items()}
        requests = [{"id": "1", "method": "GET", "url": "/nothing"}]
        found["batch"] = simulator.http.post("/v1.0/$batch", json={"requests": requests}).status_code
        found["token"] = simulator.token().status_code
        assert found == {**dict.fromkeys(found, 200), operation: 500}


def test_the_token_endpoint_fails_in_its_own_words() -> None:
    faults = [rule("503", "token", at=[2], retry_after=3), rule("429", "token", at=[3])]
    faults.append(rule("badjson", "token", at=[4]))
    with graph_simulator(faults=faults) as simulator:
        answer = simulator.token()
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "3"
        assert simulator.token().status_code == 429
        with pytest.raises(json.JSONDecodeError):
            simulator.token().json()


def test_every_counts_and_times_ends() -> None:
    with graph_simulator(faults=[rule("500", every=2, times=2)]) as simulator:
        statuses = [simulator.get("/messages").status_code for _ in range(8)]
        assert statuses == [200, 500, 200, 500, 200, 200, 200, 200]


def test_any_counts_all_operations_together_and_the_first_rule_wins() -> None:
    faults = [rule("503", "any", at=[3]), rule("500", "count", at=[1, 2])]
    with graph_simulator(faults=faults) as simulator:
        # The token of the test itself was the first call.
        statuses = [simulator.get(path).status_code for path in ("/messages/$count", "/messages/$count", "/messages")]
        assert statuses == [500, 503, 200]


def test_a_hanging_call_ends_without_an_answer() -> None:
    with graph_simulator(faults=[rule("hang", seconds=0.05)]) as simulator:
        with pytest.raises(httpx.RemoteProtocolError, match="disconnected without sending a response"):
            simulator.get("/messages")
        assert simulator.get("/messages").status_code == 200


def test_a_hanging_call_gives_its_place_back_when_the_client_leaves() -> None:
    with graph_simulator(faults=[rule("hang", seconds=60)]) as simulator:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(
                f"{simulator.url}/v1.0/users/ines@example.com/messages",
                headers=simulator.app_only(),
                timeout=0.05,
                verify=False,
            )
        until(lambda: simulator.control("GET", "/stats")["mailboxes"]["ines"]["in_flight"] == 0)


def test_a_slow_answer_is_whole_but_takes_its_time() -> None:
    with graph_simulator(faults=[rule("slow", seconds=0.2)]) as simulator:
        started = time.monotonic()
        assert len(simulator.get("/messages").json()["value"]) == 10
        assert time.monotonic() - started >= 0.19


def test_a_reset_breaks_the_connection() -> None:
    with graph_simulator(faults=[rule("reset")]) as simulator:
        with pytest.raises(httpx.ReadError, match="reset by peer"):
            simulator.get("/messages", headers={"Accept-Encoding": "identity"})
        assert simulator.get("/messages").status_code == 200


def test_a_truncated_answer_is_shorter_than_it_said() -> None:
    with graph_simulator(faults=[rule("truncate")]) as simulator:
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            simulator.get("/messages", headers={"Accept-Encoding": "identity"})
        assert simulator.get("/messages").status_code == 200


@pytest.mark.parametrize("operation", list(CALLS))
def test_a_broken_json_has_an_honest_length(operation: str) -> None:
    with graph_simulator(faults=[rule("badjson", operation)]) as simulator:
        answer = simulator.get(CALLS[operation])
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()


@pytest.mark.parametrize("path", ["/messages", DELTA])
@pytest.mark.parametrize("call", [1, 2])
def test_an_empty_page_in_the_middle_loses_nothing(path: str, call: int) -> None:
    operation = "delta" if path == DELTA else "messages"
    with graph_simulator(faults=[rule("empty_page", operation, at=[call])]) as simulator:
        pages = simulator.pages(path)
        assert [len(page["value"]) for page in pages].count(0) == 1
        assert pages[call - 1]["value"] == []
        assert sorted(numbers_of([item for page in pages for item in page["value"]])) == list(range(30))
        links = [page.get("@odata.nextLink") for page in pages]
        assert len(set(links)) == len(links)


@pytest.mark.parametrize("path", ["/messages", DELTA])
def test_a_repetition_brings_a_message_twice_and_loses_none(path: str) -> None:
    operation = "delta" if path == DELTA else "messages"
    with graph_simulator(faults=[rule("dup", operation, at=[2])]) as simulator:
        found = numbers_of(simulator.items(path))
        assert len(found) > 30
        assert set(found) == set(range(30))


@pytest.mark.parametrize("path", ["/messages", DELTA])
def test_a_link_can_lead_back_to_its_own_page(path: str) -> None:
    operation = "delta" if path == DELTA else "messages"
    with graph_simulator(faults=[rule("loop_next", operation, at=[2])]) as simulator:
        second = simulator.get(path).json()["@odata.nextLink"]
        assert simulator.get(second).json()["@odata.nextLink"] == second


@pytest.mark.parametrize("kind", ["loop_next", "evil_next"])
def test_a_false_link_comes_even_on_a_last_page(kind: str) -> None:
    with graph_simulator(faults=[rule(kind), rule(kind, "delta")]) as simulator:
        assert "@odata.nextLink" in simulator.get("/messages", **{"$top": "100"}).json()
        page = simulator.get(DELTA, headers={"Prefer": "odata.maxpagesize=100"}).json()
        assert ("@odata.nextLink" in page, "@odata.deltaLink" in page) == (True, False)


@pytest.mark.parametrize("path", ["/messages", DELTA])
def test_a_link_can_be_missing_though_there_is_more(path: str) -> None:
    operation = "delta" if path == DELTA else "messages"
    with graph_simulator(faults=[rule("lost_next", operation)]) as simulator:
        page = simulator.get(path).json()
        assert len(page["value"]) == 10
        assert not {"@odata.nextLink", "@odata.deltaLink"} & set(page)


def test_a_link_can_lead_to_another_host() -> None:
    other = "http://127.0.0.1:9/v1.0"
    with graph_simulator(faults=[rule("evil_next"), rule("evil_next", at=[2], url=other)]) as simulator:
        link = httpx.URL(simulator.get("/messages").json()["@odata.nextLink"])
        assert link.host == "graph.microsoft.com.example.net"
        assert link.path == "/v1.0/users/ines@example.com/messages"
        assert simulator.get("/messages").json()["@odata.nextLink"].startswith(other)


def test_a_token_expires_in_the_middle() -> None:
    with graph_simulator(faults=[rule("expire_token", at=[2])]) as simulator:
        assert simulator.get("/messages").status_code == 200
        for _ in range(2):
            answer = simulator.get("/messages")
            assert error_of(answer) == (401, "InvalidAuthenticationToken")
            assert answer.json()["error"]["message"] == "Lifetime validation failed, the token is expired."
        assert simulator.get("/messages", headers=simulator.app_only()).status_code == 200


def test_a_token_can_be_dead_on_arrival() -> None:
    with graph_simulator(faults=[rule("expire_token", "token", at=[2])]) as simulator:
        assert simulator.get("/messages", headers=simulator.app_only()).status_code == 401
        assert simulator.get("/messages", headers=simulator.app_only()).status_code == 200


def corrupt(simulator: Simulator, number: int = 5) -> dict[str, tuple[int, str] | int]:
    """How each way to reach a page with message `number`, and the message, is answered."""
    window = f"receivedDateTime eq 2024-01-01T00:{number:02d}:00Z"
    answers = {
        "page": simulator.get("/messages", **{"$filter": window, "$top": "1"}),
        "delta": simulator.get(DELTA, headers={"Prefer": "odata.maxpagesize=100"}),
        "single": simulator.get(f"/messages/{message_id(number)}"),
        "mime": simulator.get(f"/messages/{message_id(number)}/$value"),
        "ids": simulator.get("/messages", **{"$filter": window, "$select": "id,receivedDateTime"}),
        "single ids": simulator.get(f"/messages/{message_id(number)}", **{"$select": "id,subject"}),
        "neighbour": simulator.get(f"/messages/{message_id(number + 1)}"),
    }
    return {name: error_of(a) if a.status_code >= 400 else a.status_code for name, a in answers.items()}


@pytest.mark.parametrize("on", ["messages", "message", "any"])
def test_a_corrupt_item_breaks_every_page_with_bodies_it_is_on(on: str) -> None:
    with graph_simulator(faults=[{"on": on, "kind": "corrupt_item", "id": message_id(5)}]) as simulator:
        assert corrupt(simulator) == {
            "page": (500, "ErrorInternalServerError"),
            "delta": (500, "ErrorInternalServerError"),
            "single": (500, "ErrorItemCorrupt"),
            "mime": (500, "ErrorItemCorrupt"),
            "ids": 200,
            "single ids": 200,
            "neighbour": 200,
        }


def test_a_corrupt_item_can_heal() -> None:
    faults = [{"on": "message", "kind": "corrupt_item", "id": message_id(5), "times": 2}]
    with graph_simulator(faults=faults) as simulator:
        statuses = [simulator.get(f"/messages/{message_id(5)}").status_code for _ in range(3)]
        assert statuses == [500, 500, 200]


def test_a_corrupt_item_can_break_chosen_calls() -> None:
    faults = [{"on": "message", "kind": "corrupt_item", "id": message_id(5), "at": [2]}]
    with graph_simulator(faults=faults) as simulator:
        statuses = [simulator.get(f"/messages/{message_id(5)}").status_code for _ in range(3)]
        assert statuses == [200, 500, 200]


def test_a_corrupt_item_is_named_by_either_id() -> None:
    with graph_simulator() as simulator:
        plain = simulator.get(f"/messages/{message_id(5)}").json()["id"]
        rules = [{"on": "any", "kind": "corrupt_item", "id": plain}]
        assert simulator.control("PUT", "/faults", rules) == {"faults": 1}
        assert simulator.get(f"/messages/{message_id(5)}", headers=IMMUTABLE).status_code == 500


def test_calls_that_were_throttled_do_not_use_faults_up() -> None:
    faults = [rule("504", "count", at=[2])]
    with graph_simulator(faults=faults, limits=Limits(requests=1, window_s=60)) as simulator:
        statuses = []
        for _ in range(3):
            statuses.append(simulator.get("/messages/$count").status_code)
            statuses.append(simulator.get("/messages/$count").status_code)
            simulator.time.seconds += 61
        assert statuses == [200, 429, 504, 429, 200, 429]
