"""Lists of messages as the real service gives them: pages, order, filters, selections, and their refusals."""

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
    message_id,
    numbers_of,
)

RANGE = "receivedDateTime ge 2024-01-01T00:05:00Z and receivedDateTime lt 2024-01-01T00:10:00Z"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    messages = [a_graph_message(number) for number in range(25)]
    messages.append(a_graph_message(25, parentFolderId=folder_id("Archive"), hasAttachments=True))
    messages.append(a_graph_message(26, parentFolderId=folder_id("Drafts"), isDraft=True))
    messages.append(a_graph_message(27, receivedDateTime=None, subject="O'Brien 27"))
    with graph_simulator([a_mailbox(messages=messages)]) as running:
        yield running


def test_a_page_holds_ten_messages_where_nothing_is_said(simulator: Simulator) -> None:
    page = simulator.get("/messages").json()
    assert len(page["value"]) == 10
    assert list(page) == ["@odata.context", "value", "@odata.nextLink"]


def test_without_an_order_the_newest_come_first_and_those_without_a_date_last(simulator: Simulator) -> None:
    assert numbers_of(simulator.items("/messages")) == [*range(26, -1, -1), 27]


def test_next_links_count_what_was_gone_through_and_keep_the_options(simulator: Simulator) -> None:
    page = simulator.get("/messages", **{"$top": "7", "$select": "subject"}).json()
    link = page["@odata.nextLink"]
    assert link.startswith(f"{simulator.url}/v1.0/users/ines@example.com/messages?")
    assert "%24skip=7" in link
    assert "%24top=7" in link
    following = simulator.get(link).json()
    assert numbers_of(following["value"]) == list(range(19, 12, -1))
    assert "%24skip=14" in following["@odata.nextLink"]


def test_next_links_do_not_carry_headers(simulator: Simulator) -> None:
    page = simulator.get("/messages", headers={"Prefer": 'IdType="ImmutableId"'}).json()
    assert page["value"][0]["id"] == message_id(26)
    following = simulator.get(page["@odata.nextLink"]).json()
    assert following["value"][0]["id"].startswith("AAMk")


def test_skip_pages_by_hand(simulator: Simulator) -> None:
    page = simulator.get("/messages", **{"$top": "3", "$skip": "20"}).json()
    assert numbers_of(page["value"]) == [6, 5, 4]


