"""`$batch`: up to 20 requests, each answered on its own, refused as a whole only for its form."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from atom_simulators.graph.limits import Limits
from graph_simulator import Simulator, error_of, graph_simulator, message_id

USER = "/users/ines@example.com"


def post(simulator: Simulator, requests: Any, **headers: str) -> httpx.Response:
    return simulator.http.post("/v1.0/$batch", json={"requests": requests}, headers=headers)


def get(name: str, url: str, **about: Any) -> dict[str, Any]:
    return {"id": name, "method": "GET", "url": url, **about}


def test_parts_are_answered_one_by_one_in_an_order_of_the_service() -> None:
    with graph_simulator() as simulator:
        answer = post(
            simulator,
            [
                get("1", f"{USER}/messages/{message_id(1)}?$select=subject"),
                get("2", f"{USER}/messages/nope"),
                get("3", f"{USER}/messages/$count"),
            ],
        )
        assert answer.status_code == 200
        responses = answer.json()["responses"]
        assert [part["id"] for part in responses] == ["3", "2", "1"]
        found = {part["id"]: part for part in responses}
        assert found["1"]["body"]["subject"] == "Lease 1"
        assert "; odata.metadata=minimal" in found["1"]["headers"]["Content-Type"]
        assert (found["2"]["status"], found["2"]["body"]["error"]["code"]) == (400, "ErrorInvalidIdMalformed")
        assert base64.b64decode(found["3"]["body"]) == b"30"


def test_headers_of_a_part_are_its_own() -> None:
    with graph_simulator() as simulator:
        url = f"{USER}/messages/{message_id(1)}?$select=id"
        prefer = {"Prefer": 'IdType="ImmutableId"'}
        answer = post(simulator, [get("1", url, headers=prefer), get("2", url)], **prefer)
        found = {part["id"]: part["body"]["id"] for part in answer.json()["responses"]}
        assert found["1"] == message_id(1)
        assert found["2"] != message_id(1)


@pytest.mark.parametrize(
    ("requests", "code"),
    [
        ([], "BadRequest"),
        ("none", "BadRequest"),
        ([get(str(number), "/me") for number in range(21)], "MaximumValueExceeded"),
        ([get("a", "/me"), get("A", "/me")], "BadRequest"),
        ([{"id": "1", "url": "/me"}], "BadRequest"),
        ([get("1", "/me", dependsOn=["2"])], "BadRequest"),
        (["text"], "BadRequest"),
        ([get("1", "/me", headers="x")], "BadRequest"),
    ],
)
def test_a_batch_of_bad_form_is_refused_as_a_whole(requests: Any, code: str) -> None:
    with graph_simulator() as simulator:
        assert error_of(post(simulator, requests)) == (400, code)


def test_a_repeated_id_is_named() -> None:
    with graph_simulator() as simulator:
        answer = post(simulator, [get("x", "/me"), get("X", "/me")])
        assert answer.json()["error"]["message"] == "Request Id X has to be unique in a batch."


def test_a_part_whose_precondition_failed_is_not_tried() -> None:
    with graph_simulator() as simulator:
        parts = [
            get("1", f"{USER}/messages/nope"),
            get("2", f"{USER}/messages", dependsOn=["1"]),
            get("3", f"{USER}/messages/$count"),
            get("4", f"{USER}/messages/$count", dependsOn=["3"]),
        ]
        found = {part["id"]: part["status"] for part in post(simulator, parts).json()["responses"]}
        assert found == {"1": 400, "2": 424, "3": 200, "4": 200}


@pytest.mark.parametrize("url", ["/v1.0/me", "/$batch", "nothing"])
def test_a_url_that_is_not_relative_to_the_version_fails_its_part(url: str) -> None:
    with graph_simulator() as simulator:
        part = post(simulator, [get("1", url)]).json()["responses"][0]
        assert (part["status"], part["body"]["error"]["code"]) == (400, "RequestBroker--ParseUri")


def test_a_part_is_throttled_on_its_own() -> None:
    limits = Limits(requests=2)
    with graph_simulator(limits=limits) as simulator:
        parts = [get(str(number), f"{USER}/messages/$count") for number in range(4)]
        responses = post(simulator, parts).json()["responses"]
        refused = [part for part in responses if part["status"] == 429]
        assert len(refused) == 2
        assert all(int(part["headers"]["Retry-After"]) > 0 for part in refused)


def test_twenty_parts_pass_though_only_four_run_at_once() -> None:
    with graph_simulator(latency_s=1.0) as simulator:
        parts = [get(str(number), f"{USER}/messages/$count") for number in range(20)]
        assert {part["status"] for part in post(simulator, parts).json()["responses"]} == {200}
        stats = simulator.control("GET", "/stats")
        assert stats["mailboxes"]["ines"]["peak_in_flight"] == 4


def test_faults_strike_parts_by_status_and_batches_as_a_whole() -> None:
    faults = [
        {"on": "message", "kind": "503", "at": [1], "retry_after": 7},
        {"on": "message", "kind": "reset", "at": [2]},
        {"on": "batch", "kind": "504", "at": [2]},
    ]
    with graph_simulator(faults=faults) as simulator:
        parts = [get(str(number), f"{USER}/messages/{message_id(number)}") for number in range(2)]
        found = {part["id"]: part for part in post(simulator, parts).json()["responses"]}
        assert (found["0"]["status"], found["0"]["headers"]["Retry-After"]) == (503, "7")
        assert found["1"]["status"] == 200
        assert post(simulator, parts).status_code == 504


def test_a_batch_needs_a_token_and_a_post() -> None:
    with graph_simulator() as simulator:
        assert error_of(post(simulator, [get("1", "/me")], Authorization="")) == (401, "InvalidAuthenticationToken")
        assert simulator.http.get("/v1.0/$batch").status_code == 405
        assert error_of(simulator.http.post("/v1.0/$batch", content=b"{")) == (400, "BadRequest")
