"""The sample mailbox as files: the same bytes each time, and counts that agree."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from atom_simulators.sample import write_mailbox


def read(directory: Path, name: str = "sample") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    with gzip.open(directory / f"mailboxes/{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        mails = [json.loads(line) for line in lines]
    folders = json.loads((directory / f"mailboxes/{name}.folders.json").read_text(encoding="utf-8"))
    return mails, folders["value"]


def test_equal_arguments_write_equal_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_mailbox(tmp_path / folder, mails=500)
    for name in ("sample.jsonl.gz", "sample.folders.json"):
        assert (tmp_path / "one/mailboxes" / name).read_bytes() == (tmp_path / "two/mailboxes" / name).read_bytes()


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    write_mailbox(tmp_path / "here", mails=60)
    command = [sys.executable, "-m", "atom_simulators.sample", str(tmp_path / "there"), "--mails", "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "there")
    here, there = (tmp_path / place / "mailboxes/sample.jsonl.gz" for place in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()


def test_the_truth_is_written_beside_the_mailbox(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "atom_simulators.sample", str(tmp_path), "--mails", "80"]
    subprocess.run([*command, "--truth", str(tmp_path / "truth.json")], capture_output=True, check=True)
    document = json.loads((tmp_path / "truth.json").read_text("utf-8"))
    mails, _ = read(tmp_path)
    assert {document["source_ids"][mail["mail"]] for mail in document["mails"]} <= {mail["id"] for mail in mails}
    assert any(mail["relations"] for mail in document["mails"])


def test_another_seed_draws_other_everyday_mail_and_keeps_the_stories(tmp_path: Path) -> None:
    one, _ = read(write_mailbox(tmp_path / "1", mails=200, seed=1))
    two, _ = read(write_mailbox(tmp_path / "2", mails=200, seed=2))
    shared = {mail["id"] for mail in one} & {mail["id"] for mail in two}
    assert 100 < len(shared) < 200


@pytest.mark.parametrize("size", [1, 20, 80, 1000])
def test_a_mailbox_has_exactly_as_many_mails_as_asked_for(tmp_path: Path, size: int) -> None:
    mails, _ = read(write_mailbox(tmp_path, mails=size))
    assert len(mails) == len({mail["id"] for mail in mails}) == size


def test_a_small_mailbox_keeps_whole_stories(tmp_path: Path) -> None:
    from atom_simulators.sample import truth

    mails, _ = read(write_mailbox(tmp_path, mails=80))
    kept = truth(mails=80).stories
    assert kept
    assert {source_id for story in kept for source_id in story.source_ids} <= {mail["id"] for mail in mails}


def test_folder_counts_are_those_of_the_mails(tmp_path: Path) -> None:
    mails, folders = read(write_mailbox(tmp_path, mails=600))
    total = Counter(mail["parentFolderId"] for mail in mails)
    unread = Counter(mail["parentFolderId"] for mail in mails if mail["isRead"] is False)
    for folder in folders:
        assert folder["totalItemCount"] == total.pop(folder["id"], 0), folder["displayName"]
        assert folder["unreadItemCount"] == unread[folder["id"]], folder["displayName"]
    assert not total, "a mail lies in a folder that is not listed"


def test_every_kind_of_folder_is_there(tmp_path: Path) -> None:
    _, folders = read(write_mailbox(tmp_path, mails=1))
    by_name = {folder["displayName"]: folder for folder in folders}
    known = {folder["wellKnownName"] for folder in folders} - {None}
    assert known == {"inbox", "sentitems", "drafts", "deleteditems", "junkemail", "archive", "outbox"}
    projects = by_name["Projects"]
    children = [folder for folder in folders if folder["parentFolderId"] == projects["id"]]
    assert len(children) == projects["childFolderCount"] == 8
    assert [name for name, folder in by_name.items() if folder["isHidden"]] == ["Conversation Action Settings"]
    searched = [f for f in folders if f.get("@odata.type") == "#microsoft.graph.mailSearchFolder"]
    assert len(searched) == 1
    assert set(searched[0]["sourceFolderIds"]) <= {folder["id"] for folder in folders}


def test_another_name_gives_the_same_mails_other_ids(tmp_path: Path) -> None:
    one, _ = read(write_mailbox(tmp_path, mails=60))
    two, _ = read(write_mailbox(tmp_path, mails=60, name="second"), "second")
    assert not {mail["id"] for mail in one} & {mail["id"] for mail in two}
    assert Counter(str(mail["subject"]) for mail in one) == Counter(str(mail["subject"]) for mail in two)
