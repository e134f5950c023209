"""A deterministic Embedder without a model, for tests of everything else: texts that share words are near."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from atom_backfill.memory.ports import Vectors


class HashEmbedder:
    """Adds up a pseudo-random unit vector per word. `embedded` counts the texts that were embedded."""

    def __init__(self, dim: int = 32) -> None:
        self.dim = dim
        self.identity = f"hash/{dim}"
        self.embedded = 0

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.embedded += len(texts)
        if not texts:
            return np.empty((0, self.dim), np.float32)
        rows = np.stack([sum(map(self._word, re.findall(r"\w+", text.lower()) or [""])) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def _word(self, word: str) -> Vectors:
        seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
        return np.random.default_rng(seed).standard_normal(self.dim).astype(np.float32)
