"""The sample mailbox, read with the shipped model: its own questions are answered, each answer with its mail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest

from atom_backfill.app.core import open_app
from atom_backfill.search.query import Question
from atom_backfill.settings import load_settings
from atom_simulators.sample.mailbox import write_mailbox
from atom_simulators.sample.truth import Query, truth
from e2e.product import Product, a_product, a_simulator

pytestmark = pytest.mark.long
MAILS = 120
HIT_AT_10 = {"sentence": 1.0, "keyword": 1.0, "sender": 1.0, "question": 0.8}
"""Of each kind of query, the share whose mail, or a mail of its thread, is among the first ten."""


@dataclass
class World:
    """The sample, read; `found` are the first ten results of each query."""

    product: Product
    found: dict[Query, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    base = tmp_path_factory.mktemp("sample")
    data = write_mailbox(base / "data", name="ines", mails=MAILS)
    with ExitStack() as stack:
        simulator = stack.enter_context(a_simulator(data))
        product = stack.enter_context(a_product(base / "home", simulator=simulator))
        product.connect("ines@example.com")
        job = product.backfill("ines@example.com")
        assert (job["status"], job["failures"]) == ("completed", 0)
        queries = truth(name="ines", mails=MAILS).queries
        yield World(product, dict(zip(queries, asyncio.run(_ask(product, queries)), strict=True)))


async def _ask(product: Product, queries: tuple[Query, ...]) -> list[list[dict[str, Any]]]:
    with mock.patch.dict(os.environ, product.environment):
        settings, _ = load_settings(os.environ, product.home)
    async with open_app(settings) as app:
        searcher = await (await app.tenant()).searcher()
        return [
            (await searcher.search(Question(query.text, group="message"))).document()["results"] for query in queries
        ]


@pytest.mark.parametrize("kind", HIT_AT_10)
def test_the_samples_own_queries_find_their_mail(world: World, kind: str) -> None:
    asked = [query for query in world.found if query.kind == kind]
    missed = [query.text for query in asked if not _hits(world, query)]
    assert asked
    assert 1 - len(missed) / len(asked) >= HIT_AT_10[kind], missed


def test_every_answer_names_its_source(world: World) -> None:
    stored = {row["source_id"]: str(row["id"]) for row in world.product.store("ines@example.com").messages}
    for results in world.found.values():
        for result in results:
            assert stored[result["source_id"]] == str(result["message_id"])
            assert result["why"]["semantic_rank"] or result["why"]["text_rank"]


def test_a_search_from_the_command_line_leads_to_the_mail_itself(world: World) -> None:
    query = next(query for query in world.found if query.kind == "sentence")
    answer = world.product.json("search", query.text, "--group", "message")
    best = next(each for each in answer["results"] if each["source_id"] in query.expected)
    shown = world.product.json("message", best["message_id"])
    assert shown["source_id"] == best["source_id"]
    assert " ".join(query.text.split()[:3]).casefold() in " ".join(shown["text"].split()).casefold()
    thread = world.product.json("thread", best["thread_id"])["messages"]
    assert best["message_id"] in [each["message_id"] for each in thread]
    assert answer["coverage"]["complete"] is True
    assert answer["coverage"]["from"] < answer["coverage"]["to"]


def _hits(world: World, query: Query) -> bool:
    wanted = {*query.expected, *query.thread} if query.kind == "question" else {*query.expected}
    return any(result["source_id"] in wanted for result in world.found[query])
