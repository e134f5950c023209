"""What every Embedder must do: the shipped model, an OpenAI-compatible endpoint, and the fake that stands for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from atom_backfill.http import HttpClient
from atom_backfill.llm.embeddings import OpenAIEmbedder
from atom_backfill.memory.minilm import MiniLM
from atom_backfill.memory.ports import Embedder
from fakes.clock import FakeClock
from fakes.embedder import HashEmbedder
from fakes.embedding_server import KEY, MODEL, Script, embedding_server

TEXTS = [
    "The boiler is broken again.",
    "Lunch on Friday?",
    "",
    "Ünïcode 漢字 \U0001f600",
    "The boiler is broken again.",
]


@pytest.fixture(scope="module")
def minilm() -> Iterator[MiniLM]:
    embedder = MiniLM()
    yield embedder
    embedder.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Script]:
    with embedding_server() as script:
        yield script


@pytest.fixture(params=["minilm", "openai", "hash"])
async def embedder(request: pytest.FixtureRequest, minilm: MiniLM, server: Script) -> AsyncIterator[Embedder]:
    async with HttpClient(server.url) as http:
        remote = OpenAIEmbedder(http, model=MODEL, dim=server.dim, key=stored_key, clock=FakeClock())
        embedders: dict[str, Embedder] = {"minilm": minilm, "openai": remote, "hash": HashEmbedder()}
        yield embedders[request.param]


async def stored_key() -> str:
    return KEY


async def test_rows_are_unit_vectors_in_order(embedder: Embedder) -> None:
    vectors = await embedder.embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), embedder.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    for number, text in enumerate(TEXTS):
        np.testing.assert_array_equal(vectors[number], (await embedder.embed([text]))[0])


async def test_equal_text_gives_equal_rows_whatever_stands_beside_it(embedder: Embedder) -> None:
    many = await embedder.embed([*TEXTS, "word " * 400, *TEXTS[::-1]])
    np.testing.assert_array_equal(many[: len(TEXTS)], many[: -len(TEXTS) - 1 : -1])


async def test_near_meanings_are_nearer_than_others(embedder: Embedder) -> None:
    a, b, other = await embedder.embed(["the boiler is broken", "a broken boiler", "lunch in the park on friday"])
    assert a @ b > a @ other + 0.2


async def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert (await embedder.embed([])).shape == (0, embedder.dim)


async def test_long_texts_are_bounded(embedder: Embedder) -> None:
    async with asyncio.timeout(5):
        vectors = await embedder.embed(["a" * 1_000_000, "word " * 20_000, "\n" * 100_000])
    assert np.isfinite(vectors).all()


async def test_identity_and_dim_are_told_before_anything_is_embedded(embedder: Embedder) -> None:
    assert embedder.identity
    assert embedder.dim > 0
