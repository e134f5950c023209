"""Items of Graph's lists become what the port promises; what has no usable id or form is told, not dropped. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any

from atom_backfill.mail.dates import read_iso
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sources.ports import Place, RawItem, Unreadable

PLACE_FIELDS = "id,parentFolderId,receivedDateTime,isDraft"
MESSAGE_FIELDS = ",".join(
    (
        "id,changeKey,createdDateTime,lastModifiedDateTime,receivedDateTime,sentDateTime,internetMessageId",
        "conversationId,conversationIndex,parentFolderId,subject,body,importance,isDraft,isRead,hasAttachments,flag",
        "categories,inferenceClassification,webLink,from,sender,toRecipients,ccRecipients,bccRecipients,replyTo",
        "internetMessageHeaders",
    )
)

# "." and ".." would climb in a URL.
_ID = re.compile(r"(?!\.{1,2}\Z)[!-~]{1,1024}")


def usable_id(item: object) -> SourceId | None:
    """Return the item's id where it is one that a store and a URL can hold."""
    found = item.get("id") if isinstance(item, dict) else None
    return SourceId(found) if isinstance(found, str) and _ID.fullmatch(found) else None


def could_be_id(text: str) -> bool:
    """Tell whether a text can be an id of this kind of mailbox at all."""
    return bool(_ID.fullmatch(text))


def read_item(item: object, folder: FolderId) -> RawItem | Unreadable:
    """Read an item of a list of messages; `folder` counts where the item names none."""
    source_id = usable_id(item)
    if not isinstance(item, dict) or source_id is None:
        return refused(item, folder, "id_missing", "The mailbox lists an item without a usable id.")
    try:
        payload = json.dumps(item, separators=(",", ":")).encode("ascii")
    except RecursionError:
        return refused(item, folder, "bad_item", "The mailbox gave an item that is nested too deeply.")
    change_key = item.get("changeKey")
    return RawItem(
        source_id=source_id,
        folder_id=_folder(item, folder),
        received_at=_received(item),
        change_key=change_key if isinstance(change_key, str) else "",
        payload=payload,
    )


def read_place(item: object, folder: FolderId) -> Place:
    """Read an item of an ids-only list; one without an id gets the same made-up id as in `read_item`."""
    source_id = usable_id(item) or _made_up_id(item, folder)
    fields = item if isinstance(item, dict) else {}
    return Place(source_id, _folder(fields, folder), _received(fields), draft=fields.get("isDraft") is True)


def refused(item: object, folder: FolderId, code: str, reason: str) -> Unreadable:
    """Tell of a listed item that cannot be given."""
    fields = item if isinstance(item, dict) else {}
    source_id = usable_id(item) or _made_up_id(item, folder)
    return Unreadable(source_id, _folder(fields, folder), _received(fields), code, reason)


def _received(item: dict[str, Any]) -> datetime | None:
    value = item.get("receivedDateTime")
    return read_iso(value) if isinstance(value, str) else None


def _folder(item: dict[str, Any], folder: FolderId) -> FolderId:
    found = item.get("parentFolderId")
    return FolderId(found) if isinstance(found, str) and _ID.fullmatch(found) else folder


def _made_up_id(item: object, folder: FolderId) -> SourceId:
    # From what both kinds of list hold, so that a walk finds the failure again under the same id.
    received = item.get("receivedDateTime") if isinstance(item, dict) else None
    digest = hashlib.sha256(ascii([folder, received]).encode("ascii")).hexdigest()
    return SourceId(f"no-id-{digest[:40]}")
