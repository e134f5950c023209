"""What a mailbox's files say must be read, and where it must lie: what the checker compares with."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Row = dict[str, Any]
EXCLUDED = ("junkemail", "deleteditems", "drafts")


@dataclass(frozen=True)
class Truth:
    """What the files hold: messages by id (of several lines with one id the last counts), folders by id."""

    messages: dict[str, Row]
    folders: dict[str, Row]


@dataclass(frozen=True)
class Wanted:
    """What a backfill was asked for.

    `until` of None: the end that the job's row names, and what is dated more than a day later, which cannot be new.
    `odd`: ids whose date and words are not compared. `failed`: ids that must be failures. `gone`: ids that may be there
    or not (they moved or were deleted meanwhile).
    """

    folders: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    odd: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()


def read_truth(directory: Path, name: str) -> Truth:
    """Read `DIR/mailboxes/<name>.jsonl.gz` and `<name>.folders.json`."""
    place = directory / "mailboxes"
    listed = json.loads((place / f"{name}.folders.json").read_text())
    folders = {each["id"]: each for each in (listed["value"] if isinstance(listed, dict) else listed)}
    with gzip.open(place / f"{name}.jsonl.gz") as lines:
        messages = {each["id"]: each for each in map(json.loads, lines)}
    return Truth(messages, folders)


def due(truth: Truth, wanted: Wanted, until: datetime) -> dict[str, str]:
    """Return the ids that must be read, each with the folder that it must be found in."""
    reading = {each for each in truth.folders if _is_read(truth, truth.folders[each], wanted.folders)}
    drafts = {each for each, folder in truth.folders.items() if _known(folder) == "drafts"}
    found = {}
    for source_id, message in truth.messages.items():
        folder = _folder_of(truth, message)
        date = date_of(message)
        in_range = date is None or ((wanted.since is None or date >= wanted.since) and date < until)
        in_range |= wanted.until is None and date is not None and date > until + timedelta(days=1)
        draft = message.get("isDraft") is True and folder not in drafts
        if folder in reading and in_range and not draft and source_id not in wanted.gone:
            found[source_id] = folder
    return found


def date_of(message: Row) -> datetime | None:
    """Read a date as strictly as Graph's filters do, to the second; None where it is none."""
    text = message.get("receivedDateTime")
    if not isinstance(text, str) or not re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", text
    ):
        return None
    try:
        return datetime.fromisoformat(text).replace(microsecond=0).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _is_read(truth: Truth, folder: Row, named: Sequence[str]) -> bool:
    if str(folder.get("@odata.type", "")).endswith("mailSearchFolder"):
        return False
    if not named:
        return not any(_known(each) in EXCLUDED for each in _line_of(truth, folder))
    path = "/".join(str(each.get("displayName")) for each in reversed(_line_of(truth, folder)))
    names = {path.casefold(), _known(folder) or path.casefold(), folder["id"].casefold()}
    return bool(names & {name.casefold() for name in named}) or "all" in named


def _line_of(truth: Truth, folder: Row) -> list[Row]:
    """Return a folder and those above it."""
    line = [folder]
    while (parent := truth.folders.get(line[-1].get("parentFolderId", ""))) is not None and parent not in line:
        line.append(parent)
    return [each for each in line if _known(each) != "msgfolderroot"]


def _folder_of(truth: Truth, message: Row) -> str:
    named = message.get("parentFolderId")
    if named in truth.folders:
        return str(named)
    return next(each for each, folder in truth.folders.items() if _known(folder) == "inbox")


def _known(folder: Row) -> str:
    return str(folder.get("wellKnownName") or "").lower()
