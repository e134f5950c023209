"""The memory on a real dataset: processes at once, foreign datasets, lost and full folders, upkeep and sweeps."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from atom_backfill.errors import NeedsOwnerError, RetryLaterError
from atom_backfill.memory import faults, lance, maker
from atom_backfill.memory.embed import embed_rows
from atom_backfill.memory.lance import LancePassages, open_index
from atom_backfill.memory.ports import Filter, PassageRow
from atom_backfill.memory.upkeep import MOST_SMALL_FILES, MOST_YOUNG, tally, upkeep
from fakes.embedder import HashEmbedder
from passages import EVERYTHING, TENANT, a_row, found_by_words, remember, rows_in

WRITER = """
import asyncio, sys
from atom_backfill.memory.lance import open_index
from passages import EVERYTHING, TENANT, a_row, remember

async def write(uri):
    index = await open_index(uri, TENANT, "hash/32", 32)
    print("ready", flush=True)
    sys.stdin.readline()
    for start in range(0, 300, 50):
        await remember(index, *(a_row(number) for number in range(start, start + 50)))
        assert await index.search_words("lease", EVERYTHING, 5)

asyncio.run(write(sys.argv[1]))
"""


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[LancePassages]:
    yield await open_index(str(tmp_path), TENANT, "hash/32", 32)


@pytest.mark.parametrize("beside", ["", "r1"])
async def test_a_memory_is_closed_to_other_accounts_also_one_that_was_open_to_them(tmp_path: Path, beside: str) -> None:
    memory, tenant = tmp_path / "memory", tmp_path / "memory" / str(TENANT)
    before = os.umask(0o022)
    try:
        await open_index(str(memory), TENANT, "hash/32", 32, beside=beside)
        assert [stat.S_IMODE(each.stat().st_mode) for each in (memory, tenant)] == [0o700, 0o700]
        tenant.chmod(0o755)
        await open_index(str(memory), TENANT, "hash/32", 32, beside=beside)
        assert stat.S_IMODE(tenant.stat().st_mode) == 0o700
    finally:
        os.umask(before)


@pytest.mark.long
async def test_three_processes_that_write_the_same_rows_leave_one_row_each(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            text=True,
        )
        for _ in range(3)
    ]
    assert [await asyncio.to_thread(_line, writer) for writer in writers] == ["ready\n"] * 3
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.close()
    index = await open_index(str(tmp_path), TENANT, "hash/32", 32)
    while any(writer.poll() is None for writer in writers):
        await index.search_words("lease", EVERYTHING, 5)
        await index.upkeep()
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    ids = [entry.id async for entries in index.entries() for entry in entries]
    assert sorted(ids) == sorted(f"p-{number}" for number in range(300))
    await index.upkeep()
    assert len(await index.search_words("lease", EVERYTHING, 1000)) == 300


def _line(writer: subprocess.Popen[str]) -> str:
    assert writer.stdout
    return writer.stdout.readline()


async def test_many_that_open_a_new_memory_at_once_share_it(tmp_path: Path) -> None:
    indexes = await asyncio.gather(*(open_index(str(tmp_path), TENANT, "hash/32", 32) for _ in range(12)))
    await asyncio.gather(*(remember(index, a_row(number)) for number, index in enumerate(indexes)))
    assert await rows_in(indexes[0]) == 12
    assert len(await found_by_words(indexes[3], "lease")) == 10


async def test_what_another_process_commits_is_seen_at_once(tmp_path: Path) -> None:
    one, other = [await open_index(str(tmp_path), TENANT, "hash/32", 32) for _ in range(2)]
    await remember(one, a_row(1))
    assert await found_by_words(other, "lease") == {1}
    await other.place({UUID(int=1): ["archive"]})
    assert await found_by_words(one, "lease", Filter(folder_ids=("inbox",))) == set()


def test_nothing_is_written_to_stderr_when_a_memory_is_made(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from atom_backfill.memory.lance import open_index
from passages import TENANT, a_row, remember
async def make(uri):
    index = await open_index(uri, TENANT, "hash/32", 32)
    await remember(index, a_row(1))
    await index.upkeep()
asyncio.run(make(sys.argv[1]))
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    tests = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=tests, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def test_another_embedder_is_refused_with_the_way_out(index: LancePassages, tmp_path: Path) -> None:
    for identity, dim in (("other", 32), ("hash/32", 64)):
        with pytest.raises(NeedsOwnerError, match="`rebuild`") as refusal:
            await open_index(str(tmp_path), TENANT, identity, dim)
        assert refusal.value.code == "embedder_mismatch"
    await open_index(str(tmp_path), TENANT, "hash/32", 32)


async def test_another_schema_version_is_refused_with_the_way_out(
    index: LancePassages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maker, "SCHEMA_VERSION", 99)
    with pytest.raises(NeedsOwnerError, match="`rebuild`") as refusal:
        await open_index(str(tmp_path), TENANT, "hash/32", 32)
    assert refusal.value.code == "memory_version"


async def test_tenants_do_not_see_each_other(index: LancePassages, tmp_path: Path) -> None:
    other = await open_index(str(tmp_path), UUID(int=8), "hash/32", 32)
    await remember(index, a_row(1))
    assert await found_by_words(other, "lease") == set()
    assert await other.known_vectors([a_row(1).content_hash]) == {}


async def test_a_memory_below_a_file_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NeedsOwnerError, match="ATOM_MEMORY_URI") as refusal:
        await open_index(str(tmp_path / "file" / "memory"), TENANT, "hash/32", 32)
    assert refusal.value.code == "memory_unwritable"


async def test_a_memory_whose_files_are_gone_is_said_to_be_lost(index: LancePassages, tmp_path: Path) -> None:
    import shutil

    await remember(index, a_row(1))
    shutil.rmtree(tmp_path / str(TENANT) / "passages.lance")
    for call in (rows_in(index), found_by_words(index, "lease"), remember(index, a_row(2))):
        with pytest.raises(NeedsOwnerError, match="`rebuild`") as refusal:
            await call
        assert refusal.value.code == "memory_lost"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (
            "lance error: LanceError(IO): Unable to copy data to file: No space left on device (os error 28)",
            "disk_full",
        ),
        ("Unable to create dir: Permission denied (os error 13)", "memory_unwritable"),
        ("Read-only file system (os error 30)", "memory_unwritable"),
        ("Generic S3 error: error sending request for url", "memory_unreachable"),
        (
            "LanceError(IO): Generic S3 error: Failed to resolve region for bucket 'nobucket', x.rs",
            "memory_unreachable",
        ),
        ("LanceError(IO): Generic S3 error: Bucket 'nobucket' not found, x.rs", "memory_refused"),
        ("RetryErrorImpl { inner: Status { status: 404, body: <Code>NoSuchBucket</Code> } }", "memory_refused"),
        ("RetryErrorImpl { inner: Status { status: 403, body: <Code>InvalidAccessKeyId</Code> } }", "memory_refused"),
    ],
)
def test_errors_of_the_store_are_told_apart_by_their_words(words: str, code: str) -> None:
    known = faults._known(words)
    assert known
    assert known.code == code


def test_an_unknown_error_of_the_store_stays_what_it_is() -> None:
    assert faults._known("index out of bounds") is None


async def test_a_cancelled_write_leaves_all_or_nothing_and_the_index_usable(index: LancePassages) -> None:
    rows = [a_row(number) for number in range(2000)]
    vectors = await embed_rows(index, HashEmbedder(), rows)
    for turns in (0, 1, 20, 200):
        writing = asyncio.create_task(index.upsert(rows, vectors))
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        assert await rows_in(index) in {0, 2000}
    await index.upsert(rows, vectors)
    assert await rows_in(index) == 2000


async def test_identical_text_is_embedded_once(index: LancePassages) -> None:
    embedder = HashEmbedder()
    rows = [a_row(1, text="same"), a_row(2, text="same"), a_row(3, text="other")]
    vectors = await embed_rows(index, embedder, rows)
    await index.upsert(rows, vectors)
    again = await embed_rows(index, embedder, [a_row(9, text="same"), a_row(10, text="new")])
    assert embedder.embedded == 3
    np.testing.assert_array_equal(again[0], vectors[0])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert (await embed_rows(index, embedder, [])).shape == (0, 32)


async def test_upkeep_is_done_when_enough_commits_have_gathered(index: LancePassages) -> None:
    for number in range(MOST_SMALL_FILES):
        assert not (await upkeep(index)).due
        await remember(index, a_row(number))
    report = await upkeep(index)
    assert (report.due, report.after.unindexed, report.after.small_files) == (True, 0, 1)
    assert len(await index.search_words("lease", EVERYTHING, 100)) == MOST_SMALL_FILES


@pytest.mark.long
async def test_upkeep_while_others_write_and_read_loses_nothing(index: LancePassages, tmp_path: Path) -> None:
    other = await open_index(str(tmp_path), TENANT, "hash/32", 32)

    async def write() -> None:
        for number in range(40):
            await remember(other, a_row(number))
            await remember(other, a_row(number // 2, text="The lease, rewritten."))

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(write())
        while not writing.done():
            await index.upkeep()
            assert len(await index.search_words("lease", EVERYTHING, 100)) <= 40
    assert len(await index.search_words("lease", EVERYTHING, 100)) == 40


async def test_the_word_index_never_has_many_young_segments(index: LancePassages) -> None:
    for number in range(2 * MOST_YOUNG):
        await remember(index, a_row(number))
        await index.upkeep()
        stats = await (await index._latest()).index_stats(lance.WORDS_INDEX)
        assert stats and (stats.num_indices or 0) <= MOST_YOUNG
    assert len(await index.search_words("lease", EVERYTHING, 100)) == 2 * MOST_YOUNG


async def test_the_tally_goes_by_what_the_record_knows(index: LancePassages) -> None:
    rows = [a_row(1), a_row(2, id="p-2b", seq=1), a_row(2), a_row(3, generation="old"), a_row(4)]
    await remember(index, *rows, *(a_row(number, generation="old") for number in range(100, 1700)))

    async def current(messages: Sequence[UUID]) -> Mapping[UUID, str]:
        return {message: "g1" for message in messages if message.int in (1, 2, 3)}

    counted = await tally(index, current)
    assert (counted.messages, counted.passages, counted.orphans) == (2, 3, 1602)


async def rebuilt(folder: Path, embedder: str, *rows: PassageRow) -> None:
    """Make rows beside the memory and put them in its place."""
    beside = await open_index(str(folder), TENANT, embedder, 32, beside="r1")
    await remember(beside, *rows)

    async def still() -> None:
        pass

    await lance.replace(str(folder), TENANT, still)


async def test_writers_of_another_embedder_leave_nothing_among_the_rows_of_a_rebuild(
    index: LancePassages, tmp_path: Path
) -> None:
    """Nor could such vectors ever be found again by the text that they share."""
    await remember(index, *(a_row(number) for number in range(50)))
    begun = asyncio.Event()

    async def write(first: int) -> str:
        for number in range(first, first + 1000):
            try:
                await remember(index, a_row(number))
            except RetryLaterError as error:
                return error.code
            begun.set()
        return "none"

    writing = [asyncio.create_task(write(1000 * (which + 1))) for which in range(3)]
    await asyncio.wait_for(begun.wait(), 60)
    await rebuilt(tmp_path, "other/32", *(a_row(number, id=f"n-{number}") for number in range(50)))
    assert await asyncio.gather(*writing) == ["memory_changed"] * 3
    now = await open_index(str(tmp_path), TENANT, "other/32", 32)
    assert {row.id async for rows in now.rows() for row in rows} == {f"n-{number}" for number in range(50)}
    assert len(await now.search_words("lease", EVERYTHING, 100)) == 50, "before there is an index of words"
    await now.upkeep()
    assert len(await now.search_words("lease", EVERYTHING, 100)) == 50


async def test_an_address_of_before_a_rebuild_is_no_rows_address_after_it(index: LancePassages, tmp_path: Path) -> None:
    await remember(index, *(a_row(number) for number in range(20)))
    addresses = [row.address async for rows in index.rows() for row in rows]
    await rebuilt(tmp_path, "hash/32", *(a_row(number) for number in range(20)))
    assert await index.erase(addresses) == 0
    assert (await index.condition()).rows == 20


@pytest.mark.parametrize("lost", ["all of it", "its versions", "nothing"])
async def test_nothing_can_be_put_in_place_too(index: LancePassages, tmp_path: Path, lost: str) -> None:
    await remember(index, a_row(1))
    table = tmp_path / str(TENANT) / "passages.lance"
    if lost != "nothing":
        shutil.rmtree(table if lost == "all of it" else table / "_versions")
    await rebuilt(tmp_path, "hash/32")
    assert (await index.condition()).rows == 0
    await remember(index, a_row(2))
    assert len(await index.search_words("lease", EVERYTHING, 100)) == 1
