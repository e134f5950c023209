"""The awkward mails are awkward in the way their names say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from .conftest import Message

Odd = Callable[[str], Message]


def content(message: Message) -> str:
    return str(message["body"]["content"])


def test_authors_are_missing_null_nameless_or_no_address(odd: Odd) -> None:
    assert "from" not in odd("no-from")
    assert odd("null-from")["from"] is None
    assert odd("x500-sender")["from"]["emailAddress"]["address"].startswith("/O=")
    assert "address" not in odd("name-without-address")["from"]["emailAddress"]
    assert odd("from-is-not-sender")["from"] != odd("from-is-not-sender")["sender"]


def test_recipients_are_many_none_or_the_same_person(odd: Odd) -> None:
    assert len(odd("300-recipients")["toRecipients"]) == 300
    assert odd("undisclosed-recipients")["toRecipients"] == []
    named = odd("same-person-three-times")
    addresses = [r["emailAddress"]["address"].lower() for r in (*named["toRecipients"], *named["ccRecipients"])]
    assert len(addresses) == 3
    assert len(set(addresses)) == 1


def test_bodies_are_empty_in_every_way(odd: Odd) -> None:
    assert content(odd("empty-body")).strip() == content(odd("whitespace-only")).strip() == ""
    assert odd("null-body")["body"] is None
    assert odd("null-content")["body"]["content"] is None
    assert "cid:" in content(odd("only-an-image"))
    assert content(odd("smime-stub")) == ""
    assert odd("smime-stub")["hasAttachments"]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("nul-and-controls", "\x00"),
        ("lone-surrogate", "\ud83d"),
        ("pgp-armour", "-----BEGIN PGP MESSAGE-----"),
        ("uuencode", "begin 644"),
        ("emoji", "\u200d"),
        ("zero-width", "\u200b"),
        ("mojibake", "Ã¼"),
        ("data-uri", "data:image/png;base64,"),
        ("hidden-instructions", "display:none"),
        ("instructions-to-a-model", "Assistant"),
    ],
)
def test_bodies_hold_what_they_should_not(odd: Odd, name: str, part: str) -> None:
    assert part in content(odd(name))


def test_sizes_are_out_of_the_ordinary(odd: Odd) -> None:
    assert max(len(line) for line in content(odd("very-long-line")).splitlines()) > 50_000
    assert content(odd("base64-in-text")).count("\n") > 40
    assert content(odd("deep-quotes")).count("<blockquote>") == 150
    assert content(odd("many-links")).count("<a ") == 400


def test_dates_are_impossible_or_missing(odd: Odd, mailbox: Sequence[Message]) -> None:
    assert odd("date-1601")["receivedDateTime"].startswith("1601")
    ahead = odd("sent-in-the-future")
    assert ahead["sentDateTime"] > ahead["receivedDateTime"]
    assert odd("draft-without-dates")["receivedDateTime"] is None
    assert mailbox[-1]["receivedDateTime"] is None, "what has no date comes last"


def test_copies_share_their_internet_message_id_and_not_their_id(odd: Odd) -> None:
    for one, two in (("copy-in-projects", "copy-in-archive"), ("to-myself-received", "to-myself-sent")):
        assert odd(one)["internetMessageId"] == odd(two)["internetMessageId"]
        assert odd(one)["id"] != odd(two)["id"]
        assert odd(one)["parentFolderId"] != odd(two)["parentFolderId"]


def test_subjects_and_flags_may_be_null(odd: Odd) -> None:
    assert odd("null-subject")["subject"] is None
    assert odd("empty-subject")["subject"] == ""
    assert odd("is-read-null")["isRead"] is None
    assert odd("null-conversation")["conversationId"] is None
    assert odd("draft")["isDraft"]


def test_derived_types_name_themselves_first(mailbox: Sequence[Message]) -> None:
    derived = [message for message in mailbox if "@odata.type" in message]
    kinds = {message["@odata.type"].rpartition(".")[2] for message in derived}
    assert kinds == {"eventMessage", "eventMessageRequest", "eventMessageResponse", "calendarSharingMessage"}
    assert all(next(iter(message)) == "@odata.type" for message in derived)
    requests = [message for message in derived if message["@odata.type"].endswith("eventMessageRequest")]
    assert len(requests) >= 5
    assert all(r["meetingMessageType"] == "meetingRequest" and "dateTime" in r["startDateTime"] for r in requests)
