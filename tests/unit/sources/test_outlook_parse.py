from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.errors import SkipItemError
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Address, Kind, Message
from atom_backfill.sources.outlook.parse import read_graph


def a_graph_message(**about: Any) -> dict[str, Any]:
    return {
        "id": "m-1",
        "parentFolderId": "inbox",
        "conversationId": "c-1",
        "internetMessageId": "<m-1@lumen.example>",
        "subject": "Gate",
        "receivedDateTime": "2026-03-02T09:30:00Z",
        "sentDateTime": "2026-03-02T09:29:00Z",
        "lastModifiedDateTime": "2026-03-02T09:31:00Z",
        "changeKey": "k",
        "webLink": "https://outlook.example/m-1",
        "importance": "high",
        "isDraft": False,
        "hasAttachments": False,
        "from": person("Ines Halloran", "ines@lumen.example"),
        "sender": person("Ines Halloran", "ines@lumen.example"),
        "toRecipients": [person("Tomasz Reyl", "tomasz@lumen.example")],
        "ccRecipients": [],
        "bccRecipients": [],
        "replyTo": [],
        "body": {"contentType": "html", "content": "<p>The gate.</p>"},
        **about,
    }


def person(name: str, address: str) -> dict[str, Any]:
    return {"emailAddress": {"name": name, "address": address}}


def read(item: object, limits: Limits | None = None) -> Message:
    return read_graph(json.dumps(item).encode(), limits=limits or Limits())


def test_a_whole_message_is_read() -> None:
    message = read(a_graph_message())
    assert (message.source_id, message.folder_id, message.conversation_id) == ("m-1", "inbox", "c-1")
    assert message.received_at == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    assert message.from_ == Address("Ines Halloran", "ines@lumen.example")
    assert message.to == (Address("Tomasz Reyl", "tomasz@lumen.example"),)
    assert (message.body, message.body_type) == ("<p>The gate.</p>", "html")
    assert message.importance == "high"
    assert message.notes == ()


def test_an_id_alone_makes_a_message() -> None:
    message = read({"id": "m-1"})
    assert (message.subject, message.body, message.from_, message.received_at) == ("", "", None, None)


FIELDS = sorted(set(a_graph_message()) - {"id"})
ODD: list[object] = [None, "", 12345, 1.5, True, [], {}, [None], {"emailAddress": None}, ["x", 3], {"content": 7}]


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_is_missing_or_of_another_type_costs_no_message(field: str) -> None:
    whole = a_graph_message()
    for odd in ODD:
        assert read({**whole, field: odd}).source_id == "m-1"
    assert read({key: value for key, value in whole.items() if key != field}).source_id == "m-1"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, "emailAddress"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_json_breaks_the_reader(fields: dict[str, Any]) -> None:
    assert read({"id": "m-1", **fields}).source_id == "m-1"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"<html>502</html>", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"[]", "not_a_message"),
        (b"null", "not_a_message"),
        (b"{}", "id_missing"),
        (b'{"id": 7}', "id_missing"),
        (b'{"id": " "}', "id_missing"),
        (b'{"id": "m", "@removed": {"reason": "deleted"}}', "removed"),
        (b'{"error": {"code": "x"}}', "id_missing"),
    ],
)
def test_what_is_no_message_is_skipped_with_a_code(payload: bytes, code: str) -> None:
    with pytest.raises(SkipItemError) as skipped:
        read_graph(payload, limits=Limits())
    assert (skipped.value.code, skipped.value.stage) == (code, "parse")


def test_broken_bytes_and_raw_controls_cost_a_character_not_the_message() -> None:
    message = read_graph(
        b'\xef\xbb\xbf{"id": "m", "subject": "a\xff b\x01c", "body": {"content": "x\\ud83dy"}}', limits=Limits()
    )
    assert message.subject == "a\ufffd bc"
    assert message.body == "x\ufffdy"


