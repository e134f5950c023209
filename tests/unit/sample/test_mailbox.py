"""The sample mailbox as files: the same bytes each time, and counts that agree."""

from __future__ import annotations

from pathlib import Path

from atom_simulators.sample import write_mailbox


def test_equal_arguments_write_equal_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_mailbox(tmp_path / folder, mails=80)
    for name in ("sample.jsonl.gz", "sample.folders.json"):
        assert (tmp_path / "one/mailboxes" / name).read_bytes() == (tmp_path / "two/mailboxes" / name).read_bytes()