@pytest.mark.parametrize(
    ("order", "expected"), [("asc", [5, 6, 7, 8, 9]), ("desc", [9, 8, 7, 6, 5]), ("", [5, 6, 7, 8, 9])]
)
def test_a_range_of_dates_is_half_open_and_ordered(simulator: Simulator, order: str, expected: list[int]) -> None:
    found = simulator.items("/messages", **{"$filter": RANGE, "$orderby": f"receivedDateTime {order}".strip()})
    assert numbers_of(found) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("receivedDateTime gt 2024-01-01T00:23:00Z", [26, 25, 24]),
        ("receivedDateTime le 2024-01-01T00:01:00Z", [1, 0]),
        ("receivedDateTime eq 2024-01-01T00:07:00Z", [7]),
        ("receivedDateTime ge 2024-01-01T01:24:00.9+01:00", [26, 25, 24]),
        ("receivedDateTime ge 2024-01-01T00:20:00Z and isRead eq false", [25, 23, 21]),
        (
            "receivedDateTime ne 2024-01-01T00:07:00Z and receivedDateTime lt 2024-01-01T00:09:00Z",
            [8, 6, 5, 4, 3, 2, 1, 0],
        ),
        ("isDraft eq true", [26]),
        ("hasAttachments eq true", [25]),
        ("hasAttachments", [25]),
        ("internetMessageId eq '<m4@lumen.example>'", [4]),
        ("conversationId eq 'AAQkconversation" + f"{2:064d}" + "='", [8, 7, 6]),
        ("subject eq 'O''Brien 27'", [27]),
        ("receivedDateTime eq null", [27]),
        ("startswith(subject,'O') or isDraft eq true", [26, 27]),
        ("contains(subject,'ase 1') and not (isRead eq true)", [19, 17, 15, 13, 11, 1]),
        ("from/emailAddress/address eq 'ines@lumen.example' and receivedDateTime lt 2024-01-01T00:01:00Z", [0]),
    ],
)
def test_a_filter_chooses(simulator: Simulator, condition: str, expected: list[int]) -> None:
    assert numbers_of(simulator.items("/messages", **{"$filter": condition, "$top": "1000"})) == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("receivedDateTime ge '2024-01-01T00:00:00Z'", "A binary operator with incompatible types was detected."),
        (
            "receivedDateTime ge 2024-01-01T00:00:00",
            "The DateTimeOffset text '2024-01-01T00:00:00' should be in format",
        ),
        ("receivedDateTime ge 2024-01-01", "The DateTimeOffset text '2024-01-01' should be in format"),
        ("receivedDateTime ge 2024-13-01T00:00:00Z", "each field value is within valid range."),
        ("receivedDateTime ge 2024-01-01T00:00:00 01:00", "is not valid at position 42"),
        ("subject eq 'O'Brien'", "unterminated string literal"),
        ("subject eq", "Expression expected at position"),
        ("isRead eq 'false'", "Found operand types 'Edm.Boolean' and 'Edm.String' for operator kind 'Equal'."),
        ("length(subject) gt 3", "An unknown function with name 'length' was found."),
        ("receivedDateTime is 2024-01-01T00:00:00Z", "Syntax error at position"),
        ("(isRead eq true", "Expression expected at position"),
        ("isRead eq true)", "Syntax error at position 14"),
    ],
)
def test_a_bad_filter_is_refused_as_a_bad_request(simulator: Simulator, condition: str, message: str) -> None:
    answer = simulator.get("/messages", **{"$filter": condition})
    assert error_of(answer) == (400, "BadRequest")
    assert answer.json()["error"]["message"].startswith("Invalid filter clause: ")
    assert message in answer.json()["error"]["message"]


def test_an_offset_whose_plus_was_not_encoded_is_refused(simulator: Simulator) -> None:
    answer = simulator.get("/messages?$filter=receivedDateTime ge 2024-01-01T00:00:00+01:00")
    assert error_of(answer) == (400, "BadRequest")
    assert simulator.get("/messages?$filter=receivedDateTime ge 2024-01-01T00:00:00%2B01:00").status_code == 200


@pytest.mark.parametrize("option", ["$filter", "$select", "$orderby"])
def test_a_property_that_does_not_exist_is_refused(simulator: Simulator, option: str) -> None:
    text = "colour eq 'red'" if option == "$filter" else "colour"
    answer = simulator.get("/messages", **{option: text})
    assert error_of(answer) == (400, "BadRequest")
    assert answer.json()["error"]["message"] == (
        "Could not find a property named 'colour' on type 'microsoft.graph.message'."
    )


@pytest.mark.parametrize(
    ("condition", "order", "fits"),
    [
        ("isRead eq false", "receivedDateTime desc", False),
        ("isRead eq false and receivedDateTime ge 2000-01-01T00:00:00Z", "receivedDateTime desc", False),
        ("receivedDateTime ge 2000-01-01T00:00:00Z and isRead eq false", "receivedDateTime desc", True),
        ("receivedDateTime ge 2000-01-01T00:00:00Z", "receivedDateTime,subject", False),
        ("receivedDateTime ge 2000-01-01T00:00:00Z and subject ne 'x'", "receivedDateTime,subject", True),
        ("receivedDateTime ge 2000-01-01T00:00:00Z and subject ne 'x'", "subject,receivedDateTime", False),
        (None, "subject desc", True),
    ],
)
def test_what_is_ordered_by_must_stand_first_in_the_filter(
    simulator: Simulator, condition: str | None, order: str, fits: bool
) -> None:
    answer = simulator.get("/messages", **{"$orderby": order, **({"$filter": condition} if condition else {})})
    if fits:
        assert answer.status_code == 200
    else:
        assert error_of(answer) == (400, "InefficientFilter")
        assert answer.json()["error"]["message"] == ("The restriction or sort order is too complex for this operation.")


