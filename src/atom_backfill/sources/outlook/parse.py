"""Graph JSON to Message: pure, and forgiving of every field that is missing, null or of another type.

Fields and their types: Microsoft Graph v1.0, resource `message` and its derived `eventMessage` types.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from atom_backfill.errors import SkipItemError
from atom_backfill.mail.bulk import header_map, recognise_kind
from atom_backfill.mail.dates import read_iso
from atom_backfill.mail.door import Limits, cut, repair, repair_line
from atom_backfill.mail.message import Address, Attachment, BodyType, FolderId, Kind, Message, SourceId
from atom_backfill.mail.references import message_ids
from atom_backfill.mail.sealed import sealed_note


def read_graph(payload: bytes, *, limits: Limits) -> Message:
    """Read one message as Graph gives it. Raises SkipItemError (stage parse) for what is no message."""
    item = _load(payload, limits)
    notes: list[str] = []
    headers = tuple(_headers(item.get("internetMessageHeaders"), limits))
    by_name = header_map(headers)
    recipients = _Recipients(limits)
    from_ = _address(item.get("from"), limits)
    subject = _line(item.get("subject"))
    references = message_ids(f"{by_name.get('references', '')} {by_name.get('in-reply-to', '')}")
    attachments = tuple(_attachments(item.get("attachments"), limits))
    body, body_type = _body(item.get("body"), notes)
    return Message(
        source_id=SourceId(_line(item["id"])),
        folder_id=FolderId(_line(item.get("parentFolderId"))),
        internet_message_id=cut(_line(item.get("internetMessageId")), 998),
        conversation_id=_line(item.get("conversationId")),
        subject=_cut(subject, limits.subject_characters, "subject_truncated", notes),
        received_at=_date(item, "receivedDateTime", notes),
        sent_at=_date(item, "sentDateTime", notes),
        from_=from_,
        sender=_address(item.get("sender"), limits),
        to=recipients.read(item.get("toRecipients")),
        cc=recipients.read(item.get("ccRecipients")),
        bcc=recipients.read(item.get("bccRecipients")),
        reply_to=recipients.read(item.get("replyTo")),
        body=_cut(body, limits.body_characters, "body_truncated", notes),
        body_type=body_type,
        headers=headers,
        references=references[: limits.references],
        attachments=attachments,
        has_attachments=item.get("hasAttachments") is True or any(not a.inline for a in attachments),
        is_draft=item.get("isDraft") is True,
        kind=_kind(item, headers, subject, from_),
        importance=_importance(item.get("importance")),
        web_link=cut(_line(item.get("webLink")), 2_048),
        change_key=_line(item.get("changeKey")),
        notes=tuple(notes)
        + sealed_note(attachments, empty=not body.strip())
        + (("recipients_truncated",) if recipients.truncated else ())
        + (("recipients_unreadable",) if recipients.unreadable else ())
        + (("references_truncated",) if len(references) > limits.references else ()),
    )


def _load(payload: bytes, limits: Limits) -> dict[str, Any]:
    if len(payload) > limits.message_bytes:
        raise SkipItemError("message_too_large", "The message is larger than the limit.", stage="parse")
    try:
        # A broken byte or a raw control costs a character, not the message.
        item = json.loads(payload.decode("utf-8-sig", "replace"), strict=False)
    except (ValueError, RecursionError) as error:
        raise SkipItemError("not_json", "The message is not readable JSON.", stage="parse") from error
    if not isinstance(item, dict):
        raise SkipItemError("not_a_message", "The item is not a JSON object.", stage="parse")
    if "@removed" in item:
        raise SkipItemError("removed", "The message was deleted or moved while it was read.", stage="parse")
    if not isinstance(item.get("id"), str) or not item["id"].strip():
        raise SkipItemError("id_missing", "The message has no id.", stage="parse")
    return item


def _line(value: object) -> str:
    return repair_line(value) if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""


def _cut(text: str, limit: int, note: str, notes: list[str]) -> str:
    if len(text) > limit:
        notes.append(note)
    return cut(text, limit)


def _date(item: dict[str, Any], field: str, notes: list[str]) -> datetime | None:
    value = item.get(field)
    moment = read_iso(value) if isinstance(value, str) else None
    if moment is None and value:
        notes.append("received_date_unusable" if field == "receivedDateTime" else "sent_date_unusable")
    return moment


def _body(value: object, notes: list[str]) -> tuple[str, BodyType]:
    if isinstance(value, str):
        return repair(value), "text"
    if not isinstance(value, dict) or not isinstance(value.get("content"), str):
        notes.append("body_missing")
        return "", "text"
    declared = value.get("contentType")
    return repair(value["content"]), "html" if isinstance(declared, str) and declared.lower() == "html" else "text"


def _address(value: object, limits: Limits) -> Address | None:
    inner = value.get("emailAddress", value) if isinstance(value, dict) else None
    if not isinstance(inner, dict):
        return None
    name = cut(_line(inner.get("name")), limits.name_characters)
    address = cut(_line(inner.get("address")), limits.address_characters)
    return Address(name, address) if name or address else None


class _Recipients:
    """Reads the lists of recipients, at most `limits.recipients` in all."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._room = limits.recipients
        self.truncated = False
        self.unreadable = False

    def read(self, value: object) -> tuple[Address, ...]:
        items = value if isinstance(value, list) else [] if value is None else [value]
        addresses: list[Address] = []
        for item in items:
            if self._room <= 0:
                self.truncated = True
                break
            if address := _address(item, self._limits):
                addresses.append(address)
                self._room -= 1
            elif not isinstance(item, dict) or not isinstance(item.get("emailAddress", item), dict):
                self.unreadable = True
        return tuple(addresses)


