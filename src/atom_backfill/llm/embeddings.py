"""An OpenAI-compatible endpoint: its `/embeddings` half, an Embedder by shape.

https://platform.openai.com/docs/api-reference/embeddings; local servers (Ollama, vLLM, llama.cpp) speak the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atom_backfill.clock import Clock
from atom_backfill.errors import NeedsOwnerError
from atom_backfill.http import HttpClient
from atom_backfill.llm.endpoint import Endpoint, Key

MAX_CHARS = 8000
"""Of one text; the endpoint refuses more than 8,191 tokens, and no passage comes near."""
BATCH_TEXTS = 64
BATCH_CHARS = 100_000


class OpenAIEmbedder:
    """Embeds by `POST /embeddings`, a batch after the other. `dim`: what the model gives, see `probe_dim`."""

    def __init__(self, http: HttpClient, *, model: str, dim: int, key: Key, clock: Clock) -> None:
        self.identity = f"{http.base.host}/{model}"
        self.dim = dim
        self._model = model
        self._endpoint = Endpoint(http, key=key, fix="set another ATOM_OPENAI_API_KEY", clock=clock)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, in order: float32, (len(texts), dim), unit rows.

        Raises what `Endpoint.post` raises, and NeedsOwnerError `embedding_dim`.
        """
        rows = [row for batch in _batches(texts) for row in await self._call(batch)]
        if any(len(row) != self.dim for row in rows):
            raise NeedsOwnerError(
                "embedding_dim",
                f"{self._model} gives vectors of {len(rows[0])} numbers, not {self.dim}; the model behind "
                "ATOM_OPENAI_BASE_URL has changed.",
            )
        vectors = np.array(rows, np.float32).reshape(-1, self.dim)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise self._endpoint.unreadable()
        unit: NDArray[np.float32] = vectors / lengths
        return unit

    async def probe_dim(self) -> int:
        """Ask the endpoint how many numbers its vectors have."""
        [row] = await self._call(["dimensions"])
        return len(row)

    async def _call(self, batch: Sequence[str]) -> list[list[float]]:
        asked = {"model": self._model, "input": list(batch), "encoding_format": "float"}
        rows = _rows((await self._endpoint.post("/embeddings", asked, self._model)).json, len(batch))
        if rows is None:
            raise self._endpoint.unreadable()
        return rows


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    chars = 0
    for text in texts:
        # The real service refuses empty strings.
        text = text[:MAX_CHARS] if text.strip() else "(empty)"
        if batch and (len(batch) == BATCH_TEXTS or chars + len(text) > BATCH_CHARS):
            yield batch
            batch, chars = [], 0
        batch.append(text)
        chars += len(text)
    if batch:
        yield batch


def _rows(answer: Any, count: int) -> list[list[float]] | None:
    """Read the vectors in the order of their `index`; None where the answer is not of the documented shape."""
    try:
        data = sorted(answer["data"], key=lambda item: int(item["index"]))
        rows = [[float(number) for number in item["embedding"]] for item in data]
        indexes = [item["index"] for item in data]
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    return rows if indexes == list(range(count)) and all(len(row) == len(rows[0]) > 0 for row in rows) else None
