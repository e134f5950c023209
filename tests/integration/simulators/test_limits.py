"""Throttling: four calls at once per app and mailbox, ten thousand in ten minutes, and what counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from atom_simulators.graph.limits import Limits
from atom_simulators.graph.quirks import Quirks
from graph_simulator import Simulator, a_mailbox, error_of, graph_simulator, until


@contextmanager
def held_calls(simulator: Simulator, number: int, user: str = "ines", app: str = "app-1") -> Iterator[list[int]]:
    """So many calls that wait at the gate; their statuses are in the list once it has opened."""
    headers = simulator.app_only(app)
    simulator.time.gate_open = False
    statuses: list[int] = []

    def call() -> None:
        url = f"{simulator.url}/v1.0/users/{user}@example.com/messages"
        statuses.append(httpx.get(url, headers=headers, timeout=20, verify=False).status_code)

    threads = [threading.Thread(target=call) for _ in range(number)]
    for thread in threads:
        thread.start()
    until(lambda: in_flight(simulator, user) == number)
    try:
        yield statuses
    finally:
        simulator.time.open_gate()
        for thread in threads:
            thread.join()


def in_flight(simulator: Simulator, user: str) -> int:
    return int(simulator.control("GET", "/stats")["mailboxes"][user]["in_flight"])


def test_the_fifth_call_at_once_is_refused() -> None:
    with graph_simulator(latency_s=1.0) as simulator:
        with held_calls(simulator, 4) as statuses:
            answer = simulator.get("/messages")
            assert error_of(answer) == (429, "ApplicationThrottled")
            assert answer.json() == {
                "error": {
                    "code": "ApplicationThrottled",
                    "message": "Application is over its MailboxConcurrency limit.",
                }
            }
            assert answer.headers["retry-after"] == "1"
        assert statuses == [200] * 4
        assert simulator.get("/messages").status_code == 200
        assert simulator.control("GET", "/stats")["mailboxes"]["ines"]["peak_in_flight"] == 4


def test_other_apps_and_other_mailboxes_have_limits_of_their_own() -> None:
    with graph_simulator([a_mailbox("ines"), a_mailbox("tomasz")], latency_s=1.0) as simulator:
        others = (("tomasz", simulator.app_only()), ("ines", simulator.app_only("app-2")))
        with held_calls(simulator, 4):
            for user, headers in others:
                simulator.time.gate_open = True
                answer = simulator.http.get(f"/v1.0/users/{user}@example.com/messages", headers=headers)
                assert answer.status_code == 200


def test_the_limit_can_be_the_app_s() -> None:
    boxes = [a_mailbox("ines"), a_mailbox("tomasz")]
    quirks = Quirks(concurrency_scope="app", throttle_retry_after=None, throttle_inner_error=True)
    with graph_simulator(boxes, latency_s=1.0, quirks=quirks) as simulator, held_calls(simulator, 4):
        answer = simulator.http.get("/v1.0/users/tomasz@example.com/messages")
        assert error_of(answer) == (429, "ApplicationThrottled")
        assert "retry-after" not in answer.headers
        assert "innerError" in answer.json()["error"]


def test_the_code_of_a_refusal_is_settable() -> None:
    quirks = Quirks(throttle_code="ErrorExceededConnectionCount")
    with graph_simulator(quirks=quirks, limits=Limits(requests=1)) as simulator:
        simulator.get("/messages")
        assert error_of(simulator.get("/messages")) == (429, "ErrorExceededConnectionCount")


def test_the_number_at_once_is_settable_and_0_lifts_it() -> None:
    with graph_simulator(latency_s=1.0, limits=Limits(concurrency=1)) as simulator, held_calls(simulator, 1):
        assert simulator.get("/messages").status_code == 429
    with graph_simulator(latency_s=1.0, limits=Limits(concurrency=0)) as simulator, held_calls(simulator, 6):
        assert in_flight(simulator, "ines") == 6


def test_users_are_not_the_mailbox_s_business() -> None:
    with graph_simulator(latency_s=1.0) as simulator, held_calls(simulator, 4):
        simulator.time.gate_open = True
        assert simulator.get("").status_code == 200


def test_too_many_calls_in_the_window_are_refused_until_it_has_passed() -> None:
    with graph_simulator(limits=Limits(requests=3, window_s=600)) as simulator:
        for _ in range(3):
            assert simulator.get("/messages/$count").status_code == 200
            simulator.time.seconds += 10
        answer = simulator.get("/messages/$count")
        assert error_of(answer) == (429, "ApplicationThrottled")
        assert 570 <= int(answer.headers["retry-after"]) <= 581
        simulator.time.seconds += 582
        assert simulator.get("/messages/$count").status_code == 200


def test_calls_that_were_refused_count_as_well() -> None:
    with graph_simulator(limits=Limits(requests=2, window_s=100)) as simulator:
        for _ in range(2):
            simulator.get("/messages/$count")
        simulator.time.seconds += 60
        for _ in range(3):
            assert simulator.get("/messages/$count").status_code == 429
        simulator.time.seconds += 50
        assert simulator.get("/messages/$count").status_code == 429


def test_latency_is_that_of_every_call_and_that_of_pages_is_apart() -> None:
    with graph_simulator(latency_s=0.0, page_latency_s=1.0) as simulator, held_calls(simulator, 1):
        assert simulator.get("/messages/$count").status_code == 200
        assert simulator.get("/mailFolders").status_code == 200


@pytest.mark.parametrize("status", [401, 404, 400])
def test_a_place_is_given_back_whatever_the_answer(status: int) -> None:
    path = {401: "/messages", 404: "/messages/AAMk" + "x" * 60, 400: "/messages?$select=colour"}[status]
    headers = {"Authorization": "Bearer x"} if status == 401 else {}
    with graph_simulator() as simulator:
        for _ in range(6):
            assert simulator.get(path, headers=headers).status_code == status
        assert in_flight(simulator, "ines") == 0
