"""Invented mailboxes that hold what real ones do: folders of every kind, crowded seconds, copies, drafts, odd mail."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from graph_world import a_folder, a_graph_message, write_mailbox

Json = dict[str, Any]
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FOLDERS = {
    name: a_folder(name, wellKnownName=known)
    for name, known in {
        "Inbox": "inbox",
        "Sent Items": "sentitems",
        "Drafts": "drafts",
        "Deleted Items": "deleteditems",
        "Junk Email": "junkemail",
        "Archive": "archive",
        "Projects": None,
    }.items()
}
FOLDERS["Projects/Atlas"] = a_folder("Atlas", parent=FOLDERS["Projects"]["id"])
FOLDERS["Deleted Items/Old"] = a_folder("Old", parent=FOLDERS["Deleted Items"]["id"])
FOLDERS["Quiet"] = a_folder("Quiet", isHidden=True)
FOLDERS["Empty"] = a_folder("Empty")
FOLDERS["Unread Mail"] = a_folder(
    "Unread Mail",
    **{"@odata.type": "#microsoft.graph.mailSearchFolder", "sourceFolderIds": [], "filterQuery": "isRead eq false"},
)
WORDS = (
    "The harbour office wants the tide tables before the survey boat leaves.",
    "We agreed on the blue hull, and Tomasz will order the paint from Brest.",
    "Please bring the signed lease for the workshop to the notary on Thursday.",
    "The radar mast came back from the welder, straight this time.",
    "Nadia asks who keeps the keys of the north store over the holidays.",
    "The insurance pays for the broken winch, less four hundred euros.",
    "Our stand at the boat fair is number 214, between the sailmakers.",
)


def at(minutes: float) -> str:
    """A date, so many minutes before noon."""
    return (NOON - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def mails(folder: str, count: int, *, start: float = 0.0, step: float = 7.0, **about: Any) -> list[Json]:
    """Mails of a folder, each with words of its own."""
    return [a_mail(folder, n, receivedDateTime=at(start + n * step), **about) for n in range(count)]


def a_mail(folder: str, number: int = 0, *, text: str = "", **about: Any) -> Json:
    """A mail in a folder; its words follow from the number where no text is given."""
    message = a_graph_message(FOLDERS[folder], **about)
    said = text or f"{WORDS[number % len(WORDS)]} Item {message['id'][-6:]} of {folder}.\r\n\r\nInes\r\n"
    return {**message, "body": {"contentType": "text", "content": said}, **about}


def mixed_mails() -> list[Json]:
    """Some hundred mails, every sort of which a backfill must treat right."""
    copy = {"internetMessageId": "<to-myself@example.com>", "subject": "Note to self", "receivedDateTime": at(900)}
    return [
        *mails("Inbox", 34),
        *mails("Inbox", 23, start=300.0, step=0.0),  # all in one second
        *mails("Sent Items", 12, start=3.0),
        *mails("Projects/Atlas", 9, start=2000.0, step=1440.0),
        *mails("Archive", 6, start=500_000.0, step=43_200.0),
        *mails("Quiet", 2, start=50.0),
        *mails("Junk Email", 3),
        *mails("Deleted Items", 3),
        *mails("Deleted Items/Old", 2),
        *mails("Drafts", 2, isDraft=True),
        a_mail("Inbox", subject="Not sent yet", isDraft=True, receivedDateTime=at(20)),
        a_mail("Sent Items", text="Buy two shackles.\r\n", **copy),
        a_mail("Inbox", text="Buy two shackles.\r\n", **copy),
        a_mail("Inbox", subject="No date", receivedDateTime=None),
        a_mail("Projects", subject="The only one here, without a date", receivedDateTime=None),
        *(a_mail("Inbox", subject=f"Odd: {name}", receivedDateTime=at(40), **odd) for name, odd in ODD.items()),
    ]


def write_mixed(directory: Path, name: str = "ines", extra: Iterable[Json] = ()) -> list[Json]:
    """Write the mixed mailbox; returns its mails."""
    written = [*mixed_mails(), *extra]
    write_mailbox(directory, written, [*FOLDERS.values()], name)
    return written


def html(content: str) -> Json:
    """A body of HTML."""
    return {"contentType": "html", "content": f"<html><head><meta charset=utf-8></head><body>{content}</body></html>"}


def text(content: str) -> Json:
    """A body of text."""
    return {"contentType": "text", "content": content}


def person(name: str | None, address: str | None) -> Json:
    """A recipient."""
    return {"emailAddress": {"name": name, "address": address}}


ODD: dict[str, Json] = {
    "no sender": {"from": None, "sender": None},
    "sender without an address": {"from": {"emailAddress": {"name": "System"}}, "sender": None},
    "sender with an X.500 name": {"from": person("Old Colleague", "/O=EXCHANGELABS/OU=EXCHANGE/CN=RECIPIENTS/CN=OLD")},
    "recipients of null": {"toRecipients": None, "ccRecipients": None},
    "no body": {"body": None},
    "body of null": {"body": {"contentType": "text", "content": None}},
    "empty body": {"body": text("")},
    "no conversation": {"conversationId": None},
    "no internet message id": {"internetMessageId": None},
    "NUL in the text": {"body": text("The key\u0000 lies under the mat.")},
    "half an emoji": {"body": text("A heart \ud83d for the crew.")},
    "deep HTML": {"body": html("<div>" * 900 + "At the very bottom." + "</div>" * 900)},
    "unclosed HTML": {"body": html("<table><tr><td>One<td>Two<p>Three <b>Four")},
    "script in HTML": {"body": html("<p>Hello there</p><script>alert('x')</script>")},
    "SQL in the text": {"body": text('Robert\'); DROP TABLE messages;-- said "hello" \\ and % and $1')},
    "a meeting": {"@odata.type": "#microsoft.graph.eventMessageRequest", "meetingMessageType": "meetingRequest"},
    "wrong types": {"isRead": "yes", "importance": 7, "hasAttachments": "maybe", "categories": "none"},
    "many recipients": {"toRecipients": [person(f"Crew {n}", f"crew{n}@example.org") for n in range(300)]},
    "a long subject and unknown fields": {"xFuture": {"a": [1, {"b": None}]}, "webLink": None},
}
