"""The simulator's own surface: what was asked of it, and changes to a mailbox while clients are at work."""

from __future__ import annotations

import httpx
import pytest

from graph_simulator import IMMUTABLE, a_graph_message, folder_id, graph_simulator, message_id, numbers_of


def test_the_log_has_every_request_and_no_secret() -> None:
    with graph_simulator(faults=[{"on": "count", "kind": "503", "at": [1]}]) as simulator:
        simulator.get("/messages", **{"$top": "1"})
        simulator.get("/messages/$count")
        log = simulator.control("GET", "/log")
        assert [line["operation"] for line in log["requests"]] == ["token", "messages", "count"]
        last = log["requests"][-1]
        assert (last["status"], last["fault"], last["mailbox"], last["in_flight"]) == (503, "503", "ines", 1)
        assert last["path"].endswith("/messages/$count")
        assert "good" not in str(log)
        assert "Bearer" not in str(log)
        since = simulator.control("GET", "/log?since=2&operation=count")
        assert [line["n"] for line in since["requests"]] == [3]


def test_the_log_has_the_parts_of_a_batch() -> None:
    with graph_simulator() as simulator:
        part = {"id": "1", "method": "GET", "url": "/users/ines@example.com/messages/$count"}
        simulator.http.post("/v1.0/$batch", json={"requests": [part]})
        lines = simulator.control("GET", "/log")["requests"]
        assert [(line["operation"], line["in_batch"]) for line in lines[1:]] == [("count", True), ("batch", False)]


def test_the_control_surface_is_not_logged_and_needs_no_token() -> None:
    with graph_simulator() as simulator:
        assert httpx.get(f"{simulator.url}/_sim/mailboxes", verify=False).json() == {
            "mailboxes": [
                {
                    "name": "ines",
                    "address": "ines@example.com",
                    "user_id": simulator.get("").json()["id"],
                    "messages": 30,
                    "folders": 5,
                }
            ]
        }
        assert simulator.control("GET", "/stats")["requests"] == 2


def test_stats_count_by_operation_status_and_fault() -> None:
    with graph_simulator(faults=[{"on": "messages", "kind": "504", "at": [1]}]) as simulator:
        simulator.get("/messages")
        simulator.get("/messages")
        stats = simulator.control("GET", "/stats")
        assert stats["by_operation"] == {"token": 1, "messages": 2}
        assert stats["by_status"] == {"200": 2, "504": 1}
        assert stats["faults"] == {"504": 1}


def test_a_message_arrives_where_it_is_put() -> None:
    with graph_simulator() as simulator:
        shown = simulator.control("POST", "/mailboxes/ines/messages", {"subject": "Now 99"})
        assert shown["parentFolderId"] == folder_id("Inbox")
        newest = simulator.get("/messages", headers=IMMUTABLE, **{"$top": "1"}).json()["value"][0]
        assert (newest["id"], newest["subject"]) == (shown["id"], "Now 99")
        assert newest["receivedDateTime"] == "2025-06-15T15:06:40Z"


def test_several_messages_arrive_at_once_into_folders_by_any_name() -> None:
    with graph_simulator() as simulator:
        names = ("archive", "Sent Items", folder_id("Drafts"))
        many = [a_graph_message(40 + number, parentFolderId=name) for number, name in enumerate(names)]
        assert len(simulator.control("POST", "/mailboxes/ines/messages", many)["added"]) == 3
        for number, name in ((40, "archive"), (41, "sentitems"), (42, "drafts")):
            assert numbers_of(simulator.items(f"/mailFolders/{name}/messages")) == [number]


def test_a_message_with_a_known_id_replaces_the_old_one() -> None:
    with graph_simulator() as simulator:
        simulator.control("POST", "/mailboxes/ines/messages", a_graph_message(1, subject="Changed 1"))
        assert len(simulator.items("/messages")) == 30
        assert simulator.get(f"/messages/{message_id(1)}").json()["subject"] == "Changed 1"


def test_a_message_goes_for_good_and_can_come_back() -> None:
    with graph_simulator() as simulator:
        simulator.control("DELETE", f"/mailboxes/ines/messages/{message_id(1)}")
        assert simulator.get(f"/messages/{message_id(1)}").status_code == 404
        assert simulator.get("/messages/$count").text == "29"
        simulator.control("POST", "/mailboxes/ines/messages", a_graph_message(1))
        assert simulator.get("/messages/$count").text == "30"


def test_a_list_shifts_under_a_client_that_pages_through_it() -> None:
    with graph_simulator() as simulator:
        link = simulator.get("/messages").json()["@odata.nextLink"]
        simulator.control("DELETE", f"/mailboxes/ines/messages/{message_id(29)}")
        assert numbers_of(simulator.get(link).json()["value"])[0] == 18


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("POST", "/mailboxes/nobody/messages", {}, 404),
        ("DELETE", "/mailboxes/ines/messages/nope", None, 404),
        ("POST", f"/mailboxes/ines/messages/{message_id(1)}/move", {"destinationId": "nowhere"}, 400),
        ("POST", f"/mailboxes/ines/messages/{message_id(1)}/move", [], 400),
        ("POST", "/mailboxes/ines/messages", "text", 400),
        ("POST", "/mailboxes/ines/messages", {"id": 5}, 400),
        ("POST", "/mailboxes/ines/folders", {"displayName": "no id"}, 400),
        ("PUT", "/faults", [{"on": "messages", "kind": "boom"}], 400),
        ("PUT", "/faults", None, 400),
    ],
)
def test_what_cannot_be_done_is_said(method: str, path: str, content: object, status: int) -> None:
    with graph_simulator() as simulator:
        body = {} if content is None else {"json": content}
        answer = simulator.http.request(method, f"/_sim{path}", **body)
        assert answer.status_code == status
        assert answer.json()["error"]


def test_all_tokens_can_be_ended() -> None:
    with graph_simulator() as simulator:
        simulator.control("POST", "/tokens/expire")
        assert simulator.get("/messages").status_code == 401
        assert simulator.get("/messages", headers=simulator.app_only()).status_code == 200


def test_faults_can_be_changed_while_it_runs() -> None:
    with graph_simulator() as simulator:
        simulator.control("PUT", "/faults", [{"on": "messages", "kind": "500"}])
        assert simulator.get("/messages").status_code == 500
        simulator.control("PUT", "/faults", [])
        assert simulator.get("/messages").status_code == 200


def test_a_request_body_of_more_than_4_mb_is_refused() -> None:
    with graph_simulator() as simulator:
        assert simulator.http.post("/v1.0/$batch", content=b"x" * (5 * 1024 * 1024)).status_code == 413
