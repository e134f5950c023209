"""The mailbox of a run as files of the Graph simulator, and the truth about it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from atom_torture.processes.schedule import Schedule
from atom_torture.truth import Mail, mailbox

NAME = "ines"
ADDRESS = f"{NAME}@example.com"


def mails_of(schedule: Schedule) -> tuple[Mail, ...]:
    """Make the mails of a run."""
    return mailbox(schedule.seed, mails=schedule.mails, folders=schedule.folders, poison=schedule.poison)


def write_mailbox(folder: Path, mails: Sequence[Mail]) -> None:
    """Write `mailboxes/` and `faults.json`, which makes the unreadable ones unreadable."""
    place = folder / "mailboxes"
    place.mkdir(parents=True)
    folders = sorted({mail.folder for mail in mails})
    (place / f"{NAME}.folders.json").write_text(
        json.dumps([_folder(name, "inbox" if not number else None) for number, name in enumerate(folders)])
    )
    with gzip.open(place / f"{NAME}.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(_message(mail)) + "\n" for mail in mails)
    faults = [
        {"on": "any", "kind": "corrupt_item", "id": mail.source_id} for mail in mails if mail.poison == "unreadable"
    ]
    (folder / "faults.json").write_text(json.dumps(faults))


def _folder(name: str, known: str | None) -> dict[str, Any]:
    about = {"id": name, "displayName": name.title(), "parentFolderId": "root-folder-id"}
    return {**about, "isHidden": False, "wellKnownName": known}


def _message(mail: Mail) -> dict[str, Any]:
    at = mail.received_at.strftime("%Y-%m-%dT%H:%M:%SZ") if mail.received_at else None
    written = at or "2026-03-02T09:30:00Z"
    return {
        "id": mail.source_id,
        "parentFolderId": mail.folder,
        "changeKey": f"key-{mail.source_id}",
        "createdDateTime": written,
        "lastModifiedDateTime": written,
        "receivedDateTime": at,
        "sentDateTime": written,
        "internetMessageId": f"<{mail.source_id}@{mail.domain}>",
        "conversationId": f"thread-{mail.source_id}",
        "subject": mail.subject,
        "body": {"contentType": "text", "content": mail.body},
        "bodyPreview": mail.body[:60],
        "from": _person(mail, mail.sender),
        "sender": _person(mail, mail.sender),
        "toRecipients": [_person(mail, name) for name in mail.recipients],
        "ccRecipients": [],
        "bccRecipients": [],
        "replyTo": [],
        "hasAttachments": False,
        "isDraft": False,
        "isRead": True,
        "importance": "normal",
    }


def _person(mail: Mail, name: str) -> dict[str, Any]:
    name, address = parseaddr(mail.address(name))
    return {"emailAddress": {"name": name, "address": address}}
