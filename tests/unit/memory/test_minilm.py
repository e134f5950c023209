from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from atom_backfill.errors import NeedsOwnerError
from atom_backfill.memory.minilm import FILES, MiniLM


async def test_a_damaged_model_is_refused_with_the_way_out(tmp_path: Path) -> None:
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes((FILES / name).read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"x" + (FILES / "model.onnx").read_bytes()[1:])
    with pytest.raises(NeedsOwnerError, match="install atom-backfill again") as refusal:
        await MiniLM(files=tmp_path).embed(["text"])
    assert refusal.value.code == "model_damaged"


async def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NeedsOwnerError, match="missing or damaged"):
        await MiniLM(files=tmp_path).embed(["text"])


async def test_the_event_loop_goes_on_while_texts_are_embedded() -> None:
    embedding = asyncio.create_task(MiniLM(threads=1).embed(["word " * 200] * 4))
    turns = 0
    while not embedding.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


async def test_cancelling_drops_the_texts_not_begun() -> None:
    model = MiniLM(threads=1)
    await model.embed(["loaded"])
    embedding = asyncio.create_task(model.embed(["word " * 300] * 2000))
    await asyncio.sleep(0)
    embedding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await embedding
    async with asyncio.timeout(2):
        await model.embed(["the next caller does not wait for two thousand texts"])
