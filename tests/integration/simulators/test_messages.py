"""Single messages: ids of both kinds, bodies, attachments, MIME; and the user they belong to."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from email import message_from_bytes

import pytest

from atom_simulators.graph.quirks import Quirks
from graph_simulator import (
    IMMUTABLE,
    Simulator,
    a_graph_message,
    a_mailbox,
    error_of,
    folder_id,
    graph_simulator,
    message_id,
)

HTML = (
    "<html><head><style>p {}</style></head><body><p>Dear Ines,</p><p>see&nbsp;<b>this</b></p>"
    "<script>alert(1)</script></body></html>"
)
FILE = {
    "@odata.type": "#microsoft.graph.fileAttachment",
    "id": "AAMkattachment1",
    "name": "plan.txt",
    "contentType": "text/plain",
    "size": 300,
    "isInline": False,
    "contentBytes": base64.b64encode(b"the plan").decode(),
}
LINK = {"@odata.type": "#microsoft.graph.referenceAttachment", "id": "AAMkattachment2", "name": "cloud", "size": 1}
EVENT = {"@odata.type": "#microsoft.graph.eventMessageRequest"}
SLASHED = "AAMk" + "b" * 40 + "/z+y="


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    messages = [
        a_graph_message(0),
        a_graph_message(1, body={"contentType": "html", "content": HTML}),
        a_graph_message(2, hasAttachments=True, attachments=[FILE, LINK]),
        a_graph_message(3, subject="lone \ud83d surrogate", body={"contentType": "text", "content": "a\x00b"}),
        a_graph_message(
            4, **{"@odata.type": "#microsoft.graph.eventMessageRequest"}, meetingMessageType="meetingRequest"
        ),
        {**a_graph_message(5), "id": SLASHED},
        {"id": message_id(6), "parentFolderId": folder_id("Archive")},
    ]
    with graph_simulator([a_mailbox(messages=messages), a_mailbox("tomasz")]) as running:
        yield running


def test_a_message_has_two_ids_and_is_found_by_both(simulator: Simulator) -> None:
    plain = simulator.get(f"/messages/{message_id(0)}").json()
    immutable = simulator.get(f"/messages/{message_id(0)}", headers=IMMUTABLE)
    assert immutable.json()["id"] == message_id(0)
    assert immutable.headers["preference-applied"] == "IdType=ImmutableId"
    assert plain["id"] != message_id(0)
    assert plain["id"].startswith("AAMk")
    assert len(plain["id"]) > 140
    assert simulator.get(f"/messages/{plain['id']}", headers=IMMUTABLE).json()["id"] == message_id(0)


def test_ids_have_case(simulator: Simulator) -> None:
    assert error_of(simulator.get(f"/messages/{message_id(0).swapcase()}")) == (404, "ErrorItemNotFound")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("nope", (400, "ErrorInvalidIdMalformed")),
        ("AAMk" + "x" * 60, (404, "ErrorItemNotFound")),
        ("delta", (400, "ErrorInvalidIdMalformed")),
    ],
)
def test_a_message_that_is_not_there_is_refused(simulator: Simulator, item: str, expected: tuple[int, str]) -> None:
    for path in ("", "/$value", "/attachments"):
        assert error_of(simulator.get(f"/messages/{item}{path}")) == expected


def test_the_error_of_a_missing_message_has_the_real_shape(simulator: Simulator) -> None:
    answer = simulator.get("/messages/AAMk" + "x" * 60, headers={"client-request-id": "mine"})
    error = answer.json()["error"]
    assert error["message"] == "The specified object was not found in the store."
    assert error["innerError"]["client-request-id"] == "mine"
    assert error["innerError"]["request-id"] == answer.headers["request-id"]
    assert "Z" not in error["innerError"]["date"]


def test_a_slash_in_an_id_splits_the_path_unless_it_is_escaped_twice_or_mapped(simulator: Simulator) -> None:
    once = SLASHED.replace("/", "%2F").replace("+", "%2B")
    answer = simulator.get(f"/messages/{once}")
    assert error_of(answer) == (400, "RequestBroker--ParseUri")
    assert answer.json()["error"]["message"] == "Resource not found for the segment 'z+y='."
    twice = once.replace("%", "%25")
    assert simulator.get(f"/messages/{twice}", headers=IMMUTABLE).json()["id"] == SLASHED
    mapped = SLASHED.replace("/", "-").replace("+", "_")
    assert simulator.get(f"/messages/{mapped}", headers=IMMUTABLE).json()["id"] == SLASHED


def test_a_message_is_found_in_its_folder_only(simulator: Simulator) -> None:
    assert simulator.get(f"/mailFolders/inbox/messages/{message_id(0)}").status_code == 200
    answer = simulator.get(f"/mailFolders/archive/messages/{message_id(0)}")
    assert error_of(answer) == (404, "ErrorItemNotFound")


def test_a_single_message_has_an_entity_context(simulator: Simulator) -> None:
    message = simulator.get(f"/messages/{message_id(0)}", **{"$select": "subject"}).json()
    user = simulator.get("").json()["id"]
    assert message["@odata.context"] == (f"{simulator.url}/v1.0/$metadata#users('{user}')/messages(subject)/$entity")
    assert sorted(message) == ["@odata.context", "@odata.etag", "id", "subject"]


def test_html_comes_as_text_where_that_is_preferred(simulator: Simulator) -> None:
    prefer = {"Prefer": 'outlook.body-content-type="text", IdType="ImmutableId"'}
    answer = simulator.get(f"/messages/{message_id(1)}", headers=prefer)
    assert answer.json()["body"] == {"contentType": "text", "content": "Dear Ines,\r\n\r\nsee\u00a0this"}
    assert 'outlook.body-content-type="text"' in answer.headers["preference-applied"]
    assert simulator.get(f"/messages/{message_id(1)}").json()["body"]["contentType"] == "html"


def test_plain_text_stays_text_until_html_is_preferred(simulator: Simulator) -> None:
    assert simulator.get(f"/messages/{message_id(0)}").json()["body"]["contentType"] == "text"
    prefer = {"Prefer": 'outlook.body-content-type="html"'}
    body = simulator.get(f"/messages/{message_id(0)}", headers=prefer).json()["body"]
    assert body["contentType"] == "html"
    assert "The lease, part 0." in body["content"]


def test_lists_may_ignore_the_preferred_body_type() -> None:
    box = a_mailbox(messages=[a_graph_message(1, body={"contentType": "html", "content": HTML})])
    prefer = {"Prefer": 'outlook.body-content-type="text"'}
    for ignored, kind in ((False, "text"), (True, "html")):
        with graph_simulator([box], quirks=Quirks(body_type_ignored_in_lists=ignored)) as simulator:
            page = simulator.get("/messages", headers=prefer).json()
            assert page["value"][0]["body"]["contentType"] == kind


def test_hostile_text_passes_through_unharmed(simulator: Simulator) -> None:
    message = simulator.get(f"/messages/{message_id(3)}").json()
    assert message["subject"] == "lone \ud83d surrogate"
    assert message["body"]["content"] == "a\x00b"


def test_derived_types_say_so_and_have_their_properties(simulator: Simulator) -> None:
    message = simulator.get(f"/messages/{message_id(4)}").json()
    assert message["@odata.type"] == "#microsoft.graph.eventMessageRequest"
    assert message["meetingMessageType"] == "meetingRequest"
    cast = {"$select": "microsoft.graph.eventMessage/meetingMessageType"}
    chosen = simulator.get(f"/messages/{message_id(4)}", **cast).json()
    assert chosen["meetingMessageType"] == "meetingRequest"
    assert "@odata.type" not in simulator.get(f"/messages/{message_id(0)}").json()


def test_what_a_message_does_not_have_stays_away(simulator: Simulator) -> None:
    message = simulator.get(f"/messages/{message_id(6)}").json()
    assert sorted(message) == ["@odata.context", "@odata.etag", "id", "parentFolderId"]


def test_attachments_are_listed_apart_from_their_message(simulator: Simulator) -> None:
    assert "attachments" not in simulator.get(f"/messages/{message_id(2)}").json()
    found = simulator.get(f"/messages/{message_id(2)}/attachments").json()["value"]
    assert [item["name"] for item in found] == ["plan.txt", "cloud"]
    lean = simulator.get(f"/messages/{message_id(2)}/attachments", **{"$select": "name,size"}).json()["value"][0]
    assert sorted(lean) == ["@odata.type", "id", "name", "size"]
    assert simulator.get(f"/messages/{message_id(0)}/attachments").json()["value"] == []


def test_attachments_come_with_their_message_when_expanded(simulator: Simulator) -> None:
    message = simulator.get(f"/messages/{message_id(2)}", **{"$expand": "attachments"}).json()
    assert [item["id"] for item in message["attachments"]] == [FILE["id"], LINK["id"]]
    assert error_of(simulator.get("/messages", **{"$expand": "colours"})) == (400, "BadRequest")


def test_the_size_comes_as_an_extended_property(simulator: Simulator) -> None:
    expand = "singleValueExtendedProperties($filter=id eq 'LONG 0x0E08')"
    message = simulator.get(f"/messages/{message_id(0)}", **{"$expand": expand}).json()
    assert int(message["singleValueExtendedProperties"][0]["value"]) > 500


def test_an_attachment_s_bytes_come_raw_and_a_link_has_none(simulator: Simulator) -> None:
    base = f"/messages/{message_id(2)}/attachments"
    answer = simulator.get(f"{base}/{FILE['id']}/$value")
    assert (answer.content, answer.headers["content-type"]) == (b"the plan", "text/plain")
    assert simulator.get(f"{base}/{FILE['id']}").json()["contentBytes"] == FILE["contentBytes"]
    assert simulator.get(f"{base}/{LINK['id']}/$value").status_code == 405
    assert error_of(simulator.get(f"{base}/AAMknothing")) == (404, "ErrorItemNotFound")


def test_a_message_comes_as_mime(simulator: Simulator) -> None:
    for number in range(5):
        answer = simulator.get(f"/messages/{message_id(number)}/$value")
        assert answer.headers["content-type"] == "text/plain"
        mail = message_from_bytes(answer.content)
        assert mail["Message-ID"] == f"<m{number}@lumen.example>"
        assert "ines@lumen.example" in str(mail["From"])


def test_ids_are_translated_both_ways(simulator: Simulator) -> None:
    plain = simulator.get(f"/messages/{message_id(0)}").json()["id"]
    url = "/v1.0/users/ines@example.com/translateExchangeIds"
    asked = {"inputIds": [plain], "sourceIdType": "restId", "targetIdType": "restImmutableEntryId"}
    assert simulator.http.post(url, json=asked).json()["value"] == [{"sourceId": plain, "targetId": message_id(0)}]
    back = {"inputIds": [message_id(0)], "sourceIdType": "restImmutableEntryId", "targetIdType": "restId"}
    assert simulator.http.post(url, json=back).json()["value"][0]["targetId"] == plain
    assert error_of(simulator.http.post(url, json={**asked, "inputIds": [plain] * 1001})) == (400, "BadRequest")
    assert error_of(simulator.http.post(url, json={**asked, "targetIdType": "x"})) == (400, "BadRequest")
    assert simulator.http.post(url, json={**asked, "targetIdType": "ewsId"}).status_code == 501
    assert error_of(simulator.http.post(url, content=b"{")) == (400, "BadRequest")
    assert simulator.get("/translateExchangeIds").status_code == 405


def test_a_user_has_a_guid_and_an_address(simulator: Simulator) -> None:
    user = simulator.get("").json()
    assert (user["mail"], user["userPrincipalName"]) == ("ines@example.com", "ines@example.com")
    by_id = simulator.http.get(f"/v1.0/users/{user['id']}").json()
    assert by_id["userPrincipalName"] == "ines@example.com"
    assert simulator.get("", **{"$select": "id"}).json()["id"] == user["id"]
    assert error_of(simulator.get("", **{"$select": "shoeSize"})) == (400, "BadRequest")


def test_messages_are_found_under_the_user_s_id(simulator: Simulator) -> None:
    user = simulator.get("").json()["id"]
    page = simulator.http.get(f"/v1.0/users/{user}/messages").json()
    assert f"users('{user}')/messages" in page["@odata.context"]
    assert page["@odata.nextLink"] if "@odata.nextLink" in page else len(page["value"]) == 7


def test_the_context_may_name_the_user_as_the_path_did() -> None:
    with graph_simulator(quirks=Quirks(context_user="as_requested")) as simulator:
        assert "users('ines%40example.com')/messages" in simulator.get("/messages").json()["@odata.context"]


def test_answers_carry_the_service_s_headers_and_gzip_where_accepted(simulator: Simulator) -> None:
    answer = simulator.get("/messages", headers={"Accept-Encoding": "gzip", "client-request-id": "abc"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == (
        "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
    )
    assert answer.headers["odata-version"] == "4.0"
    assert answer.headers["client-request-id"] == "abc"
    assert len(answer.headers["request-id"]) == 36
    assert "x-ms-ags-diagnostic" in answer.headers
    assert "date" in answer.headers
    plain = simulator.get("/messages", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == answer.json()


def test_this_app_may_not_write(simulator: Simulator) -> None:
    url = f"/v1.0/users/ines@example.com/messages/{message_id(0)}"
    assert error_of(simulator.http.patch(url, json={"isRead": True})) == (403, "ErrorAccessDenied")
    assert error_of(simulator.http.delete(url)) == (403, "ErrorAccessDenied")


def test_there_is_one_version(simulator: Simulator) -> None:
    assert simulator.http.get("/beta/me/messages").status_code == 400
