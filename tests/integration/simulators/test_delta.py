"""Delta rounds: everything once, then what came, changed and went; and how a round ends early."""

from __future__ import annotations

from typing import Any

import pytest

from atom_simulators.graph.quirks import Quirks
from graph_simulator import (
    IMMUTABLE,
    Simulator,
    a_graph_message,
    error_of,
    folder_id,
    graph_simulator,
    message_id,
    numbers_of,
)

PATH = "/mailFolders/inbox/messages/delta"


def round_of(simulator: Simulator, start: str, **params: Any) -> tuple[list[dict[str, Any]], str]:
    """All items of a round, and its deltaLink."""
    pages = simulator.pages(start, **params)
    assert all(("@odata.nextLink" in page) != ("@odata.deltaLink" in page) for page in pages)
    return [item for page in pages for item in page["value"]], pages[-1]["@odata.deltaLink"]


def move(simulator: Simulator, number: int, folder: str) -> None:
    simulator.control("POST", f"/mailboxes/ines/messages/{message_id(number)}/move", {"destinationId": folder})


def test_a_first_round_lists_the_folder_and_ends_with_a_delta_link() -> None:
    with graph_simulator() as simulator:
        found, link = round_of(simulator, PATH)
        assert sorted(numbers_of(found)) == list(range(30))
        assert all(item["@odata.type"] == "#microsoft.graph.message" for item in found)
        assert "/mailFolders('" in link
        assert "$deltatoken=" in link
        assert round_of(simulator, link)[0] == []


@pytest.mark.parametrize("form", ["delta", "delta()", "microsoft.graph.delta()", "microsoft.graph.delta"])
def test_every_way_to_write_delta_leads_there(form: str) -> None:
    with graph_simulator() as simulator:
        for folder in ("/mailFolders/inbox", f"/mailfolders('{folder_id('Inbox')}')"):
            assert simulator.get(f"{folder}/messages/{form}").json()["@odata.context"].endswith("#Collection(message)")


def test_the_page_size_is_the_one_preferred() -> None:
    with graph_simulator() as simulator:
        prefer = {"Prefer": "odata.maxpagesize=7"}
        answer = simulator.get(PATH, headers=prefer)
        assert len(answer.json()["value"]) == 7
        assert answer.headers["preference-applied"] == "odata.maxpagesize=7"
        assert len(simulator.get(answer.json()["@odata.nextLink"]).json()["value"]) == 10
        assert len(simulator.get(PATH, **{"$top": "4"}).json()["value"]) == 4
    with graph_simulator(quirks=Quirks(delta_honours_top=False)) as simulator:
        assert len(simulator.get(PATH, **{"$top": "4"}).json()["value"]) == 10


def test_a_selection_holds_for_the_whole_round() -> None:
    with graph_simulator() as simulator:
        found, link = round_of(simulator, PATH, **{"$select": "id"})
        assert all(sorted(item) == ["@odata.etag", "@odata.type", "id"] for item in found)
        simulator.control("POST", "/mailboxes/ines/messages", a_graph_message(40))
        assert sorted(round_of(simulator, link)[0][0]) == ["@odata.etag", "@odata.type", "id"]


def test_the_next_round_tells_what_came_changed_and_went() -> None:
    with graph_simulator() as simulator:
        _, link = round_of(simulator, PATH, headers=IMMUTABLE)
        backdated = a_graph_message(50, receivedDateTime="2001-01-01T00:00:00Z")
        simulator.control("POST", "/mailboxes/ines/messages", backdated)
        simulator.control("PATCH", f"/mailboxes/ines/messages/{message_id(1)}", {"isRead": True})
        simulator.control("DELETE", f"/mailboxes/ines/messages/{message_id(2)}")
        move(simulator, 3, "archive")
        found, following = round_of(simulator, link, headers=IMMUTABLE)
        gone = {item["id"]: item["@removed"]["reason"] for item in found if "@removed" in item}
        assert gone == {message_id(2): "deleted", message_id(3): "changed"}
        kept = [item for item in found if "@removed" not in item]
        assert numbers_of(kept) == [50, 1]
        assert kept[1]["isRead"] is True
        assert round_of(simulator, following, headers=IMMUTABLE)[0] == []
        archived, _ = round_of(simulator, "/mailFolders/archive/messages/delta", headers=IMMUTABLE)
        assert numbers_of(archived) == [3]


def test_a_change_changes_the_etag() -> None:
    with graph_simulator() as simulator:
        before = simulator.get(f"/messages/{message_id(1)}").json()
        simulator.control("PATCH", f"/mailboxes/ines/messages/{message_id(1)}", {"isRead": True})
        after = simulator.get(f"/messages/{message_id(1)}").json()
        assert before["@odata.etag"] != after["@odata.etag"] == f'W/"{after["changeKey"]}"'
        assert before["id"] == after["id"]


def test_a_move_changes_the_derived_id_and_keeps_the_immutable_one() -> None:
    with graph_simulator() as simulator:
        _, link = round_of(simulator, PATH)
        before = simulator.get(f"/messages/{message_id(5)}").json()["id"]
        move(simulator, 5, "archive")
        assert error_of(simulator.get(f"/messages/{before}")) == (404, "ErrorItemNotFound")
        after = simulator.get(f"/messages/{message_id(5)}").json()
        assert after["id"] != before
        assert after["parentFolderId"] == folder_id("Archive")
        assert [item["id"] for item in round_of(simulator, link)[0]] == [before]


def test_with_immutable_ids_a_return_between_two_rounds_is_lost() -> None:
    with graph_simulator() as simulator:
        _, link = round_of(simulator, PATH, headers=IMMUTABLE)
        move(simulator, 4, "archive")
        move(simulator, 4, "inbox")
        found, _ = round_of(simulator, link, headers=IMMUTABLE)
        assert [(item["id"], "@removed" in item) for item in found] == [(message_id(4), True)]
        plain, _ = round_of(simulator, link)
        assert [("@removed" in item) for item in plain] == [True, False]


def test_a_return_is_told_where_the_switch_says_so() -> None:
    with graph_simulator(quirks=Quirks(immutable_return_is_lost=False)) as simulator:
        _, link = round_of(simulator, PATH, headers=IMMUTABLE)
        move(simulator, 4, "archive")
        move(simulator, 4, "inbox")
        found, _ = round_of(simulator, link, headers=IMMUTABLE)
        assert [(item["id"], "@removed" in item) for item in found] == [(message_id(4), False)]


def test_arrivals_during_a_first_round_do_not_shift_it() -> None:
    with graph_simulator() as simulator:
        page = simulator.get(PATH, headers=IMMUTABLE).json()
        for number in (60, 61, 62):
            simulator.control("POST", "/mailboxes/ines/messages", a_graph_message(number % 60, id=message_id(number)))
        rest, link = round_of(simulator, page["@odata.nextLink"], headers=IMMUTABLE)
        listed = {item["id"] for item in [*page["value"], *rest]}
        assert {message_id(number) for number in range(30)} <= listed
        told, _ = round_of(simulator, link, headers=IMMUTABLE)
        assert {item["id"] for item in told} == {message_id(number) for number in (60, 61, 62)}


@pytest.mark.parametrize(("kind", "expected"), [("created", {40}), ("updated", {1}), ("deleted", set())])
def test_a_round_can_be_about_one_kind_of_change(kind: str, expected: set[int]) -> None:
    with graph_simulator() as simulator:
        _, link = round_of(simulator, PATH, changeType=kind, headers=IMMUTABLE)
        simulator.control("POST", "/mailboxes/ines/messages", a_graph_message(40))
        simulator.control("PATCH", f"/mailboxes/ines/messages/{message_id(1)}", {"isRead": True})
        simulator.control("DELETE", f"/mailboxes/ines/messages/{message_id(2)}")
        found, _ = round_of(simulator, link, headers=IMMUTABLE)
        assert set(numbers_of([item for item in found if "@removed" not in item])) == expected
        assert [item["id"] for item in found if "@removed" in item] == ([message_id(2)] if kind == "deleted" else [])


