"""What every PassageIndex must do, run on LanceDB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from atom_backfill.memory.lance import LancePassages, open_index
from atom_backfill.memory.ports import Condition, Filter
from fakes.embedder import HashEmbedder
from passages import EVERYTHING, TENANT, a_row, found_by_vector, found_by_words, remember, rows_in

HOSTILE = [
    "",
    " ",
    "'",
    '"',
    '"unbalanced',
    "a' OR '1'='1",
    "text:* AND (",
    "\\",
    "\x00",
    "%_",
    "+-&&||!(){}[]^~*?:/",
    "\ud7ff\U0001f600",
    "word " * 5000,
    "x" * 100_000,
]


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[LancePassages]:
    yield await open_index(str(tmp_path), TENANT, "hash/32", 32)


async def test_a_row_is_found_by_words_right_after_its_commit(index: LancePassages) -> None:
    await remember(index, a_row(1), a_row(2, text="Nothing about boilers."))
    assert await found_by_words(index, "boiler") == {2}
    await index.upkeep()
    await remember(index, a_row(3, text="The boiler again."))
    assert await found_by_words(index, "boiler") == {2, 3}


async def test_subject_and_sender_are_found_by_words(index: LancePassages) -> None:
    await remember(index, a_row(1, subject="Quarterly zeppelin", text=""), a_row(2, header="Odo Brandt odo@x.test"))
    assert await found_by_words(index, "zeppelin") == {1}
    assert await found_by_words(index, "what did brandt say") == {2}


async def test_the_nearest_vector_comes_first_with_its_cosine(index: LancePassages) -> None:
    await remember(index, a_row(1, text="copper pipes"), a_row(2, text="wedding cake"))
    vector = (await HashEmbedder().embed(["Lease\nwedding cake"]))[0]
    hits = await index.search_vectors(vector, EVERYTHING, 10)
    assert [(hit.message_id.int, hit.rank) for hit in hits] == [(2, 1), (1, 2)]
    assert hits[0].score == pytest.approx(1.0, abs=1e-5)


async def test_a_hit_carries_what_the_row_holds(index: LancePassages) -> None:
    row = a_row(4, text="Naïve café", thread_id="t", start=10, end=20, generation="g9")
    await remember(index, row)
    [hit] = await index.search_words("café", EVERYTHING, 5)
    assert (hit.id, hit.message_id, hit.thread_id, hit.subject, hit.text) == (
        "p-4",
        UUID(int=4),
        "t",
        "Lease",
        row.text,
    )
    assert (hit.start, hit.end, hit.generation, hit.rank) == (10, 20, "g9", 1)


async def test_writing_rows_again_changes_nothing(index: LancePassages) -> None:
    for _ in range(3):
        await remember(index, a_row(1), a_row(2))
    assert await rows_in(index) == 2


async def test_a_row_written_again_is_replaced_unless_a_higher_fence_wrote_it(index: LancePassages) -> None:
    await remember(index, a_row(1, fence=5, folder_ids=("archive",)))
    await remember(index, a_row(1, fence=4, folder_ids=("inbox",)))
    assert await found_by_words(index, "lease", Filter(folder_ids=("archive",))) == {1}
    await remember(index, a_row(1, fence=5, folder_ids=("trash",)))
    assert await found_by_words(index, "lease", Filter(folder_ids=("trash",))) == {1}


async def test_known_vectors_are_those_written(index: LancePassages) -> None:
    row = a_row(1)
    vectors = await HashEmbedder().embed([row.embedded])
    await index.upsert([row], vectors)
    known = await index.known_vectors([row.content_hash, "it's unknown"])
    assert list(known) == [row.content_hash]
    np.testing.assert_array_equal(known[row.content_hash], vectors[0])


@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        (Filter(account_id=UUID(int=99)), {2}),
        (Filter(from_address="O'Hara@Lumen.example"), {3}),
        (Filter(to_address="Board@lumen.example"), {4}),
        (Filter(after=datetime(2026, 3, 2, 9, 30, tzinfo=UTC)), {1, 2, 3, 4, 7}),
        (Filter(before=datetime(2026, 3, 2, 9, 30, tzinfo=UTC)), {5}),
        (Filter(folder_ids=("aBc=", "none")), {7}),
        (Filter(folder_ids=("abc=",)), set()),
        (Filter(has_attachment=True), {4}),
        (Filter(has_attachment=False, folder_ids=("aBc=",)), {7}),
        (Filter(from_address="' OR 1=1 --"), set()),
        (Filter(to_address="x'] OR ['"), set()),
        (Filter(folder_ids=("') OR true --",)), set()),
    ],
)
async def test_a_filter_narrows_both_legs(index: LancePassages, narrowed: Filter, expected: set[int]) -> None:
    await remember(
        index,
        a_row(1),
        a_row(2, account_id=UUID(int=99)),
        a_row(3, from_address="o'hara@lumen.example"),
        a_row(4, to_addresses=("a@x.test", "board@lumen.example"), has_attachments=True),
        a_row(5, received_at=datetime(2026, 3, 2, 9, 29, 59, tzinfo=UTC)),
        a_row(6, received_at=None, from_address="6@x.test", account_id=UUID(int=3)),
        a_row(7, folder_ids=("sent", "aBc=")),
    )
    words, near = await found_by_words(index, "lease", narrowed), await found_by_vector(index, "lease", narrowed)
    assert (words, set(near)) == (expected, expected)


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_any_string_may_be_searched_stored_and_filtered_by(index: LancePassages, hostile: str) -> None:
    low = hostile.lower()
    await remember(index, a_row(1, text=hostile, subject=hostile, from_address=low, folder_ids=(hostile,)))
    await found_by_words(index, hostile)
    if hostile:
        narrowed = Filter(from_address=hostile, folder_ids=(hostile,))
        assert await found_by_vector(index, "anything", narrowed) == [1]
    await index.place({UUID(int=1): [hostile, "inbox"]})
    assert await found_by_vector(index, "anything", Filter(folder_ids=(hostile,))) == [1]


async def test_no_words_find_nothing(index: LancePassages) -> None:
    await remember(index, a_row(1))
    assert await found_by_words(index, "") == set()
    assert await found_by_words(index, "?!") == set()


async def test_rows_follow_their_message_to_other_folders(index: LancePassages) -> None:
    await remember(index, a_row(1), a_row(2, id="p-2b", seq=1, fence=9), a_row(2), a_row(3))
    await index.place({})
    await index.place({UUID(int=1): ["archive"], UUID(int=2): ["sent", "archive"], UUID(int=99): ["nowhere"]})
    for folder, expected in {"inbox": {3}, "archive": {1, 2}, "sent": {2}}.items():
        narrowed = Filter(folder_ids=(folder,))
        assert await found_by_words(index, "lease", narrowed) == expected
        assert set(await found_by_vector(index, "lease", narrowed)) == expected
    assert await rows_in(index) == 4


async def test_a_filter_is_applied_before_the_nearest_are_chosen(index: LancePassages) -> None:
    """Else a folder of few mails would be empty in the answer of a large mailbox."""
    far = a_row(1, text="lease " + "and of quite other things " * 20, folder_ids=("small",))
    await remember(index, far, *(a_row(number, text="lease") for number in range(2, 300)))
    narrowed = Filter(folder_ids=("small",))
    assert await found_by_words(index, "lease", narrowed) == {1}
    assert await found_by_vector(index, "lease", narrowed) == [1]


async def test_messages_with_rows_are_counted(index: LancePassages) -> None:
    await remember(index, a_row(1), a_row(1, id="p-1b", seq=1), a_row(2, account_id=UUID(int=99)))
    assert await index.messages(None) == 2
    assert await index.messages(UUID(int=99)) == await index.messages(UUID(int=1)) == 1


async def test_an_empty_memory_answers(index: LancePassages) -> None:
    assert await found_by_words(index, "lease") == set()
    assert await found_by_vector(index, "lease") == []
    assert await index.known_vectors([]) == {}
    await index.upkeep()
    assert await rows_in(index) == 0


async def test_entries_are_all_rows_once(index: LancePassages) -> None:
    await remember(index, *(a_row(number, seq=number % 2) for number in range(1500)))
    await index.upkeep()
    await remember(index, a_row(2000, generation="g2"), a_row(3, seq=1))
    lists = [entries async for entries in index.entries()]
    assert max(map(len, lists)) <= 1000
    entries = {entry.id: entry for entries in lists for entry in entries}
    assert len(entries) == sum(map(len, lists)) == 1501
    assert (entries["p-2000"].message_id, entries["p-2000"].generation) == (UUID(int=2000), "g2")
    assert (entries["p-3"].seq, entries["p-3"].content_hash) == (1, a_row(3).content_hash)


async def test_the_condition_counts_what_upkeep_has_not_seen(index: LancePassages) -> None:
    await remember(index, a_row(1), a_row(2))
    await remember(index, a_row(3))
    assert await index.condition() == Condition(rows=3, unindexed=3, small_files=2)
    await index.upkeep()
    assert await index.condition() == Condition(rows=3, unindexed=0, small_files=1)
