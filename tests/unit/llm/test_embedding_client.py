"""The `/embeddings` client against a strict server: what is sent, and what each answer becomes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from atom_backfill.errors import AtomError, BugError, NeedsOwnerError, RetryLaterError, SignInNeededError
from atom_backfill.http import HttpClient
from atom_backfill.llm.embeddings import OpenAIEmbedder
from fakes.clock import FakeClock
from fakes.embedding_server import KEY, MODEL, Script, embedding_server


@pytest.fixture
def server() -> Iterator[Script]:
    with embedding_server() as script:
        yield script


@pytest.fixture
async def embedder(server: Script) -> AsyncIterator[OpenAIEmbedder]:
    async with HttpClient(server.url) as http:
        yield an_embedder(http)


def an_embedder(http: HttpClient, *, key: str = KEY, model: str = MODEL, dim: int = 32) -> OpenAIEmbedder:
    async def stored() -> str:
        return key

    return OpenAIEmbedder(http, model=model, dim=dim, key=stored, clock=FakeClock())


def vectors(*rows: list[float], indexes: list[int] | None = None) -> bytes:
    numbered = zip(indexes or range(len(rows)), rows, strict=True)
    return json.dumps({"data": [{"index": index, "embedding": row} for index, row in numbered]}).encode()


async def test_texts_go_in_batches_and_come_back_in_order(embedder: OpenAIEmbedder, server: Script) -> None:
    texts = [f"text number {n}" for n in range(150)]
    made = await embedder.embed(texts)
    assert [len(batch) for batch in server.seen] == [64, 64, 22]
    assert [text for batch in server.seen for text in batch] == texts
    np.testing.assert_allclose(made[100], (await embedder.embed([texts[100]]))[0], atol=1e-6)


async def test_a_batch_is_bounded_in_characters(embedder: OpenAIEmbedder, server: Script) -> None:
    await embedder.embed(["word " * 10_000] * 30)
    assert max(sum(map(len, batch)) for batch in server.seen) <= 100_000
    assert max(len(text) for batch in server.seen for text in batch) == 8000


async def test_identity_is_host_and_model_and_the_dimension_can_be_asked(embedder: OpenAIEmbedder) -> None:
    assert (embedder.identity, await embedder.probe_dim()) == (f"127.0.0.1/{MODEL}", 32)


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (401, b"{}", SignInNeededError, "key_rejected"),
        (403, b"{}", SignInNeededError, "key_rejected"),
        (404, b"{}", NeedsOwnerError, "no_such_model"),
        (429, b'{"error":{"code":"insufficient_quota"}}', NeedsOwnerError, "quota_used_up"),
        (429, b"{}", RetryLaterError, "model_throttled"),
        (500, b"<html>", RetryLaterError, "model_unavailable"),
        (503, b"", RetryLaterError, "model_unavailable"),
        (400, b"{}", BugError, "request_refused"),
        (200, b"not json", RetryLaterError, "bad_answer"),
        (200, b"[]", RetryLaterError, "bad_answer"),
        (200, b'{"data":[]}', RetryLaterError, "bad_answer"),
        (200, vectors([1.0] * 32, [1.0] * 32), RetryLaterError, "bad_answer"),
        (200, vectors([1.0] * 32, indexes=[1]), RetryLaterError, "bad_answer"),
        (200, vectors([0.0] * 32), RetryLaterError, "bad_answer"),
        (200, b'{"data":[{"index":0,"embedding":["x"]}]}', RetryLaterError, "bad_answer"),
        (200, b'{"data":[{"index":0,"embedding":[NaN]}]}', RetryLaterError, "bad_answer"),
        (200, b'{"data":[{"index":0,"embedding":[1' + b"0" * 400 + b"]}]}", RetryLaterError, "bad_answer"),
        (200, vectors([1.0] * 31), NeedsOwnerError, "embedding_dim"),
    ],
)
async def test_every_answer_is_sorted_by_what_to_do_next(
    embedder: OpenAIEmbedder, server: Script, status: int, body: bytes, error: type[AtomError], code: str
) -> None:
    server.canned.append((status, {}, body))
    with pytest.raises(error) as raised:
        await embedder.embed(["a confidential sentence"])
    assert raised.value.code == code
    assert not any(word in f"{raised.value.message} {raised.value.detail}" for word in (KEY, "confidential"))


async def test_retry_after_is_handed_on(embedder: OpenAIEmbedder, server: Script) -> None:
    server.canned.append((429, {"Retry-After": "17"}, b"{}"))
    with pytest.raises(RetryLaterError) as raised:
        await embedder.embed(["text"])
    assert raised.value.after == 17.0


async def test_a_wrong_key_and_a_wrong_model_are_told_apart(server: Script) -> None:
    async with HttpClient(server.url) as http:
        with pytest.raises(SignInNeededError):
            await an_embedder(http, key="sk-wrong").embed(["text"])
        with pytest.raises(NeedsOwnerError, match="knows no other"):
            await an_embedder(http, model="other").embed(["text"])


async def test_without_a_key_no_authorization_is_sent(server: Script) -> None:
    async with HttpClient(server.url) as http:
        with pytest.raises(SignInNeededError):
            await an_embedder(http, key="").embed(["text"])