@pytest.mark.parametrize(("operator", "first"), [("ge", 10), ("gt", 11)])
def test_a_filter_by_date_cuts_a_round(operator: str, first: int) -> None:
    with graph_simulator() as simulator:
        condition = f"receivedDateTime {operator} 2024-01-01T00:10:00Z"
        found, _ = round_of(simulator, PATH, **{"$filter": condition})
        assert sorted(numbers_of(found)) == list(range(first, 30))


def test_a_filtered_round_claims_to_be_complete_at_its_limit() -> None:
    with graph_simulator(quirks=Quirks(delta_filter_cap=15)) as simulator:
        condition = {"$filter": "receivedDateTime ge 2024-01-01T00:00:00Z"}
        assert len(round_of(simulator, PATH, **condition)[0]) == 15
        assert len(round_of(simulator, PATH)[0]) == 30


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"$filter": "receivedDateTime lt 2024-01-01T00:00:00Z"}, "ErrorInvalidUrlQuery"),
        ({"$filter": "isRead eq true"}, "ErrorInvalidUrlQuery"),
        (
            {"$filter": "receivedDateTime ge 2024-01-01T00:00:00Z and receivedDateTime lt 2025-01-01T00:00:00Z"},
            "ErrorInvalidUrlQuery",
        ),
        ({"$orderby": "receivedDateTime asc"}, "ErrorInvalidUrlQuery"),
        ({"$orderby": "subject"}, "ErrorInvalidUrlQuery"),
        ({"$search": '"lease"'}, "BadRequest"),
        ({"changeType": "moved"}, "BadRequest"),
        ({"$select": "colour"}, "BadRequest"),
        ({"$deltatoken": "latest"}, "SyncStateInvalid"),
        ({"$skiptoken": "garbage"}, "SyncStateInvalid"),
    ],
)
def test_what_delta_does_not_take_is_refused(params: dict[str, str], code: str) -> None:
    with graph_simulator() as simulator:
        assert error_of(simulator.get(PATH, **params)) == (400, code)


def test_the_order_newest_first_is_taken() -> None:
    with graph_simulator() as simulator:
        found, _ = round_of(simulator, PATH, **{"$orderby": "receivedDateTime desc"})
        assert numbers_of(found) == list(range(29, -1, -1))


def test_there_is_no_delta_of_the_whole_mailbox() -> None:
    with graph_simulator() as simulator:
        assert simulator.get("/messages/delta").status_code == 400


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("SyncStateNotFound", (410, "SyncStateNotFound")),
        ("resyncRequired", (410, "resyncRequired")),
        ("SyncStateNotFound-400", (400, "SyncStateNotFound")),
    ],
)
def test_an_expired_state_is_gone(form: Any, expected: tuple[int, str]) -> None:
    with graph_simulator(quirks=Quirks(delta_gone=form)) as simulator:
        page = simulator.get(PATH).json()
        _, link = round_of(simulator, PATH)
        simulator.control("POST", "/mailboxes/ines/expire-delta")
        for stale in (page["@odata.nextLink"], link):
            answer = simulator.get(stale)
            assert error_of(answer) == expected
            assert ("location" in answer.headers) is (form == "resyncRequired")
        assert len(round_of(simulator, PATH)[0]) == 30


def test_a_state_of_another_folder_is_refused() -> None:
    with graph_simulator() as simulator:
        _, link = round_of(simulator, PATH)
        elsewhere = link.replace(folder_id("Inbox").replace("=", "%3D"), folder_id("Archive"))
        assert elsewhere != link
        assert error_of(simulator.get(elsewhere)) == (400, "SyncStateInvalid")


def test_links_of_a_signed_in_user_stay_below_me() -> None:
    with graph_simulator() as simulator:
        page = simulator.http.get("/v1.0/me" + PATH, headers=simulator.delegated("ines")).json()
        assert page["@odata.nextLink"].startswith(f"{simulator.url}/v1.0/me/mailFolders('")
