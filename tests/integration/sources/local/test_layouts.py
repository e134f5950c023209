"""Every layout that people have: files and folders, odd names, links that lead out, the same mail twice."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from atom_backfill.errors import NeedsOwnerError
from atom_backfill.mail.message import FolderId
from atom_backfill.sources.mbox.source import MboxSource
from fakes.skipping_clock import SkippingClock
from local_mail import EVER, NOON, everything, items, mail, mbox, opened, places, subject, write


async def test_one_mbox_file_is_a_folder_of_its_name(root: Path, cache: Path) -> None:
    path = write(root / "Old mail.mbox", mbox(mail("older", when=NOON - timedelta(1)), mail("newer")))
    source = opened(path, cache)
    assert await everything(source) == {"Old mail": ["newer", "older"]}
    assert (await source.identify()).address == "Old mail.mbox"
    assert (
        await MboxSource(path, cache, SkippingClock(), address="ines@example.com").identify()
    ).address == "ines@example.com"


async def test_one_mbox_file_named_like_a_folder_that_is_left_out_is_not_left_out(root: Path, cache: Path) -> None:
    [folder] = await opened(write(root / "Trash.mbox", mbox(mail("kept"))), cache).folders()
    assert (folder.path, folder.well_known) == ("Trash", "")


async def test_one_mail_file_is_a_folder_too(root: Path, cache: Path) -> None:
    assert await everything(opened(write(root / "one.eml", mail("alone")), cache)) == {"one": ["alone"]}


async def test_thunderbird_folders_keep_their_tree(root: Path, cache: Path) -> None:
    write(root / "Inbox", mbox(mail("a")))
    write(root / "Inbox.msf", b"// <!-- <mdb:mork -->")
    write(root / "Inbox.sbd" / "Projects", mbox(mail("b")))
    write(root / "Inbox.sbd" / "Projects.sbd" / "Atlas", mbox(mail("c")))
    assert await everything(opened(root, cache)) == {
        "Inbox": ["a"],
        "Inbox/Projects": ["b"],
        "Inbox/Projects/Atlas": ["c"],
    }


async def test_apple_mail_keeps_an_mbox_in_a_folder_of_its_name(root: Path, cache: Path) -> None:
    write(root / "Projects.mbox" / "mbox", mbox(mail("a")))
    assert await everything(opened(root, cache)) == {"Projects": ["a"]}


async def test_a_maildir_has_its_inbox_and_its_dotted_folders(root: Path, cache: Path) -> None:
    for directory in ("", ".Sent", ".Projects.Atlas", ".Entw&APw-rfe", ".&-co"):
        for part in ("cur", "new", "tmp"):
            (root / directory / part).mkdir(parents=True)
    write(root / "cur" / "1.host:2,S", mail("read"))
    write(root / "new" / "2.host", mail("new", when=NOON - timedelta(1)))
    write(root / "tmp" / "3.host", mail("half written"))
    write(root / "dovecot-uidlist", b"3 V1 N2 G0\n")
    write(root / ".Sent" / "cur" / "4.host:2,S", mail("sent"))
    write(root / ".Projects.Atlas" / "cur" / "5.host:2,S", mail("atlas"))
    write(root / ".Entw&APw-rfe" / "cur" / "6.host:2,D", mail("draft"))
    write(root / ".&-co" / "cur" / "7.host:2,", mail("and co"))
    source = opened(root, cache)
    assert await everything(source) == {
        "Inbox": ["read", "new"],
        "Sent": ["sent"],
        "Projects/Atlas": ["atlas"],
        "Entwürfe": ["draft"],
        "&co": ["and co"],
    }
    known = {folder.path: folder.well_known for folder in await source.folders()}
    assert (known["Inbox"], known["Sent"], known["Projects/Atlas"]) == ("inbox", "sentitems", "")


async def test_a_tree_of_single_mails_is_one_folder_a_directory(root: Path, cache: Path) -> None:
    write(root / "a.eml", mail("top"))
    write(root / "Junk E-mail" / "b.eml", mail("junk"))
    write(root / "deals" / "1", mail("no extension"))
    write(root / "deals" / "2.msg", mail("rfc 822 in spite of its name"))
    write(root / "deals" / "readme.txt", b"Nothing to see.\n")
    write(root / "deals" / ".hidden", mail("hidden"))
    found = await everything(opened(root, cache))
    assert {path: sorted(subjects) for path, subjects in found.items()} == {
        "mail": ["top"],
        "Junk E-mail": ["junk"],
        "deals": ["no extension", "rfc 822 in spite of its name"],
    }
    known = {folder.path: folder.well_known for folder in await opened(root, cache).folders()}
    assert known == {"mail": "", "Junk E-mail": "junkemail", "deals": ""}


async def test_odd_names_make_paths_that_can_be_shown_and_ids_that_can_be_stored(root: Path, cache: Path) -> None:
    write(Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.mbox")), mbox(mail("latin-1")))
    write(root / "tab\there\u202egpj.mbox", mbox(mail("spoofed")))
    write(root / "back\\slash.mbox", mbox(mail("backslash")))
    write(root / "Same.mbox", mbox(mail("one")))
    write(root / "same.mbx", mbox(mail("two")))
    folders = await opened(root, cache).folders()
    assert {folder.path for folder in folders} == {"caf\ufffd", "tab heregpj", "back\\\\slash", "Same", "same (2)"}
    for folder in folders:
        folder.folder_id.encode("ascii")
        assert len(await items(opened(root, cache), folder.folder_id)) == 1


async def test_folders_whose_paths_are_longer_than_an_index_takes_keep_short_ids_of_their_own(
    root: Path, cache: Path
) -> None:
    deep = root.joinpath(*["件" * 80] * 5)
    for name in ("one", "two"):
        write(deep / name / "mail.eml", mail(name))
    source = opened(root, cache)
    folders = await source.folders()
    assert len({folder.folder_id for folder in folders}) == 2
    assert all(len(folder.folder_id) <= 1025 for folder in folders)
    found = {subject(item) for folder in folders for item in await items(source, folder.folder_id)}
    assert found == {"one", "two"}


async def test_what_holds_no_mail_says_what_was_found(root: Path, cache: Path) -> None:
    cases = {
        write(root / "a.pst", b"!BDN\x00\x00"): ("not_mail", "readpst"),
        write(root / "b.pdf", b"%PDF-1.7"): ("not_mail", "PDF"),
        root: ("no_mail", "1 .pdf"),
        root / "nothing": ("path_not_found", "check the path"),
    }
    (root / "empty").mkdir()
    cases[root / "empty"] = ("no_mail", "empty")
    for path, (code, words) in cases.items():
        with pytest.raises(NeedsOwnerError) as raised:
            await opened(path, cache).identify()
        assert (raised.value.code, words in raised.value.message) == (code, True), raised.value.message


async def test_links_are_followed_only_to_what_lies_below_the_root(root: Path, cache: Path, tmp_path: Path) -> None:
    write(root / "inside" / "a.eml", mail("inside"))
    write(tmp_path / "outside" / "b.eml", mail("outside"))
    (root / "file.eml").symlink_to(tmp_path / "outside" / "b.eml")
    (root / "directory").symlink_to(tmp_path / "outside")
    (root / "again").symlink_to(root / "inside")
    (root / "inside" / "up").symlink_to(root)
    (root / "broken.eml").symlink_to(root / "nowhere")
    found = await everything(opened(root, cache))
    assert [subjects for subjects in found.values() if subjects] == [["inside"]]


async def test_a_root_that_is_a_link_is_what_it_leads_to(root: Path, cache: Path, tmp_path: Path) -> None:
    write(root / "a.eml", mail("here"))
    link = tmp_path / "link"
    link.symlink_to(root)
    assert await everything(opened(link, cache)) == {"mail": ["here"]}
    assert await opened(link, cache).identify() == await opened(root, cache).identify()


async def test_pipes_and_sockets_are_never_opened(root: Path, cache: Path) -> None:
    write(root / "a.eml", mail("here"))
    os.mkfifo(root / "pipe.eml")
    async with asyncio.timeout(5):
        assert await everything(opened(root, cache)) == {"mail": ["here"]}
        with pytest.raises(NeedsOwnerError):
            await opened(root / "pipe.eml", cache).identify()


async def test_the_same_content_twice_is_one_message_with_two_places(root: Path, cache: Path) -> None:
    write(root / "Archive.mbox", mbox(mail("same"), mail("only here"), mail("same")))
    write(root / "Inbox.mbox", mbox(mail("same")))
    source = opened(root, cache)
    assert {path: sorted(subjects) for path, subjects in (await everything(source)).items()} == {
        "Archive": ["only here", "same"],
        "Inbox": ["same"],
    }
    assert await source.count(FolderId("Archive.mbox"), EVER) == 2
    in_archive, in_inbox = await places(source, "Archive.mbox"), await places(source, "Inbox.mbox")
    assert [place.duplicate for place in in_archive].count(True) == 1
    assert [place.duplicate for place in in_inbox] == [True]
    [same] = {place.source_id for place in in_inbox}
    assert (await source.message(same)).folder_id == "Archive.mbox"


async def test_a_copy_in_a_folder_that_is_left_out_does_not_count_as_the_first(root: Path, cache: Path) -> None:
    write(root / "Deleted Items.mbox", mbox(mail("same")))
    write(root / "Inbox.mbox", mbox(mail("same")))
    source = opened(root, cache)
    assert [place.duplicate for place in await places(source, "Inbox.mbox")] == [False]
    assert [place.duplicate for place in await places(source, "Deleted Items.mbox")] == [True]
