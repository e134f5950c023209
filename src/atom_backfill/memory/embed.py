"""Vectors for rows: equal text is embedded once, and what the memory already has is not embedded again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from atom_backfill.memory.ports import Embedder, PassageIndex, PassageRow, Vectors


async def embed_rows(index: PassageIndex, embedder: Embedder, rows: Sequence[PassageRow]) -> Vectors:
    """Find or make the rows' vectors, in order: float32, (len(rows), embedder.dim). Raises what the embedder raises."""
    texts = {row.content_hash: row.embedded for row in rows}
    vectors = await index.known_vectors(list(texts)) if texts else {}
    missing = [content_hash for content_hash in texts if content_hash not in vectors]
    if missing:
        made = await embedder.embed([texts[content_hash] for content_hash in missing])
        vectors = {**vectors, **dict(zip(missing, made, strict=True))}
    if not rows:
        return np.empty((0, embedder.dim), np.float32)
    return np.stack([vectors[row.content_hash] for row in rows])
