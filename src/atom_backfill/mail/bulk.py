"""Who wrote it: bulk mail, machines, and the kinds of mail that are not a person writing, from headers alone.

A discussion list is not bulk: people write there. "Unsubscribe" in a text proves nothing and is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from atom_backfill.mail.message import Kind, Message
from atom_backfill.mail.people import address_key


def is_bulk(message: Message) -> bool:
    """Tell whether a mail was sent to many by one who expects no answer: newsletters, campaigns, notices."""
    headers = header_map(message.headers)
    if _is_discussion(headers):
        return False
    precedence = headers.get("precedence", "").strip().lower()
    if "list-unsubscribe" in headers or "list-unsubscribe-post" in headers or precedence in ("bulk", "junk"):
        return True
    return any(name in headers for name in _CAMPAIGN_HEADERS) or (
        precedence == "list" and "list-id" not in headers and "list-post" not in headers
    )


def is_machine(message: Message) -> bool:
    """Tell whether no person wrote it: automatic replies, delivery reports, notices of programs."""
    if message.kind in (Kind.AUTO_REPLY, Kind.DELIVERY_REPORT):
        return True
    headers = header_map(message.headers)
    return _submitted(headers) not in ("", "no") or any(name in headers for name in _MACHINE_HEADERS)


def recognise_kind(headers: Iterable[tuple[str, str]], subject: str, from_address: str, content_type: str = "") -> Kind:
    """Recognise automatic replies, delivery reports and invitations; `content_type` is the mail's own."""
    found = header_map(headers)
    content_type = content_type.lower() or found.get("content-type", "").lower()
    local = address_key(from_address).rpartition("@")[0]
    # Senders quote and space the parameter as they like.
    if "report-type=delivery-status" in content_type.replace('"', "").replace(" ", "") or _POSTMASTER.fullmatch(local):
        return Kind.DELIVERY_REPORT
    if _submitted(found) == "auto-replied" or any(name in found for name in _AUTO_REPLY_HEADERS):
        return Kind.AUTO_REPLY
    if found.get("precedence", "").strip().lower() == "auto_reply" or _AUTO_REPLY_SUBJECT.match(subject):
        return Kind.AUTO_REPLY
    method = re.search(r"method=\"?(\w+)", content_type) if "text/calendar" in content_type else None
    return _CALENDAR_METHODS.get(method[1], Kind.MESSAGE) if method else Kind.MESSAGE


def header_map(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Read headers by lower-case name; of a repeated one the first counts."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value)
    return found


def _submitted(headers: Mapping[str, str]) -> str:
    """Read the keyword of Auto-Submitted (RFC 3834), without parameters and comments."""
    return re.split(r"[;(\s]", headers.get("auto-submitted", "").strip().lower(), maxsplit=1)[0]


def _is_discussion(headers: Mapping[str, str]) -> bool:
    post = headers.get("list-post", "").strip().lower()
    if post:
        return not post.startswith("no")
    # Mailing-list programs give a List-Id and an address to help or archives; campaign tools a List-Id alone.
    return "list-id" in headers and ("list-archive" in headers or "list-help" in headers or "mailing-list" in headers)


_CAMPAIGN_HEADERS = ("x-campaign", "x-campaignid", "x-campaign-id", "x-mc-user", "x-mailer-campaign", "feedback-id")
_MACHINE_HEADERS = (
    "x-autoreply",
    "x-autorespond",
    "x-auto-response",
    "x-bugzilla-reason",
    "x-cron-env",
    "x-failed-recipients",
)
_AUTO_REPLY_HEADERS = ("x-autoreply", "x-autorespond", "x-auto-reply-from")
_POSTMASTER = re.compile(r"mailer-?daemon|postmaster|microsoftexchange[0-9a-f]{20,}")
_AUTO_REPLY_SUBJECT = re.compile(
    r"\s*(?:auto(?:mati[ck])?[- ]?reply\b|automatic reply|out of (?:the )?office|autoreply|abwesenheit"
    r"|automatische antwort"
    r"|réponse automatique|respuesta automática|risposta automatica|resposta automática|automatisch antwoord"
    r"|autosvar|automatiskt svar|automaattinen vastaus"
    r"|automatická odpověď|odpowiedź automatyczna|автоответ|自動応答|自动回复)",
    re.IGNORECASE,
)
_CALENDAR_METHODS = {
    "request": Kind.MEETING_REQUEST,
    "cancel": Kind.MEETING_CANCELLED,
    "reply": Kind.MEETING_RESPONSE,
    "counter": Kind.MEETING_RESPONSE,
}
