"""Mailboxes of any size, made up on the spot: small mails, one a minute, spread over a few folders."""

import hashlib
import json
from collections.abc import Iterator

from . import dates, ids
from .folders import FolderTree, parse_folders
from .mailbox import JsonObject, Mailbox

_NEWEST = 1_767_225_600  # 2026-01-01
_FOLDERS = (
    ("inbox", "Inbox", "msgfolderroot"),
    ("sentitems", "Sent Items", "msgfolderroot"),
    ("drafts", "Drafts", "msgfolderroot"),
    ("deleteditems", "Deleted Items", "msgfolderroot"),
    ("junkemail", "Junk Email", "msgfolderroot"),
    ("archive", "Archive", "msgfolderroot"),
    ("", "Projects", "inbox"),
)
_WORDS = (
    *("budget", "review", "plan", "contract", "visit", "sample", "invoice", "meeting"),
    *("harbour", "winter", "paint", "engine", "survey", "garden"),
)


def generated_mailbox(name: str, count: int) -> Mailbox:
    """A mailbox of `count` invented messages; the same name and count give the same mailbox."""
    folders = [_folder(name, *folder) for folder in _FOLDERS]
    mailbox = Mailbox(name, FolderTree(name, parse_folders(folders)))
    places = [folder["id"] for folder in folders if folder["wellKnownName"] != "drafts"]
    mailbox.take(_messages(name, count, places))
    return mailbox


def _folder(name: str, well_known: str, shown: str, parent: str) -> JsonObject:
    return {
        "id": _folder_id(name, well_known or shown),
        "displayName": shown,
        "parentFolderId": _folder_id(name, parent),
        "wellKnownName": well_known or None,
        "isHidden": False,
    }


def _folder_id(name: str, what: str) -> str:
    return ids.folder_id(hashlib.shake_256(f"{name}/{what}".encode()).digest(87))


def _messages(name: str, count: int, places: list[str]) -> Iterator[tuple[bytes, JsonObject]]:
    for number in range(count):
        chance = hashlib.blake2b(f"{name}/{number}".encode(), digest_size=48).digest()
        message = _message(name, number, chance, places)
        yield json.dumps(message).encode(), message


def _message(name: str, number: int, chance: bytes, places: list[str]) -> JsonObject:
    words = [_WORDS[byte % len(_WORDS)] for byte in chance]
    moment = dates.text(_NEWEST - 60 * number)
    other = {"emailAddress": {"name": f"Person {chance[0]}", "address": f"person{chance[0]}@example.org"}}
    owner = {"emailAddress": {"name": name, "address": f"{name}@example.com"}}
    text = f"Mail number {number}.\r\n" + " ".join(words) + ".\r\n"
    return {
        "id": "AAkALg" + chance.hex()[:66],
        "createdDateTime": moment,
        "lastModifiedDateTime": moment,
        "changeKey": "CQAAABYAAA" + chance.hex()[:22],
        "categories": [],
        "receivedDateTime": moment,
        "sentDateTime": moment,
        "hasAttachments": False,
        "internetMessageId": f"<{number}.{chance.hex()[:12]}@example.org>",
        "subject": f"{words[0].title()} {words[1]} {number}",
        "bodyPreview": text[:255],
        "importance": "normal",
        "parentFolderId": places[chance[1] * len(places) // 256],
        "conversationId": f"AAQk{chance.hex()[:80]}=",
        "isDeliveryReceiptRequested": None,
        "isReadReceiptRequested": False,
        "isRead": chance[2] > 40,
        "isDraft": False,
        "inferenceClassification": "focused",
        "body": {"contentType": "text", "content": text},
        "sender": other,
        "from": other,
        "toRecipients": [owner],
        "ccRecipients": [],
        "bccRecipients": [],
        "replyTo": [],
        "flag": {"flagStatus": "notFlagged"},
    }
