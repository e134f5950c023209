"""How fast passages are embedded: the product's way beside other batch shapes, the fp32 model, and a second core.

Real passages of the corpus, every way timed in turn and the best of the rounds taken. What one core does is told in
seconds of the processor, which other work disturbs little; what two do, in seconds of the clock. The fp32 model is
looked for where `ATOM_FP32_MODEL` says (the shipped model's recipe without its last step, quantisation); absent, its
figure is skipped with the reason.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from atom_backfill.mail.clean import clean
from atom_backfill.mail.door import Limits
from atom_backfill.memory.minilm import FILES, MAX_TOKENS, MiniLM
from atom_backfill.memory.rows import embedded_text
from atom_backfill.sources.outlook.parse import read_graph

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: it reports to its maker otherwise
import onnxruntime

PASSAGES = 150
"""What about a hundred mails come to."""
ROUNDS = 3

Shape = list[list[int]]
"""Which texts go into one call together."""


def main(corpus: Path) -> dict[str, Any]:
    """Time everything; the ratios are of speeds, higher is better."""
    texts = passages(corpus)
    tokenizer = Tokenizer.from_file(str(FILES / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    int8 = _session(FILES / "model.onnx")
    ways: dict[str, Callable[[], object]] = {
        f"int8 {name}": lambda shape=shape: [_run(int8, tokens, group) for group in shape]
        for name, shape in shapes(tokens).items()
    }
    fp32 = os.environ.get("ATOM_FP32_MODEL")
    if fp32:
        float_session = _session(Path(fp32))
        ways["fp32 one at a time"] = lambda: [_run(float_session, tokens, [number]) for number in range(len(tokens))]
    one_core, two_cores = MiniLM(threads=1), MiniLM(threads=2)
    ways["product, one core"] = lambda: asyncio.run(one_core.embed(texts))
    ways["product, two cores"] = lambda: asyncio.run(two_cores.embed(texts))
    wall, cpu = _best_of(ways)
    best_shape = min(seconds for name, seconds in cpu.items() if name.startswith("int8"))
    return {
        "passages": len(texts),
        "tokens": {"mean": float(np.mean([len(ids) for ids in tokens])), "max": max(map(len, tokens))},
        "cpu_ms_a_passage": {name: round(1000 * seconds / len(texts), 2) for name, seconds in cpu.items()},
        "over_fp32": round(cpu["fp32 one at a time"] / cpu["product, one core"], 2)
        if fp32
        else "skipped: ATOM_FP32_MODEL is not set",
        "over_best_shape": round(best_shape / cpu["product, one core"], 2),
        "second_core": round(wall["product, one core"] / wall["product, two cores"], 2),
        "seconds_for_150_on_two_cores": round(wall["product, two cores"] * 150 / len(texts), 2),
        "load_s": round(_load_seconds(), 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def passages(corpus: Path) -> list[str]:
    """Draw passages of every mailbox, the same ones each time."""
    found = [text for file in sorted((corpus / "mailboxes").glob("*.jsonl.gz")) for text in islice(_texts(file), 400)]
    return random.Random(1).sample(found, PASSAGES)


def shapes(tokens: list[list[int]]) -> dict[str, Shape]:
    """Name the ways to put texts into calls."""
    numbers = list(range(len(tokens)))
    by_length = sorted(numbers, key=lambda number: len(tokens[number]))
    return {
        "one at a time": [[number] for number in numbers],
        "sixteen, unsorted": _chunks(numbers, 16),
        "sixteen, by length": _chunks(by_length, 16),
        "near-equal length, 512 tokens": list(_near_equal(by_length, tokens, 512)),
        "near-equal length, 1024 tokens": list(_near_equal(by_length, tokens, 1024)),
    }


def _texts(file: Path) -> Iterator[str]:
    limits = Limits()
    with gzip.open(file) as lines:
        for line in lines:
            digest = clean(read_graph(line, limits=limits), limits)
            yield from (embedded_text(digest.message.subject, passage.text) for passage in digest.passages)


def _chunks(numbers: list[int], size: int) -> Shape:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _near_equal(by_length: list[int], tokens: list[list[int]], budget: int) -> Iterator[list[int]]:
    group: list[int] = []
    for number in by_length:
        length = len(tokens[number])
        if group and ((len(group) + 1) * length > budget or length > 1.1 * len(tokens[group[0]])):
            yield group
            group = []
        group.append(number)
    yield group


def _session(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, tokens: list[list[int]], group: list[int]) -> Any:
    ids = np.zeros((len(group), max(len(tokens[number]) for number in group)), np.int64)
    mask = np.zeros_like(ids)
    for row, number in enumerate(group):
        ids[row, : len(tokens[number])] = tokens[number]
        mask[row, : len(tokens[number])] = 1
    return session.run(["emb"], {"input_ids": ids, "attention_mask": mask})


def _best_of(ways: dict[str, Callable[[], object]]) -> tuple[dict[str, float], dict[str, float]]:
    """Time every way in turn; the least seconds of the clock and of the processor."""
    wall, cpu = dict.fromkeys(ways, float("inf")), dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began, used = time.perf_counter(), time.process_time()
            way()
            wall[name] = min(wall[name], time.perf_counter() - began)
            cpu[name] = min(cpu[name], time.process_time() - used)
    return wall, cpu


def _load_seconds() -> float:
    start = time.perf_counter()
    asyncio.run(MiniLM(threads=1).embed(["loaded"]))
    return time.perf_counter() - start


if __name__ == "__main__":
    folder = os.environ.get("ATOM_CORPUS")
    sys.exit("skipped: ATOM_CORPUS is not set") if not folder else print(json.dumps(main(Path(folder)), indent=2))
