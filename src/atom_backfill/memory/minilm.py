"""Embedder over the model that ships with the package: all-MiniLM-L6-v2 as int8, run by onnxruntime.

One session with one thread of its own, called from as many threads as there are cores, a text a call. Measured on real
passages (158 tokens on average, 2 cores): groups of equal length gain nothing, mixed batches lose half the speed to
padding, and a session per core costs 30 MB each and gains nothing. A text alone also makes its vector independent of
its neighbours, which the dynamic quantisation of a batch does not: equal text gives equal rows.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atom_backfill.errors import NeedsOwnerError
from atom_backfill.memory.ports import Vectors

if TYPE_CHECKING:
    import onnxruntime
    from tokenizers import Tokenizer

FILES = Path(__file__).with_name("minilm_files")
SHA256 = {
    "model.onnx": "6d2b13c76be189576182f7537a86014ec1d5ad2a6ad67073693c2fdb4967ed4c",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
DIM = 384
MAX_TOKENS = 256
MAX_CHARS = 4000
"""What tokens are made of at most; 256 tokens of any prose end long before."""


class MiniLM:
    """The shipped model, loaded at the first text. `threads`: texts embedded at once, by default one a core.

    About 70 MB for model and tokenizer, and some 15 MB a thread while embedding.
    """

    identity = f"all-MiniLM-L6-v2/int8/{SHA256['model.onnx'][:12]}/{MAX_TOKENS}"
    dim = DIM

    def __init__(self, *, threads: int | None = None, files: Path = FILES) -> None:
        self._files = files
        self._model: tuple[onnxruntime.InferenceSession, Tokenizer] | None = None
        self._loading = threading.Lock()
        # Threads of its own, not asyncio's: however many chunks embed at once, cores and memory in use stay the same.
        self._pool = ThreadPoolExecutor(threads or _cores(), thread_name_prefix="minilm")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, in order. Cancelled, it stops after the text at hand. Raises NeedsOwnerError for bad files."""
        loop = asyncio.get_running_loop()
        if not texts:
            return np.empty((0, DIM), np.float32)
        rows = await asyncio.gather(*(loop.run_in_executor(self._pool, self._embed_one, text) for text in texts))
        return np.stack(rows)

    def close(self) -> None:
        """End the threads; texts not begun are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _embed_one(self, text: str) -> Vectors:
        session, tokenizer = self._loaded()
        ids = np.array([tokenizer.encode(text[:MAX_CHARS]).ids], np.int64)
        row: Vectors = session.run(["emb"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
        return row / np.linalg.norm(row)

    def _loaded(self) -> tuple[onnxruntime.InferenceSession, Tokenizer]:
        with self._loading:
            if self._model is None:
                self._model = self._load()
            return self._model

    def _load(self) -> tuple[onnxruntime.InferenceSession, Tokenizer]:
        # From 1.29 on it reports to its maker what it runs, unless told not to before it is imported; nothing of ours
        # may leave the machine unasked. (onnxruntime/Privacy.md)
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self._checked("tokenizer.json").decode())
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The arena keeps the most that any text ever needed; without it memory falls back, at the same speed.
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        session = onnxruntime.InferenceSession(self._checked("model.onnx"), options, ["CPUExecutionProvider"])
        return session, tokenizer

    def _checked(self, name: str) -> bytes:
        path = self._files / name
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != SHA256[name]:
            raise NeedsOwnerError(
                "model_damaged",
                f"The embedding model's {name} is missing or damaged; install atom-backfill again.",
                detail=str(path),
            )
        return content


def _cores() -> int:
    """Count the cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
