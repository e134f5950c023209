"""A mail as a Microsoft Graph v1.0 `message`, keys in the order the service sends them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from selectolax.lexbor import LexborHTMLParser

from . import as_html, as_text
from .cast import Person
from .folders import FOLDERS
from .idents import (
    change_key,
    conversation_id,
    conversation_index,
    draw,
    folder_id,
    internet_message_id,
    message_id,
)
from .mail import Mail

ABSENT: Final = object()
"""In `Mail.graph`: the property is left out of the message."""
PREVIEW_CHARACTERS = 255
_KNOWN_FOLDERS = frozenset(folder.path for folder in FOLDERS)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Whose mailbox a message lies in, and the moment it was copied at."""

    name: str
    owner: Person
    as_of: datetime


def received_at(mail: Mail) -> datetime:
    """When the owner's mailbox got it: at once for sent mail, else after 2 to 41 seconds."""
    return mail.sent + timedelta(seconds=0 if mail.folder == "Sent Items" else 2 + draw(mail.key, "delay", 40))


def graph_message(mail: Mail, box: Mailbox) -> dict[str, object]:
    """The message resource, default properties and `internetMessageHeaders`. Raises ValueError for a folder
    that the mailbox does not have."""
    if mail.folder not in _KNOWN_FOLDERS:
        raise ValueError(f"{mail.key}: no folder {mail.folder!r}")
    own, received = message_id(box.name, mail.key), received_at(mail)
    key, kind, content = change_key(box.name, mail.key), *_body(mail)
    outgoing = mail.folder in ("Sent Items", "Drafts", "Outbox")
    message: dict[str, object] = {
        "@odata.etag": f'W/"{key}"',
        "id": own,
        "createdDateTime": _iso(received),
        "lastModifiedDateTime": _iso(received + timedelta(seconds=draw(mail.key, "touched", 90))),
        "changeKey": key,
        "categories": list(mail.categories),
        "receivedDateTime": _iso(received),
        "sentDateTime": _iso(mail.sent),
        "hasAttachments": bool(mail.attachment),
        "internetMessageId": internet_message_id(mail.key, mail.sender.address.rpartition("@")[2]),
        "subject": mail.subject,
        "bodyPreview": _preview(kind, content),
        "importance": mail.importance,
        "parentFolderId": folder_id(box.name, mail.folder),
        "conversationId": conversation_id(box.name, mail.root.key),
        "conversationIndex": conversation_index(mail.root.key, mail.root.sent, len([*mail.ancestry()]) - 1),
        "isDeliveryReceiptRequested": False if outgoing else None,
        "isReadReceiptRequested": False,
        "isRead": outgoing or _is_read(mail, box.as_of),
        "isDraft": mail.folder == "Drafts",
        "webLink": f"https://outlook.example.com/owa/?ItemID={quote(own, safe='')}&exvsurl=1&viewmodel=ReadMessageItem",
        "inferenceClassification": "other" if mail.bulk else "focused",
        "body": {"contentType": kind, "content": content},
        "sender": recipient(mail.sender),
        "from": recipient(mail.sender),
        "toRecipients": [recipient(person) for person in mail.to],
        "ccRecipients": [recipient(person) for person in mail.cc],
        "bccRecipients": [],
        "replyTo": [],
        "flag": {"flagStatus": "flagged" if mail.flagged else "notFlagged"},
        "internetMessageHeaders": _headers(mail),
    }
    message |= mail.graph
    if "@odata.type" in message:
        message = {"@odata.type": message.pop("@odata.type"), **message}
    return {name: value for name, value in message.items() if value is not ABSENT}


def recipient(person: Person) -> dict[str, dict[str, str]]:
    """Graph's `recipient`."""
    return {"emailAddress": {"name": person.name, "address": person.address}}


def _body(mail: Mail) -> tuple[str, str]:
    """Content type and content; Graph sends CRLF line ends."""
    if mail.html is not None:
        kind, content = "html", mail.html
    elif mail.style in as_html.HTML_CLIENTS:
        kind, content = "html", as_html.render(mail)
    else:
        kind, content = "text", as_text.render(mail) + "\n"
    return kind, content.replace("\r\n", "\n").replace("\n", "\r\n")


def _preview(kind: str, content: str) -> str:
    text = content
    if kind == "html":
        text = LexborHTMLParser(content[:20_000]).text(separator=" ")
    return re.sub(r"\s+", " ", text).strip()[:PREVIEW_CHARACTERS]


def _headers(mail: Mail) -> list[dict[str, str]]:
    pairs: list[tuple[str, str]] = [("Message-ID", internet_message_id(mail.key, _domain(mail)))]
    if mail.parent is not None:
        chain: Sequence[Mail] = [*mail.parent.ancestry()][::-1]
        pairs.append(("In-Reply-To", internet_message_id(mail.parent.key, _domain(mail.parent))))
        pairs.append(("References", " ".join(internet_message_id(m.key, _domain(m)) for m in chain)))
    return [{"name": name, "value": value} for name, value in (*pairs, *mail.headers)]


def _domain(mail: Mail) -> str:
    return mail.sender.address.rpartition("@")[2]


def _is_read(mail: Mail, as_of: datetime) -> bool:
    """Recent mail is often unread, and so are old newsletters."""
    if as_of - mail.sent < timedelta(days=10):
        return draw(mail.key, "read", 3) == 0
    return draw(mail.key, "read", 5 if mail.bulk else 60) > 0


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