def _headers(value: object, limits: Limits) -> Iterator[tuple[str, str]]:
    room = limits.header_bytes
    for item in _dicts(value, limits.header_lines):
        name, text = _line(item.get("name")), _line(item.get("value"))
        room -= len(name) + len(text)
        if room < 0:
            return
        if name:
            yield name, text


def _attachments(value: object, limits: Limits) -> Iterator[Attachment]:
    for item in _dicts(value, limits.attachments):
        size = item.get("size")
        yield Attachment(
            name=cut(_line(item.get("name")), limits.name_characters),
            content_type=cut(_line(item.get("contentType")), 200),
            size=size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
            inline=item.get("isInline") is True,
        )


def _dicts(value: object, limit: int) -> Iterable[dict[str, Any]]:
    return (item for item in value[:limit] if isinstance(item, dict)) if isinstance(value, list) else ()


def _kind(item: dict[str, Any], headers: tuple[tuple[str, str], ...], subject: str, from_: Address | None) -> Kind:
    meeting = _line(item.get("meetingMessageType")).lower()
    if meeting in _MEETINGS:
        return _MEETINGS[meeting]
    derived = _line(item.get("@odata.type")).rpartition(".")[2].lower()
    if derived in _MEETINGS:
        return _MEETINGS[derived]
    return recognise_kind(headers, subject, from_.address if from_ else "")


def _importance(value: object) -> str:
    return value if isinstance(value, str) and value in ("low", "high") else "normal"


# The misspelling is Graph's own.
_MEETINGS = {
    "meetingrequest": Kind.MEETING_REQUEST,
    "eventmessagerequest": Kind.MEETING_REQUEST,
    "meetingcancelled": Kind.MEETING_CANCELLED,
    "meetingaccepted": Kind.MEETING_RESPONSE,
    "meetingdeclined": Kind.MEETING_RESPONSE,
    "meetingtenativelyaccepted": Kind.MEETING_RESPONSE,
    "meetingtentativelyaccepted": Kind.MEETING_RESPONSE,
    "eventmessageresponse": Kind.MEETING_RESPONSE,
}