def test_a_subject_cannot_carry_headers() -> None:
    assert read(a_graph_message(subject="Gate\r\nBcc: x@evil.example")).subject == "Gate Bcc: x@evil.example"


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "1601-01-01T00:00:00Z", "garbage"])
def test_a_date_that_is_none_is_noted(text: str) -> None:
    message = read(a_graph_message(receivedDateTime=text))
    assert message.received_at is None
    assert message.notes == ("received_date_unusable",)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"@odata.type": "#microsoft.graph.eventMessageRequest"}, Kind.MEETING_REQUEST),
        ({"meetingMessageType": "meetingRequest"}, Kind.MEETING_REQUEST),
        ({"meetingMessageType": "meetingCancelled"}, Kind.MEETING_CANCELLED),
        ({"meetingMessageType": "meetingTenativelyAccepted"}, Kind.MEETING_RESPONSE),
        ({"meetingMessageType": 7}, Kind.MESSAGE),
        ({"internetMessageHeaders": [{"name": "Auto-Submitted", "value": "auto-replied"}]}, Kind.AUTO_REPLY),
        ({"from": person("", "postmaster@lumen.example")}, Kind.DELIVERY_REPORT),
    ],
)
def test_kinds_are_recognised(fields: dict[str, Any], kind: Kind) -> None:
    assert read(a_graph_message(**fields)).kind is kind


def test_references_come_from_the_headers() -> None:
    headers = [
        {"name": "References", "value": "<a@x.test> <b@x.test>"},
        {"name": "In-Reply-To", "value": "<b@x.test>"},
        {"name": None, "value": "x"},
        "nonsense",
    ]
    message = read(a_graph_message(internetMessageHeaders=headers))
    assert message.references == ("<a@x.test>", "<b@x.test>")


def test_attachments_are_recorded_and_a_sealed_body_is_noted() -> None:
    attachments = [
        {"name": "../../smime.p7m", "contentType": "application/pkcs7-mime", "size": 9000, "isInline": False},
        7,
    ]
    message = read(a_graph_message(attachments=attachments, body={"contentType": "text", "content": ""}))
    assert [(a.name, a.size) for a in message.attachments] == [("../../smime.p7m", 9000)]
    assert message.has_attachments
    assert message.notes == ("body_encrypted",)


@pytest.mark.parametrize("body", [None, 7, [], {}, {"content": 7}, {"content": None}])
def test_a_body_that_is_none_is_noted(body: object) -> None:
    message = read(a_graph_message(body=body))
    assert (message.body, message.notes) == ("", ("body_missing",))


@pytest.mark.parametrize("to", ["nonsense", 7, ["nonsense"], [None], [{"emailAddress": "ann@lumen.example"}]])
def test_recipients_that_are_none_are_noted(to: object) -> None:
    message = read(a_graph_message(toRecipients=to))
    assert (message.to, message.notes) == ((), ("recipients_unreadable",))


@pytest.mark.parametrize("to", [None, [], [{}], [{"emailAddress": {}}]])
def test_no_recipients_are_nothing_to_note(to: object) -> None:
    assert read(a_graph_message(toRecipients=to)).notes == ()


def test_too_much_is_cut_and_noted() -> None:
    crowd = [person(f"P{n}", f"p{n}@lumen.example") for n in range(50)]
    limits = Limits(recipients=20, body_characters=100, subject_characters=10, references=2)
    headers = [{"name": "References", "value": "<a@x.test> <b@x.test> <c@x.test>"}]
    message = read(
        a_graph_message(
            toRecipients=crowd, ccRecipients=crowd, body={"contentType": "text", "content": "x" * 500},
            subject="y" * 50, internetMessageHeaders=headers,
        ),
        limits,
    )  # fmt: skip
    assert (len(message.to), len(message.cc), len(message.body), len(message.subject)) == (20, 0, 100, 10)
    assert len(message.references) == 2
    assert set(message.notes) == {
        "body_truncated", "subject_truncated", "recipients_truncated", "references_truncated"
    }  # fmt: skip
