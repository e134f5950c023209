"""Folders: which are listed, under which names they are found, and what they claim to hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from atom_simulators.graph.quirks import Quirks
from graph_simulator import (
    Simulator,
    a_folder,
    a_graph_message,
    a_mailbox,
    error_of,
    folder_id,
    graph_simulator,
    numbers_of,
)

NAMES = [f"Shelf {number:02d}" for number in range(12)]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    folders = [a_folder("Inbox"), a_folder("Archive"), *(a_folder(name) for name in NAMES)]
    folders.append(a_folder("Atlas", parent="Inbox"))
    folders.append(a_folder("Deep", parent="Atlas"))
    folders.append(a_folder("Hidden", parent="Inbox", isHidden=True))
    folders.append(
        a_folder(
            "Unread lease",
            parent="Inbox",
            **{
                "@odata.type": "#microsoft.graph.mailSearchFolder",
                "filterQuery": "isRead eq false",
                "includeNestedFolders": True,
                "sourceFolderIds": [folder_id("Inbox")],
            },
        )
    )
    messages = [a_graph_message(number) for number in range(4)]
    messages.append(a_graph_message(5, parentFolderId=folder_id("Deep")))
    with graph_simulator([a_mailbox(messages=messages, folders=folders)]) as running:
        yield running


def shown(items: list[dict[str, str]]) -> list[str]:
    return [item["displayName"] for item in items]


def test_only_children_of_the_root_are_listed_ten_to_a_page(simulator: Simulator) -> None:
    page = simulator.get("/mailFolders").json()
    assert len(page["value"]) == 10
    found = shown(simulator.items("/mailFolders"))
    assert found == ["Inbox", "Archive", *NAMES, "Unread lease"]


def test_child_folders_are_listed_by_their_parent_and_hidden_ones_on_request(simulator: Simulator) -> None:
    assert shown(simulator.items("/mailFolders/inbox/childFolders")) == ["Atlas"]
    asked = {"includeHiddenFolders": "true"}
    assert shown(simulator.items("/mailFolders/inbox/childFolders", **asked)) == ["Atlas", "Hidden"]
    assert shown(simulator.items(f"/mailFolders/{folder_id('Atlas')}/childFolders")) == ["Deep"]


def test_the_count_of_children_leaves_hidden_ones_out_where_they_were_not_asked_for(simulator: Simulator) -> None:
    assert simulator.get("/mailFolders/inbox").json()["childFolderCount"] == 1
    answer = simulator.get("/mailFolders/inbox", includeHiddenFolders="true").json()
    assert answer["childFolderCount"] == 2


def test_a_search_folder_says_what_it_is_and_repeats_messages_of_elsewhere(simulator: Simulator) -> None:
    found = simulator.get(f"/mailFolders/{folder_id('Unread lease')}").json()
    assert found["@odata.type"] == "#microsoft.graph.mailSearchFolder"
    assert found["isSupported"] is True
    assert found["totalItemCount"] == 3
    inside = simulator.get(f"/mailFolders/{folder_id('Unread lease')}/messages").json()["value"]
    assert numbers_of(inside) == [5, 3, 1]
    assert inside[0]["parentFolderId"] == folder_id("Deep")
    counted = simulator.get(f"/mailFolders/{folder_id('Unread lease')}/messages/$count")
    assert counted.text == "3"


def test_a_search_that_is_not_understood_holds_all_of_its_sources() -> None:
    search = {"@odata.type": "#microsoft.graph.mailSearchFolder", "filterQuery": "size gt 5 kb"}
    folders = [a_folder("Inbox"), a_folder("Big", **search, includeNestedFolders=True)]
    with graph_simulator([a_mailbox(messages=[a_graph_message(1)], folders=folders)]) as simulator:
        assert shown(simulator.items("/mailFolders")) == ["Inbox", "Big"]
        assert numbers_of(simulator.items(f"/mailFolders/{folder_id('Big')}/messages")) == [1]


@pytest.mark.parametrize("name", ["inbox", "INBOX", "msgfolderroot", "archive"])
def test_well_known_names_stand_for_ids_in_any_case(simulator: Simulator, name: str) -> None:
    answer = simulator.get(f"/mailFolders/{name}")
    assert answer.status_code == 200
    assert answer.json()["@odata.context"].endswith("/mailFolders/$entity")


def test_the_parent_of_the_inbox_is_the_root(simulator: Simulator) -> None:
    root = simulator.get("/mailFolders/msgfolderroot").json()
    assert simulator.get("/mailFolders/inbox").json()["parentFolderId"] == root["id"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clutter", (404, "ErrorFolderNotFound")),
        (folder_id("nowhere"), (404, "ErrorFolderNotFound")),
        ("Shelf 01", (400, "ErrorInvalidIdMalformed")),
    ],
)
def test_a_folder_that_is_not_there_is_refused(simulator: Simulator, name: str, expected: tuple[int, str]) -> None:
    for path in ("", "/messages", "/messages/$count", "/childFolders", "/messages/delta"):
        assert error_of(simulator.get(f"/mailFolders/{name}{path}")) == expected


def test_counts_follow_the_folder_and_are_its_file_s_where_it_has_them() -> None:
    inbox = a_folder("Inbox", totalItemCount=40, unreadItemCount=9)
    mailbox = a_mailbox(messages=[a_graph_message(n) for n in range(3)], folders=[inbox, a_folder("Archive")])
    with graph_simulator([mailbox]) as simulator:
        before = simulator.get("/mailFolders/inbox").json()
        assert (before["totalItemCount"], before["unreadItemCount"]) == (40, 9)
        simulator.control("POST", "/mailboxes/ines/messages", a_graph_message(9))
        after = simulator.get("/mailFolders/inbox").json()
        assert (after["totalItemCount"], after["unreadItemCount"]) == (41, 10)


def test_a_selection_of_folder_properties_is_cut_and_checked(simulator: Simulator) -> None:
    page = simulator.get("/mailFolders", **{"$select": "displayName", "$top": "1"}).json()
    assert page["value"] == [{"id": folder_id("Inbox"), "displayName": "Inbox"}]
    answer = simulator.get("/mailFolders", **{"$select": "wellKnownName"})
    assert error_of(answer) == (400, "BadRequest")
    assert "on type 'microsoft.graph.mailFolder'" in answer.json()["error"]["message"]


def test_well_known_names_are_not_shown(simulator: Simulator) -> None:
    assert "wellKnownName" not in simulator.get("/mailFolders/inbox").json()


def test_folders_are_filtered_ordered_and_counted(simulator: Simulator) -> None:
    found = simulator.get("/mailFolders", **{"$filter": "displayName eq 'Shelf 03'", "$count": "true"}).json()
    assert (shown(found["value"]), found["@odata.count"]) == (["Shelf 03"], 1)
    ordered = simulator.items("/mailFolders", **{"$orderby": "displayName desc", "$top": "100"})
    assert shown(ordered)[:2] == ["Unread lease", "Shelf 11"]
    assert simulator.get("/mailFolders/$count").text == "15"


def test_a_folder_s_count_can_lie() -> None:
    quirks = Quirks(count_off_by={"Archive": 2}, count_always={"inbox": -1}, missing_folder_code="ErrorItemNotFound")
    with graph_simulator(quirks=quirks) as simulator:
        assert simulator.get("/mailFolders/archive/messages/$count").text == "2"
        assert simulator.get("/mailFolders/inbox/messages/$count").text == "-1"
        assert simulator.get("/mailFolders/archive").json()["totalItemCount"] == 2
        assert error_of(simulator.get("/mailFolders/clutter")) == (404, "ErrorItemNotFound")


def test_changes_of_folders_come_by_delta(simulator: Simulator) -> None:
    pages = simulator.pages("/mailFolders/delta")
    names = shown([item for page in pages for item in page["value"]])
    assert {"Atlas", "Deep", "Hidden"} < set(names)
    assert all(item["@odata.type"] == "#microsoft.graph.mailFolder" for item in pages[0]["value"])
    link = pages[-1]["@odata.deltaLink"]
    assert simulator.get(link).json()["value"] == []
    simulator.control("POST", "/mailboxes/ines/folders", {"id": folder_id("New"), "displayName": "New"})
    assert shown(simulator.get(link).json()["value"]) == ["New"]


@pytest.mark.parametrize("path", ["/nothing", "/mailFolders/inbox/rules", "/messages/x/y/z/w"])
def test_a_path_to_nothing_is_refused(simulator: Simulator, path: str) -> None:
    answer = simulator.get(path)
    assert error_of(answer) == (400, "RequestBroker--ParseUri")
    assert answer.json()["error"]["message"].startswith("Resource not found for the segment '")