def test_an_order_by_other_properties_sorts(simulator: Simulator) -> None:
    found = simulator.items("/messages", **{"$orderby": "isRead desc,receivedDateTime", "$top": "5"})
    assert numbers_of(found)[:3] == [0, 2, 4]


@pytest.mark.parametrize("top", ["0", "1001", "-1", "many"])
def test_a_top_outside_1_to_1000_is_refused(simulator: Simulator, top: str) -> None:
    status, code = error_of(simulator.get("/messages", **{"$top": top}))
    assert status == 400
    assert code in ("ErrorInvalidUrlQuery", "BadRequest")


@pytest.mark.parametrize(
    ("option", "text"),
    [("$skip", "-1"), ("$skip", "x"), ("$count", "yes"), ("$apply", "x"), ("$orderby", "subject up")],
)
def test_a_bad_option_is_refused(simulator: Simulator, option: str, text: str) -> None:
    assert error_of(simulator.get("/messages", **{option: text})) == (400, "BadRequest")


def test_options_work_without_their_dollar_sign(simulator: Simulator) -> None:
    page = simulator.get("/messages", top="2", select="subject").json()
    assert [sorted(item) for item in page["value"]] == [["@odata.etag", "id", "subject"]] * 2


def test_a_selection_keeps_what_is_named_with_etag_and_id(simulator: Simulator) -> None:
    page = simulator.get("/messages", **{"$select": "subject,receivedDateTime", "$top": "1"}).json()
    assert sorted(page["value"][0]) == ["@odata.etag", "id", "receivedDateTime", "subject"]
    assert page["@odata.context"].endswith("/messages(subject,receivedDateTime)")


def test_by_default_all_but_headers_and_unique_body_come(simulator: Simulator) -> None:
    message = simulator.get("/messages", **{"$top": "1"}).json()["value"][0]
    assert set(a_graph_message(1)) - set(message) == {"internetMessageHeaders"}
    assert message["@odata.etag"] == f'W/"{message["changeKey"]}"'
    assert next(iter(message)) == "@odata.etag"


def test_headers_and_unique_body_come_when_named(simulator: Simulator) -> None:
    params = {"$select": "internetMessageHeaders,uniqueBody", "$top": "1"}
    message = simulator.get("/messages", **params).json()["value"][0]
    assert message["internetMessageHeaders"] == [{"name": "Received", "value": "by mx.lumen.example"}]
    assert message["uniqueBody"] == {"contentType": "text", "content": "The lease, part 26.\r\n"}


def test_a_count_comes_with_the_list_and_on_its_own(simulator: Simulator) -> None:
    page = simulator.get("/messages", **{"$count": "true", "$filter": RANGE, "$top": "2"}).json()
    assert page["@odata.count"] == 5
    alone = simulator.get("/messages/$count", **{"$filter": RANGE})
    assert (alone.text, alone.headers["content-type"]) == ("5", "text/plain")
    assert simulator.get("/messages/$count").text == "28"
    assert simulator.get("/mailFolders/Inbox/messages/$count").text == "26"


def test_a_folder_lists_its_own_messages_only(simulator: Simulator) -> None:
    page = simulator.get("/mailFolders/archive/messages").json()
    assert numbers_of(page["value"]) == [25]
    assert page["@odata.context"].endswith("/mailFolders('archive')/messages")


def test_names_in_a_path_have_no_case_and_ids_have(simulator: Simulator) -> None:
    assert simulator.get("/MAILFOLDERS/InBox/Messages").status_code == 200
    assert simulator.get(f"/mailfolders('{folder_id('Archive')}')/messages").status_code == 200
    assert error_of(simulator.get(f"/mailFolders/{folder_id('Archive').swapcase()}")) == (404, "ErrorFolderNotFound")


def test_a_search_finds_words_and_cannot_be_combined(simulator: Simulator) -> None:
    assert numbers_of(simulator.items("/messages", **{"$search": '"part 14"'})) == [14]
    for other, text in (("$filter", "isRead eq true"), ("$orderby", "receivedDateTime")):
        assert error_of(simulator.get("/messages", **{"$search": '"x"', other: text})) == (400, "BadRequest")
    assert error_of(simulator.get("/messages", **{"$search": "lease"})) == (400, "BadRequest")


def test_search_pages_go_by_token(simulator: Simulator) -> None:
    page = simulator.get("/messages", **{"$search": '"lease"', "$top": "20"}).json()
    assert "skiptoken" in page["@odata.nextLink"]
    assert len(simulator.get(page["@odata.nextLink"]).json()["value"]) == 8


def test_a_date_without_a_time_is_taken_where_the_switch_says_so() -> None:
    with graph_simulator(quirks=Quirks(date_only_accepted=True)) as simulator:
        assert simulator.get("/messages", **{"$filter": "receivedDateTime ge 2024-01-01"}).status_code == 200


def test_switches_change_order_top_codes_and_counts() -> None:
    quirks = Quirks(
        default_order="oldest",
        top_over_limit="clamp",
        restriction_code="ErrorRestrictionTooComplex",
        unknown_property_code="RequestBroker--ParseUri",
        count_bom=True,
        count_off_by={"inbox": 5},
        count_always={"*": -1},
    )
    with graph_simulator(quirks=quirks) as simulator:
        assert numbers_of(simulator.get("/messages", **{"$top": "5000"}).json()["value"]) == list(range(30))
        answer = simulator.get("/messages", **{"$filter": "isRead eq true", "$orderby": "subject"})
        assert error_of(answer) == (400, "ErrorRestrictionTooComplex")
        assert error_of(simulator.get("/messages", **{"$select": "x"})) == (400, "RequestBroker--ParseUri")
        assert simulator.get("/messages/$count").content.decode("utf-8-sig") == "-1"
        assert simulator.get("/messages/$count").content.startswith(b"\xef\xbb\xbf")


def test_short_pages_lose_nothing_and_let_skip_run_ahead() -> None:
    with graph_simulator(quirks=Quirks(short_pages=2)) as simulator:
        pages = simulator.pages("/messages", **{"$top": "5"})
        assert [len(page["value"]) for page in pages] == [3] * 10
        assert "%24skip=45" in pages[8]["@odata.nextLink"]
        assert sorted(numbers_of([item for page in pages for item in page["value"]])) == list(range(30))


def test_the_scattered_order_brings_every_message_once() -> None:
    with graph_simulator(quirks=Quirks(default_order="scattered")) as simulator:
        found = numbers_of(simulator.items("/messages"))
        assert sorted(found) == list(range(30))
        assert found != list(range(29, -1, -1))


def test_recoverable_items_are_not_in_the_whole_mailbox() -> None:
    hidden = a_folder("Recoverable Items", wellKnownName="recoverableitemsdeletions", isHidden=True)
    messages = [a_graph_message(1), a_graph_message(2, parentFolderId=hidden["id"])]
    with graph_simulator([a_mailbox(messages=messages, folders=[a_folder("Inbox"), hidden])]) as simulator:
        assert numbers_of(simulator.items("/messages")) == [1]
        assert numbers_of(simulator.items("/mailFolders/recoverableitemsdeletions/messages")) == [2]


def test_pages_that_are_too_heavy_or_too_deep_time_out() -> None:
    with graph_simulator(quirks=Quirks(heavy_page_limit=20, deep_skip_limit=15)) as simulator:
        for params in ({"$top": "21"}, {"$skip": "16"}):
            answer = simulator.get("/messages", **params)
            assert error_of(answer) == (504, "UnknownError")
            assert answer.json()["error"]["message"] == ""
        for params in ({"$top": "20"}, {"$top": "500", "$select": "id"}, {"$skip": "15"}):
            assert simulator.get("/messages", **params).status_code == 200


def test_ascending_order_may_find_nothing() -> None:
    with graph_simulator(quirks=Quirks(ascending_is_empty=True)) as simulator:
        assert simulator.items("/messages", **{"$orderby": "receivedDateTime asc"}) == []
        assert len(simulator.items("/messages", **{"$orderby": "receivedDateTime desc"})) == 30
