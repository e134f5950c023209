"""An embedder that costs next to nothing, to see what all the rest costs."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from atom_backfill.memory.ports import Vectors

DIM = 384


class FreeEmbedder:
    """Vectors of MiniLM's shape made of a hash of the text: about 5 µs each. Near texts are not near."""

    identity = "free/1"
    dim = DIM

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, in order; equal text gives equal rows."""
        hashes = b"".join(blake2b(text.encode()).digest() for text in texts)
        rows = np.frombuffer(hashes, np.uint8).reshape(len(texts), 64).astype(np.float32) - 127.5
        rows /= np.linalg.norm(rows, axis=1, keepdims=True) * np.sqrt(np.float32(DIM / 64))
        return np.tile(rows, (1, DIM // 64))
