"""The nouns of mail: Message as a source hands it over, after the door has repaired what no store can hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, NewType

SourceId = NewType("SourceId", str)
"""A message's id in its mailbox (Graph: the immutable id; local files: made from the content)."""
FolderId = NewType("FolderId", str)

BodyType = Literal["text", "html"]


class Kind(StrEnum):
    """What sort of mail it is; everything that is not a person writing is recognisable."""

    MESSAGE = "message"
    MEETING_REQUEST = "meeting_request"
    MEETING_CANCELLED = "meeting_cancelled"
    MEETING_RESPONSE = "meeting_response"
    DELIVERY_REPORT = "delivery_report"
    AUTO_REPLY = "auto_reply"


@dataclass(frozen=True, slots=True)
class Address:
    """A display name and an address as written; either may be empty. X.500 names are kept as they are."""

    name: str
    address: str

    def __reduce__(self) -> tuple[type[Address], tuple[str, str]]:
        # The default for slotted dataclasses looks their fields up each time: ten times slower, thousands a page.
        return Address, (self.name, self.address)


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is known of an attachment without fetching it. `size` in bytes, None where unknown."""

    name: str
    content_type: str
    size: int | None
    inline: bool


@dataclass(frozen=True, slots=True)
class Message:
    """One mail. Strings hold no NUL and no lone surrogate; missing text is "", a missing or unusable date None.

    `notes` records every cut or repair made at the door, as words of docs/glossary.md (`body_truncated`, …).
    """

    source_id: SourceId
    folder_id: FolderId
    internet_message_id: str
    conversation_id: str
    subject: str
    received_at: datetime | None
    sent_at: datetime | None
    from_: Address | None
    sender: Address | None
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    body: str
    body_type: BodyType
    headers: tuple[tuple[str, str], ...] = ()
    references: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    has_attachments: bool = False
    is_draft: bool = False
    kind: Kind = Kind.MESSAGE
    importance: str = "normal"
    web_link: str = ""
    change_key: str = ""
    notes: tuple[str, ...] = ()
