"""An embedder that costs nothing: a vector that follows from a text alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from atom_backfill.memory.ports import Vectors


class WordEmbedder:
    """Makes a unit vector of a text's hash."""

    identity = "torture/8"
    dim = 8

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, in order."""
        rows = np.empty((len(texts), self.dim), np.float32)
        for number, text in enumerate(texts):
            rows[number] = np.frombuffer(hashlib.blake2b(text.encode(), digest_size=8).digest(), np.uint8) + 1.0
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows
