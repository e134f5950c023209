"""Local mail as people have it: every layout, files that change, links that lead out, two processes at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import sqlite3
import stat
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from atom_backfill.errors import BugError, NeedsOwnerError, NotFoundError, RetryLaterError
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.mbox import builder
from atom_backfill.sources.mbox.source import MboxSource
from atom_backfill.sources.mbox.tree import find_files
from atom_backfill.sources.ports import Link
from fakes.skipping_clock import SkippingClock
from local_mail import EVER, NOON, everything, items, mail, mbox, opened, subject, write

T = TypeVar("T")


async def test_mail_that_is_added_moved_or_deleted_is_noticed(root: Path, cache: Path) -> None:
    write(root / "Inbox.mbox", mbox(mail("one")))
    write(root / "Sent.mbox", mbox(mail("sent")))
    source = opened(root, cache)
    [before] = await items(source, "Inbox.mbox")
    write(root / "Inbox.mbox", mbox(mail("zero"), mail("one")))
    (root / "Sent.mbox").rename(root / "Old.mbox")
    found = await everything(source)
    assert {path: sorted(subjects) for path, subjects in found.items()} == {"Inbox": ["one", "zero"], "Old": ["sent"]}
    assert before.source_id in {item.source_id for item in await items(source, "Inbox.mbox")}
    (root / "Inbox.mbox").unlink()
    await source.folders()
    with pytest.raises(NotFoundError):
        await source.message(before.source_id)
    with pytest.raises(NotFoundError):
        await source.page(FolderId("Inbox.mbox"), EVER, size=10)


async def test_a_file_that_changes_while_it_is_read_never_gives_wrong_bytes(root: Path, cache: Path) -> None:
    path = write(root / "Inbox.mbox", mbox(*(mail(f"mail {n}", when=NOON - timedelta(n)) for n in range(10))))
    source = opened(root, cache)
    first = await source.page(FolderId("Inbox.mbox"), EVER, size=5)
    path.write_bytes(mbox(mail("pushed in"), *(mail(f"mail {n}", when=NOON - timedelta(n)) for n in range(10))))
    with pytest.raises(RetryLaterError) as raised:
        await source.page(FolderId("Inbox.mbox"), EVER, size=5, link=first.next)
    assert raised.value.code == "file_changed"
    second = await source.page(FolderId("Inbox.mbox"), EVER, size=5, link=first.next)
    assert [subject(item) for item in second.items] == [f"mail {n}" for n in range(5, 10)]


async def test_a_file_that_changes_and_looks_the_same_is_found_out(root: Path, cache: Path) -> None:
    path = write(root / "Inbox.mbox", mbox(mail("aaa")))
    source = opened(root, cache)
    await source.folders()
    times = path.stat()
    path.write_bytes(mbox(mail("bbb")))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(RetryLaterError):
        await items(source, "Inbox.mbox")
    assert [subject(item) for item in await items(source, "Inbox.mbox")] == ["bbb"]


@pytest.mark.parametrize("layout", ["maildir", "eml"])
def test_files_that_go_away_during_the_walk_do_not_stop_it(root: Path, layout: str) -> None:
    """A mail program renames a file of a Maildir whenever its mail is read."""
    folder = root / "cur" if layout == "maildir" else root
    (root / "new" if layout == "maildir" else root).mkdir(exist_ok=True)
    files = [write(folder / f"17000000{n:04}.host:2,", mail(f"m {n}")) for n in range(9)]
    found = find_files(root.resolve())
    first = next(found)
    for path in files:
        if os.fsencode(path.name) not in first.path:
            path.rename(path.with_name(f"{path.name}S"))
    assert [first, *found]


async def test_a_message_whose_file_is_gone_is_not_found_after_the_next_look(root: Path, cache: Path) -> None:
    path = write(root / "a.eml", mail("one"))
    write(root / "b.eml", mail("two"))
    source = opened(root, cache)
    listed = await items(source, (await source.folders())[0].folder_id)
    path.unlink()
    gone = next(item for item in listed if subject(item) == "one")
    with pytest.raises(RetryLaterError):
        await source.message(gone.source_id)
    with pytest.raises(NotFoundError):
        await source.message(gone.source_id)


async def test_a_file_that_cannot_be_read_is_a_failure_until_it_can(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "a.eml", mail("readable"))
    write(root / "b.eml", mail("locked"))
    opens = Path.open

    def refusing(path: Path, *about: object, **more: object) -> object:
        if path.name == "b.eml":
            raise PermissionError(13, "Permission denied")
        return opens(path, *about, **more)  # type: ignore[arg-type, call-overload]

    source = opened(root, cache)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refusing)  # the tests may run as root, who may read everything
        folder = (await source.folders())[0].folder_id
        page = await source.page(folder, EVER, size=10)
        assert [subject(item) for item in page.items] == ["readable"]
        [unreadable] = page.unreadable
        assert unreadable.code == "unreadable_file"
    await source.folders()
    page = await source.page(folder, EVER, size=10)
    assert (len(page.items), page.unreadable) == (2, ())


async def test_a_page_stops_where_its_bytes_are_full(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atom_backfill.sources.mbox.source.PAGE_BYTES", 5_000)
    write(root / "Inbox.mbox", mbox(*(mail(f"mail {n}", body="x" * 1900) for n in range(10))))
    source = opened(root, cache)
    page = await source.page(FolderId("Inbox.mbox"), EVER, size=10)
    assert len(page.items) == 3
    assert page.next
    assert len(await items(source, "Inbox.mbox")) == 10


async def test_scanning_that_takes_long_is_told_and_goes_on(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "BATCH", 1)
    for number in range(30):
        write(root / f"{number:02}.mbox", mbox(mail(f"mail {number}")))

    source = MboxSource(root, cache, HastyClock())
    folders, waits = await patiently(source.folders)
    assert len(folders) == 30
    assert waits > 2


class HastyClock(SkippingClock):
    """Whoever looks at it finds that six seconds have passed."""

    def monotonic(self) -> float:
        self.skip(6.0)
        return super().monotonic()


async def patiently(call: Callable[[], Awaitable[T]], between: Callable[[], object] = lambda: None) -> tuple[T, int]:
    """Ask until there is an answer; return it, and how often there was none yet."""
    for waits in range(200):
        try:
            return await call(), waits
        except RetryLaterError as error:
            assert error.code == "indexing"
            assert "%" in error.message
        between()
    raise AssertionError("It never ends.")


async def test_a_file_that_grows_all_the_time_is_read_to_its_end(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New mail comes more often than a scan takes; each of these calls would walk the files anew."""
    monkeypatch.setattr(builder, "BATCH", 1)
    path = write(root / "Inbox.mbox", mbox(*(mail(f"mail {n}", when=NOON - timedelta(n)) for n in range(20))))
    source = MboxSource(root, cache, HastyClock())

    def more_comes() -> None:
        with path.open("ab") as file:
            file.write(mbox(mail("another", body=f"{path.stat().st_size}\n")))

    (folder,), waits = await patiently(source.folders, more_comes)
    assert waits > 2
    for _ in range(3):
        more_comes()
        page, waits = await patiently(lambda: source.places(folder.folder_id, EVER, size=500), more_comes)
        assert waits > 2, "it is scanned anew each time"
        assert len(page.places) >= 20
    more_comes()
    listed, _ = await patiently(lambda: source.page(folder.folder_id, EVER, size=500), more_comes)
    assert len(listed.items) >= 24


