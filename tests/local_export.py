"""The sample mailbox as somebody's export: an mbox file for each folder."""

from __future__ import annotations

import json
import mailbox
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from atom_simulators.sample import messages, write_mailbox

PEOPLE = {"From": "from", "To": "toRecipients", "Cc": "ccRecipients"}


def write_export(folder: Path, *, mails: int) -> None:
    """Write `folder`/Inbox.mbox and so on: mails with a date and with addresses that any mail program writes."""
    paths = _folder_paths(mails)
    for message in messages(mails=mails):
        people = [person.get("emailAddress") or {} for person in _people(message)]
        if not message.get("sentDateTime") or not all(str(each.get("address", "")).isascii() for each in people):
            continue
        place = folder / f"{paths[str(message['parentFolderId'])]}.mbox"
        place.parent.mkdir(parents=True, exist_ok=True)
        box = mailbox.mbox(place)
        box.add(_as_mail(message))
        box.close()


def _people(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [person for field in PEOPLE.values() for person in _listed(message.get(field))]


def _listed(value: Any) -> list[dict[str, Any]]:
    return value if isinstance(value, list) else [value] if value else []


def _folder_paths(mails: int) -> dict[str, str]:
    with TemporaryDirectory() as made:
        listing = write_mailbox(Path(made), mails=mails) / "mailboxes" / "sample.folders.json"
        folders = {each["id"]: each for each in json.loads(listing.read_text("utf-8"))["value"]}
    return {identity: _path(identity, folders) for identity in folders}


def _path(identity: str, folders: dict[str, Any]) -> str:
    folder = folders[identity]
    above = _path(folder["parentFolderId"], folders) + "/" if folder.get("parentFolderId") in folders else ""
    return above + folder["displayName"].replace("/", "-")


def _as_mail(message: dict[str, Any]) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = _line(message.get("subject"))
    mail["Message-ID"] = _line(message.get("internetMessageId"))
    mail["Date"] = format_datetime(datetime.fromisoformat(message["sentDateTime"]))
    for header, field in PEOPLE.items():
        people = [person for each in _listed(message.get(field)) if (person := _person(each))]
        if people:
            mail[header] = ", ".join(people)
    for header in message.get("internetMessageHeaders") or []:
        if header["name"] in ("References", "In-Reply-To", "List-Unsubscribe"):
            mail[header["name"]] = _line(header["value"])
    body = message.get("body") or {}
    subtype = "html" if body.get("contentType") == "html" else "plain"
    mail.set_content(_clean(body.get("content") or ""), subtype=subtype, cte="base64")
    return mail


def _person(recipient: dict[str, Any]) -> str:
    address = recipient.get("emailAddress") or {}
    return formataddr((_line(address.get("name")), _line(address.get("address"))), "utf-8") if address else ""


def _line(text: object) -> str:
    return " ".join(_clean(text).split()) if isinstance(text, str) else ""


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
