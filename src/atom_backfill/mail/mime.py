"""RFC 822 bytes to Message, for local files: bounded in bytes, fields, parts and depth; forgiving of everything else.

The text: of alternatives the plain one, unless it is missing or a stub beside its HTML; other text parts are joined.
A message inside a message is an attachment. What is encrypted, or wrapped in winmail.dat, is recorded, not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from html import escape, unescape

from atom_backfill.errors import SkipItemError
from atom_backfill.mail.bulk import header_map, recognise_kind
from atom_backfill.mail.dates import read_rfc5322
from atom_backfill.mail.door import Limits, cut
from atom_backfill.mail.message import Address, Attachment, BodyType, FolderId, Message, SourceId
from atom_backfill.mail.mime_headers import decode_words, read_addresses, split_headers
from atom_backfill.mail.mime_parts import Part, leaves
from atom_backfill.mail.references import conversation_of, message_ids
from atom_backfill.mail.sealed import sealed_note


def read_mime(payload: bytes, *, source_id: SourceId, folder_id: FolderId, limits: Limits) -> Message:
    """Read one mail. Raises SkipItemError (stage parse) for what is no mail at all."""
    if len(payload) > limits.message_bytes:
        raise SkipItemError("message_too_large", "The message is larger than the limit.", stage="parse")
    fields, body, cut_fields = split_headers(payload, limits)
    if not fields and not body.strip():
        raise SkipItemError("empty", "The file holds no message.", stage="parse")
    notes = ["headers_truncated"] if cut_fields else []
    headers = tuple((name, cut(decode_words(value), 2_000)) for name, value in fields)
    by_name = header_map(headers)
    raw = header_map(fields)
    parts, truncated_parts = leaves(fields, body, limits)
    if truncated_parts:
        notes.append("parts_truncated")
    text, body_type = _body(parts, limits, notes)
    people = _People(raw, limits)
    # Raw, not decoded: an id is compared to the letter with those in other mails' references.
    own_id = next(iter(message_ids(raw.get("message-id", ""))), by_name.get("message-id", ""))
    references = message_ids(f"{raw.get('references', '')} {raw.get('in-reply-to', '')}")
    others = tuple(reference for reference in references if reference != own_id)
    subject = decode_words(raw.get("subject", ""))
    attachments = tuple(_attachment(part) for part in parts if _is_attachment(part))
    sent_at = read_rfc5322(raw.get("date", ""))
    if sent_at is None and raw.get("date", "").strip():
        notes.append("sent_date_unusable")
    return Message(
        source_id=source_id,
        folder_id=folder_id,
        internet_message_id=cut(own_id, 998),
        conversation_id=conversation_of(own_id, others, subject),
        subject=cut(subject, limits.subject_characters),
        received_at=_received(raw.get("received", ""), sent_at),
        sent_at=sent_at,
        from_=people.first("from"),
        sender=people.first("sender") or people.first("from"),
        to=people.read("to"),
        cc=people.read("cc"),
        bcc=people.read("bcc"),
        reply_to=people.read("reply-to"),
        body=text,
        body_type=body_type,
        headers=headers,
        references=others[: limits.references],
        attachments=attachments[: limits.attachments],
        has_attachments=any(not attachment.inline for attachment in attachments),
        kind=recognise_kind(headers, subject, (people.first("from") or Address("", "")).address, _types(parts, raw)),
        importance=_importance(by_name),
        notes=tuple(notes)
        + sealed_note(attachments, empty=not text.strip())
        + (("subject_truncated",) if len(subject) > limits.subject_characters else ())
        + (("recipients_truncated",) if people.truncated else ())
        + (("references_truncated",) if len(others) > limits.references else ()),
    )


class _People:
    """Reads address fields, at most `limits.recipients` addresses in all."""

    def __init__(self, raw: Mapping[str, str], limits: Limits) -> None:
        self._raw = raw
        self._limits = limits
        self._room = limits.recipients
        self.truncated = False

    def first(self, field: str) -> Address | None:
        addresses, _ = read_addresses(self._raw.get(field, ""), self._limits, 1)
        return addresses[0] if addresses else None

    def read(self, field: str) -> tuple[Address, ...]:
        addresses, more = read_addresses(self._raw.get(field, ""), self._limits, self._room)
        self._room -= len(addresses)
        self.truncated = self.truncated or more
        return addresses


def _body(parts: list[Part], limits: Limits, notes: list[str]) -> tuple[str, BodyType]:
    """Join what the mail says: of alternatives one, and of everything else all, as HTML where some of it is."""
    limit = limits.body_characters
    said = _said([part for part in parts if not _is_attachment(part)], limit)
    if not any(text.strip() for _, text in said):
        # A text of an unknown kind is to be read as plain (RFC 2046, 4.1.4).
        said = [(_TEXT, part.text(limit)) for part in parts if _is_unknown_text(part)]
    if any(kind == _HTML for kind, _ in said):
        body, body_type = "\n".join(text if kind == _HTML else _as_html(text) for kind, text in said), _HTML
    else:
        body, body_type = "\n".join(text for _, text in said), _TEXT
    if len(body) >= limit:
        notes.append("body_truncated")
    return cut(body, limit), body_type


def _said(parts: list[Part], limit: int) -> list[tuple[BodyType, str]]:
    """Choose among alternatives; outside of them a plain text is left out where an HTML part says it all again."""
    said: list[tuple[BodyType, str]] = []
    chosen = {0}
    for part in parts:
        if part.choice and part.choice not in chosen:
            said.append(_choose([each for each in parts if each.choice == part.choice], limit))
        elif not part.choice:
            said.append((_HTML if part.content_type == "text/html" else _TEXT, part.text(limit)))
        chosen.add(part.choice)
    markup = [text for kind, text in said if kind == _HTML]
    return [(kind, text) for kind, text in said if kind == _HTML or not any(_repeats(each, text) for each in markup)]


def _choose(alternatives: list[Part], limit: int) -> tuple[BodyType, str]:
    text = "\n".join(part.text(limit) for part in alternatives if part.content_type == "text/plain")
    markup = "\n".join(part.text(limit) for part in alternatives if part.content_type == "text/html")
    return (_HTML, markup) if markup and _is_stub(text, markup) else (_TEXT, text)


def _as_html(text: str) -> str:
    return f"<pre>\n{escape(text, quote=False)}</pre>" if text.strip() else ""


def _repeats(markup: str, text: str) -> bool:
    """Tell whether an HTML part holds nearly every word of a plain one, as where a program mixes what are alternatives.

    Lists hang a plain footer under a mail of HTML alone: its words are others.
    """
    words = text.split()
    known = set(unescape(_TAG.sub(" ", markup)).split())
    return sum(word in known for word in words) >= 0.9 * len(words)


def _is_stub(text: str, markup: str) -> bool:
    words = len(text.split())
    return words == 0 or (words < 40 and words * 4 < len(_TAG.sub(" ", markup).split()))


def _is_unknown_text(part: Part) -> bool:
    kind = part.content_type
    return kind.startswith("text/") and kind not in _OTHER_TEXTS and not part.attached


def _is_attachment(part: Part) -> bool:
    if part.content_type not in ("text/plain", "text/html"):
        return True
    return part.attached


def _attachment(part: Part) -> Attachment:
    encoding = str(part.decoder.get("content-transfer-encoding") or "").strip().lower()
    size = len(part.body) * 3 // 4 if encoding == "base64" else len(part.body)
    disposition = str(part.decoder.get("content-disposition") or "").strip().lower()
    inline = disposition.startswith("inline") or ("multipart/related" in part.parents and "content-id" in part.decoder)
    return Attachment(part.filename, cut(part.content_type, 200), size, inline)


def _received(trace: str, sent_at: datetime | None) -> datetime | None:
    """Take the time of the last relay where it is plausible: between a day before and three days after the Date."""
    received = read_rfc5322(trace.rpartition(";")[2]) if ";" in trace else None
    if received is None or sent_at is None:
        return sent_at or received
    # Imports and wrong clocks leave a trace years away from the Date.
    return received if timedelta(days=-1) < received - sent_at < timedelta(days=3) else sent_at


def _types(parts: list[Part], raw: Mapping[str, str]) -> str:
    calendar = next((str(p.decoder.get("content-type")) for p in parts if p.content_type == "text/calendar"), "")
    return calendar or raw.get("content-type", "")


def _importance(headers: Mapping[str, str]) -> str:
    value = str(headers.get("importance", "") or headers.get("x-priority", ""))[:6].strip().lower()
    return "high" if value[:4] in ("high", "1", "2") else "low" if value[:3] in ("low", "4", "5") else "normal"


_OTHER_TEXTS = frozenset(
    ["text/plain", "text/html", "text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/rfc822-headers"]
)
_TEXT: BodyType = "text"
_HTML: BodyType = "html"
_TAG = re.compile(r"<style\b[^<]*|<[^<>]{0,5000}>", re.IGNORECASE)