async def test_an_index_that_nobody_asked_for_meanwhile_is_brought_up_to_date_first(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "BATCH", 1)
    for number in range(9):
        write(root / f"{number}.mbox", mbox(mail(f"mail {number}")))
    clock = SkippingClock()
    source = MboxSource(root, cache, clock)
    await source.prepare(0.0, anew=True)
    (root / "0.mbox").unlink()
    clock.skip(3600)
    assert "0" not in {folder.path for folder in await source.folders()}


async def test_a_cancelled_walk_stops_soon_and_forgets_nothing(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write(root / f"{number}.mbox", mbox(mail(f"mail {number}")))
    source = opened(root, cache)
    assert len(await source.folders()) == 3
    monkeypatch.setattr(builder, "BATCH", 1)
    assert not source._builder.walk(lambda: True)
    assert len(source._index.folders()) == 3


async def test_a_cancelled_scan_stops_soon(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "BATCH", 1)
    for number in range(300):
        write(root / f"{number:03}.mbox", mbox(mail(f"mail {number}")))
    source = opened(root, cache)
    await source.identify()
    call = asyncio.create_task(source.folders())
    await asyncio.sleep(0.02)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(await source.folders()) == 300


@pytest.mark.parametrize("damage", ["truncate", "overwrite", "delete", "not a database"])
async def test_a_damaged_index_is_made_anew(root: Path, cache: Path, damage: str) -> None:
    write(root / "Inbox.mbox", mbox(*(mail(f"mail {n}") for n in range(50))))
    assert len(await items(opened(root, cache), "Inbox.mbox")) == 50
    index = index_in(cache)
    data = bytearray(index.read_bytes())
    if damage == "truncate":
        index.write_bytes(data[: len(data) // 2])
    elif damage == "overwrite":
        data[4096:] = b"\xff" * (len(data) - 4096)
        index.write_bytes(data)
    elif damage == "delete":
        index.unlink()
    else:
        index.write_bytes(b"not a database" * 1000)
    source = opened(root, cache)
    for _ in range(3):
        try:
            assert len(await items(source, "Inbox.mbox")) == 50
            break
        except RetryLaterError as error:
            assert error.code == "index_damaged"
    else:
        raise AssertionError("the index stays damaged")


async def test_a_cache_folder_that_cannot_be_written_is_the_owners_to_fix(root: Path, tmp_path: Path) -> None:
    write(root / "Inbox.mbox", mbox(mail("one")))
    in_the_way = write(tmp_path / "file", b"")
    with pytest.raises(NeedsOwnerError) as raised:
        await opened(root, in_the_way / "cache").folders()
    assert raised.value.code == "cache_unwritable"


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs a file whose reading fails: Linux has one")
async def test_mail_on_a_disk_that_fails_is_no_trouble_of_the_index(cache: Path) -> None:
    source = MboxSource(Path("/proc/self/mem"), cache, SkippingClock())
    with pytest.raises(NeedsOwnerError) as raised:
        await source.identify()
    assert raised.value.code == "cannot_read_files"
    assert "Input/output error" in raised.value.message


async def test_the_mail_itself_is_never_written_to(root: Path, cache: Path) -> None:
    write(root / "Inbox.mbox", mbox(mail("one")))
    write(root / "sub" / "a.eml", mail("two"))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files(root)}
    await everything(opened(root, cache))
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files(root)} == before


def index_in(cache: Path) -> Path:
    """The index file, once what lay beside it has been written into it."""
    [index] = cache.glob("*.sqlite3")
    with sqlite3.connect(index) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return index


def files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if stat.S_ISREG(path.lstat().st_mode))


