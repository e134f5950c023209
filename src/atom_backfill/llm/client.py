"""An OpenAI-compatible endpoint: its `/embeddings` half, an Embedder by shape.

https://platform.openai.com/docs/api-reference/embeddings; local servers (Ollama, vLLM, llama.cpp) speak the same.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atom_backfill.clock import Clock
from atom_backfill.errors import AtomError, BugError, KeyNeededError, NeedsOwnerError, RetryLaterError
from atom_backfill.http import Answer, HttpClient, read_json, retry_after

CALL_SECONDS = 90.0
"""What the HttpClient handed over should be limited to."""
MAX_CHARS = 8000
"""Of one text; the endpoint refuses more than 8,191 tokens, and no passage comes near."""
BATCH_TEXTS = 64
BATCH_CHARS = 100_000

Key = Callable[[], Awaitable[str]]
"""Asks the vault for the key at each call; "" for servers that want none."""


class OpenAIEmbedder:
    """Embeds by `POST /embeddings`, a batch after the other. `dim`: what the model gives, see `probe_dim`."""

    def __init__(self, http: HttpClient, *, model: str, dim: int, key: Key, clock: Clock) -> None:
        self.identity = f"{http.base.host}/{model}"
        self.dim = dim
        self._http = http
        self._model = model
        self._key = key
        self._clock = clock

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, in order: float32, (len(texts), dim), unit rows.

        Raises RetryLaterError for what may pass, KeyNeededError for the key, NeedsOwnerError for the set-up.
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
            raise _unreadable(self._http)
        unit: NDArray[np.float32] = vectors / lengths
        return unit

    async def probe_dim(self) -> int:
        """Ask the endpoint how many numbers its vectors have."""
        [row] = await self._call(["dimensions"])
        return len(row)

    async def _call(self, batch: Sequence[str]) -> list[list[float]]:
        key = await self._key()
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        asked = {"model": self._model, "input": list(batch), "encoding_format": "float"}
        answer = await self._http.send("POST", "/embeddings", headers=headers, content=json.dumps(asked).encode())
        if answer.status != 200:
            raise self._refusal(answer)
        rows = _rows(read_json(answer.body, self._http.base.host), len(batch))
        if rows is None:
            raise _unreadable(self._http)
        return rows

    def _refusal(self, answer: Answer) -> AtomError:
        host = self._http.base.host
        if answer.status in (401, 403):
            return KeyNeededError("key_rejected", f"{host} refuses the key: set another ATOM_OPENAI_API_KEY.")
        if answer.status == 429 and b"insufficient_quota" in answer.body:
            return NeedsOwnerError("quota_used_up", f"The account behind the key has no credit left at {host}.")
        if answer.status == 404:
            return NeedsOwnerError(
                "no_such_model", f"{host} has no embeddings of {self._model}; check ATOM_OPENAI_BASE_URL and the model."
            )
        if answer.status in (408, 409, 425, 429) or answer.status >= 500:
            after = retry_after(answer.headers, self._clock.now())
            return RetryLaterError("embedder_busy", f"{host} answered {answer.status}.", after=after)
        return BugError("embedding_refused", f"{host} refused an embeddings request with {answer.status}.")


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


def _unreadable(http: HttpClient) -> RetryLaterError:
    return RetryLaterError("bad_answer", f"{http.base.host} sent an answer that cannot be read.")
