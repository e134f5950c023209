"""Builders for tests of the memory: rows of invented mail, and writing them with HashEmbedder's vectors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from atom_backfill.memory.embed import embed_rows
from atom_backfill.memory.lance import LancePassages
from atom_backfill.memory.ports import Filter, PassageRow
from fakes.embedder import HashEmbedder

TENANT = UUID(int=7)
EVERYTHING = Filter()


def a_row(number: int, **about: Any) -> PassageRow:
    text = about.get("text", f"The lease of room {number} is signed.")
    subject = about.get("subject", "Lease")
    fields: dict[str, Any] = {
        "id": f"p-{number}",
        "message_id": UUID(int=number),
        "account_id": UUID(int=1),
        "thread_id": f"t-{number}",
        "seq": 0,
        "start": 0,
        "end": len(text),
        "subject": subject,
        "text": text,
        "embedded": f"{subject}\n{text}",
        "content_hash": f"{subject}\n{text}",
        "from_address": "ines@lumen.example",
        "to_addresses": ("tomasz@lumen.example",),
        "folder_ids": ("inbox",),
        "has_attachments": False,
        "received_at": datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        "generation": "g1",
        "fence": 1,
        "header": "Ines Halloran ines@lumen.example",
    }
    return PassageRow(**{**fields, **about})


async def remember(index: LancePassages, *rows: PassageRow) -> None:
    await index.upsert(rows, await embed_rows(index, HashEmbedder(), rows))


async def rows_in(index: LancePassages) -> int:
    return (await index.condition()).rows


async def found_by_words(index: LancePassages, words: str, narrowed: Filter = EVERYTHING) -> set[int]:
    return {hit.message_id.int for hit in await index.search_words(words, narrowed, 10)}


async def found_by_vector(index: LancePassages, text: str, narrowed: Filter = EVERYTHING) -> list[int]:
    vector = (await HashEmbedder().embed([text]))[0]
    return [hit.message_id.int for hit in await index.search_vectors(vector, narrowed, 10)]