@pytest.mark.parametrize("text", ["", "x", "[]", "null", '["a","b","c"]', "[1,2,3]"])
async def test_a_foreign_link_is_a_bug(root: Path, cache: Path, text: str) -> None:
    write(root / "Inbox.mbox", mbox(mail("one")))
    with pytest.raises(BugError):
        await opened(root, cache).page(FolderId("Inbox.mbox"), EVER, size=1, link=Link(text))


def build_alone(root: str, cache: str, start: multiprocessing.synchronize.Event) -> None:
    start.wait()

    async def build() -> None:
        source = opened(Path(root), Path(cache))
        while not (await source.prepare(0.01)).done:
            pass

    asyncio.run(build())


async def test_three_processes_may_build_one_index_at_once(root: Path, cache: Path) -> None:
    for box in range(6):
        mails = (mail(f"box {box} mail {n}", when=NOON - timedelta(minutes=n)) for n in range(1500))
        write(root / f"box{box}.mbox", mbox(*mails))
    for number in range(300):
        write(root / "single" / f"{number}.eml", mail(f"single {number}"))
    spawning = multiprocessing.get_context("spawn")
    start = spawning.Event()
    builders = [spawning.Process(target=build_alone, args=(str(root), str(cache), start)) for _ in range(3)]
    for one in builders:
        one.start()
    start.set()
    for one in builders:
        await asyncio.to_thread(one.join, 60)
    assert [one.exitcode for one in builders] == [0, 0, 0]
    with sqlite3.connect(index_in(cache)) as db:
        assert db.execute("SELECT count(*), count(DISTINCT digest) FROM item").fetchone() == (9300, 9300)
    source = opened(root, cache)
    assert {folder.messages_hint for folder in await source.folders()} == {1500, 300}


async def test_an_index_can_be_thrown_away_and_gives_the_same_ids(root: Path, cache: Path) -> None:
    write(root / "Inbox.mbox", mbox(*(mail(f"mail {n}") for n in range(20))))
    before = [item.source_id for item in await items(opened(root, cache), "Inbox.mbox")]
    shutil.rmtree(cache)
    assert [item.source_id for item in await items(opened(root, cache), "Inbox.mbox")] == before
