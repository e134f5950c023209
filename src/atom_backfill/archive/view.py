"""A stored message as people and scripts are shown it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atom_backfill.mail.digest import SegmentKind


def message_view(
    row: Mapping[str, Any], facts: Sequence[Mapping[str, Any]], told: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return the document of docs/reference/answers.md from what `PostgresArchive.message` and the graph read.

    `told`: what a model found in it.
    """
    return {
        "message_id": row["id"],
        "source_id": row["source_id"],
        "thread_id": row["thread_id"],
        "account_id": row["account_id"],
        "internet_message_id": row["internet_message_id"],
        "subject": row["subject"],
        "from": row["from_address"],
        "from_name": row["from_name"],
        "to": _addresses(row, "to"),
        "cc": _addresses(row, "cc"),
        "bcc": _addresses(row, "bcc"),
        "participants": row["participants"],
        "received_at": row["received_at"],
        "sent_at": row["sent_at"],
        "folders": row["folders"],
        "text": row["text"],
        "clean_text": clean_text(row["text"], row["segments"]),
        "entities": [*map(_entity, row["entities"]), *map(_told, told)],
        "facts": list(facts),
        "failures": row["failures"],
        "attachments": row["attachments"],
        "bulk": row["bulk"],
        "notes": row["notes"],
        "web_link": row["web_link"] or None,
    }


def clean_text(text: str, segments: list[list[Any]]) -> str:
    """Return the new text alone: segments are [kind, start, end] in code points of `text`."""
    new = (text[start:end].strip("\n") for kind, start, end in segments if kind == SegmentKind.NEW)
    return "\n".join(new).strip()


def _addresses(row: Mapping[str, Any], role: str) -> list[str]:
    return [person["address"] for person in row["participants"] if person["role"] == role]


def _entity(entity: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "entity_id": entity["id"],
        "entity_type": entity["entity_type"],
        "name": entity["name"],
        "properties": entity["properties"],
    }


def _told(node: Mapping[str, Any]) -> dict[str, Any]:
    """Shape an entity of the graph as one that rules found: by its id in the graph, with its places in the text."""
    return {
        "entity_id": node["id"],
        "entity_type": node["type"],
        "name": node["name"],
        "properties": {"field": "content", "places": node["places"]},
    }
