"""Every message of the sample has the shape of a Microsoft Graph v1.0 `message`."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from .conftest import Message

KEYS = [
    "@odata.etag",
    "id",
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "categories",
    "receivedDateTime",
    "sentDateTime",
    "hasAttachments",
    "internetMessageId",
    "subject",
    "bodyPreview",
    "importance",
    "parentFolderId",
    "conversationId",
    "conversationIndex",
    "isDeliveryReceiptRequested",
    "isReadReceiptRequested",
    "isRead",
    "isDraft",
    "webLink",
    "inferenceClassification",
    "body",
    "sender",
    "from",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "replyTo",
    "flag",
    "internetMessageHeaders",
]
MAY_BE_NULL = {"receivedDateTime", "sentDateTime", "subject", "conversationId", "conversationIndex", "body", "from"}
MAY_BE_NULL |= {"sender", "isRead", "isDeliveryReceiptRequested", "internetMessageId"}
TYPES: dict[str, type] = {
    "@odata.etag": str,
    "id": str,
    "categories": list,
    "hasAttachments": bool,
    "bodyPreview": str,
    "importance": str,
    "isDraft": bool,
    "inferenceClassification": str,
    "toRecipients": list,
    "ccRecipients": list,
    "bccRecipients": list,
    "replyTo": list,
    "flag": dict,
    "internetMessageHeaders": list,
}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def ordinary(mailbox: Sequence[Message]) -> list[Message]:
    return [message for message in mailbox if "@odata.type" not in message]


def test_keys_come_in_the_order_of_the_service(mailbox: Sequence[Message]) -> None:
    for message in ordinary(mailbox):
        present = [key for key in KEYS if key in message]
        assert [*message] == present
        assert {*KEYS} - {*present} <= {"from", "sender"}


def test_values_have_their_types(mailbox: Sequence[Message]) -> None:
    for message in mailbox:
        assert all(isinstance(message[key], kind) for key, kind in TYPES.items()), message["subject"]
        empty = {key for key, value in message.items() if value is None}
        assert empty <= MAY_BE_NULL | {"recurrence"}


def test_moments_are_utc_seconds(mailbox: Sequence[Message]) -> None:
    names = ("createdDateTime", "lastModifiedDateTime", "receivedDateTime", "sentDateTime")
    values = [message[name] for message in mailbox for name in names if message.get(name)]
    assert all(MOMENT.fullmatch(value) for value in values)
    assert all(datetime.fromisoformat(value) for value in values)


def test_ids_look_like_those_of_exchange(mailbox: Sequence[Message]) -> None:
    for message in mailbox:
        assert re.fullmatch(r"AAkALg[A-Za-z0-9_-]{62}", message["id"])
        assert re.fullmatch(r"AAMk[A-Za-z0-9_-]{112}AAA=", message["parentFolderId"])
        assert message["@odata.etag"] == f'W/"{message["changeKey"]}"'


def test_a_thread_shares_its_conversation_and_answers_lengthen_its_index(mailbox: Sequence[Message]) -> None:
    thread = [m for m in mailbox if str(m["subject"]).endswith("API, one reading per second")]
    assert len({m["conversationId"] for m in thread}) == 1
    lengths = {len(base64.b64decode(m["conversationIndex"])) for m in thread}
    assert min(lengths) == 22
    assert all((length - 22) % 5 == 0 for length in lengths)


def test_answers_name_the_mail_they_answer(mailbox: Sequence[Message]) -> None:
    known = {message["internetMessageId"] for message in mailbox}
    headers = [{h["name"]: h["value"] for h in message["internetMessageHeaders"]} for message in mailbox]
    answered = [h["In-Reply-To"] for h in headers if "In-Reply-To" in h]
    assert len(answered) > 250
    assert sum(parent in known for parent in answered) / len(answered) > 0.95
    assert all(h["References"].split()[-1] == h["In-Reply-To"] for h in headers if "References" in h)


def test_previews_are_short_and_lines_end_in_crlf(mailbox: Sequence[Message]) -> None:
    for message in mailbox:
        assert len(message["bodyPreview"]) <= 255
        content = (message["body"] or {}).get("content") or ""
        assert content.count("\n") == content.count("\r\n")


def test_sent_mail_is_the_owners_and_received_mail_is_addressed_to_the_owner(
    mailbox: Sequence[Message], plain_text: Callable[[Message], str]
) -> None:
    owner = "maren.holloway@ostrel.example"
    sent_folder = Counter(m["parentFolderId"] for m in mailbox if _address(m) == owner).most_common(1)[0][0]
    for message in mailbox:
        addressed = [r["emailAddress"].get("address") for r in (*message["toRecipients"], *message["ccRecipients"])]
        if message["parentFolderId"] == sent_folder:
            assert _address(message) == owner
        elif message["toRecipients"] and not message["isDraft"]:
            assert owner in addressed or _address(message) == owner


def _address(message: Message) -> Any:
    return ((message.get("from") or {}).get("emailAddress") or {}).get("address")
