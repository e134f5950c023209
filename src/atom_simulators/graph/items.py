"""Messages and attachments as they are answered."""

import base64
import binascii
import hashlib
from typing import Any

from . import bodies, ids, schema
from .errors import GraphError, item_not_found, malformed_id
from .mailbox import Entry
from .options import Options
from .scope import JsonObject, Scope

FILE_ATTACHMENT = "#microsoft.graph.fileAttachment"
REFERENCE_ATTACHMENT = "#microsoft.graph.referenceAttachment"


def message(scope: Scope, entry: Entry, options: Options, *, listed: bool, typed: bool = False) -> JsonObject:
    """One message: what $select names, or everything but what comes on request only.

    `@odata.etag` and `id` always come; `@odata.type` comes for derived types, and for all where `typed`.
    """
    source = entry.parsed()
    # A client that compares change keys must see the change.
    if entry.changed:
        source["changeKey"] = _change_key(scope, entry)
    answer: JsonObject = {}
    if typed:
        answer["@odata.type"] = f"#{schema.MESSAGE_TYPE}"
    answer["@odata.etag"] = f'W/"{source.get("changeKey") or _change_key(scope, entry)}"'
    for name, value in source.items():
        if _is_shown(name, options):
            answer[name] = value
    answer["id"] = scope.id_of(entry)
    if options.shows("uniqueBody") and "uniqueBody" not in source and "body" in source:
        answer["uniqueBody"] = source["body"]
    if "attachments" in options.expand:
        answer["attachments"] = [attachment(item) for item in _attachments(source)]
    if "singleValueExtendedProperties" in options.expand:
        answer["singleValueExtendedProperties"] = [{"id": "Long 0xe08", "value": str(len(entry.raw))}]
    return _fitted(scope, answer, listed=listed)


def attachments(entry: Entry) -> list[JsonObject]:
    """The attachments of a message, in full."""
    return [attachment(item) for item in _attachments(entry.parsed())]


def attachment(item: JsonObject) -> JsonObject:
    """One attachment, with an id and a type where its file has none."""
    made = ids.folder_id(hashlib.shake_256(repr(sorted(item.items())).encode(errors="replace")).digest(87))
    return {"@odata.type": FILE_ATTACHMENT, "id": made, **item}


def attachment_bytes(item: JsonObject) -> bytes:
    """The content of a file attachment. Raises GraphError for one that has none."""
    if item["@odata.type"] == REFERENCE_ATTACHMENT:
        raise GraphError(405, "ErrorInvalidRequest", "Specified HTTP method is not allowed for the request target.")
    try:
        return base64.b64decode(str(item.get("contentBytes") or ""))
    except (binascii.Error, ValueError):
        raise item_not_found() from None


def find(scope: Scope, item_id: str) -> Entry:
    """A message of the mailbox. Raises GraphError: 404 for what is not there, 400 for what is no id."""
    entry = scope.mailbox.find(item_id)
    if entry is not None:
        return entry
    if scope.mailbox.knew(item_id) or ids.looks_like_an_id(item_id):
        raise item_not_found()
    raise malformed_id()


def _is_shown(name: str, options: Options) -> bool:
    if name in ("@odata.etag", "@odata.context", "id") or name in schema.NAVIGATIONS:
        return name == "id"
    if name.startswith("@"):
        return True
    return name in options.select if options.select else name not in schema.ON_REQUEST


def _fitted(scope: Scope, answer: JsonObject, *, listed: bool) -> JsonObject:
    if scope.basic:
        answer = {name: value for name, value in answer.items() if name not in schema.NOT_BASIC}
    wanted = scope.prefer.body_type
    if wanted is None or (listed and scope.quirks.body_type_ignored_in_lists):
        return answer
    for name in ("body", "uniqueBody"):
        if name in answer:
            answer[name] = bodies.in_type(answer[name], wanted)
    return answer


def _attachments(source: JsonObject) -> list[JsonObject]:
    found: Any = source.get("attachments")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _change_key(scope: Scope, entry: Entry) -> str:
    material = f"{scope.mailbox.name}/{entry.ordinal}/{entry.changed}".encode()
    return base64.b64encode(b"\x09\0\0\0\x16\0\0\0" + hashlib.blake2b(material, digest_size=16).digest()).decode()
