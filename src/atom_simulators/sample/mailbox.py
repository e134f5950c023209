"""Puts the sample mailbox together and writes it in the layout that `simulate graph --data` serves."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from .cast import Cast, load_cast
from .filler import filler_block
from .folders import Tally, folder_resources
from .graph import Mailbox, graph_message, received_at
from .mail import Mail
from .oddities import odd_mails
from .story import Story, load_stories

AS_OF = datetime(2026, 10, 31, tzinfo=UTC)
"""The moment the mailbox was copied at; no mail is later, but for one with a wrong clock."""
_STORY_SHARE = 0.6
"""A mailbox that is too small for every story keeps whole stories up to this share of its mails."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a mailbox of a given size is made of: the stories it keeps, the awkward mails, the rest drawn."""

    stories: tuple[Story, ...]
    odd: Sequence[Mail]
    drawn: int


def contents(cast: Cast, mails: int) -> Contents:
    """Divide `mails` up: stories first, awkward mails second, drawn mail for what is left."""
    kept: list[Story] = []
    room = int(mails * _STORY_SHARE)
    for story in load_stories(cast):
        size = len(received(story))
        if size <= room:
            kept.append(story)
            room -= size
    told = sum(len(received(story)) for story in kept)
    odd = odd_mails(cast)[: max(0, mails - told) // 2]
    return Contents(tuple(kept), odd, max(0, mails - told - len(odd)))


def received(story: Story) -> tuple[Mail, ...]:
    """The story's mails that lie in the owner's mailbox; others occur quoted only."""
    return tuple(mail for mail in story.mails if not mail.quoted_only)


def messages(*, name: str = "sample", mails: int = 800, seed: int = 1) -> Iterator[dict[str, object]]:
    """Graph messages, newest first, undated ones last; memory does not grow with the bodies."""
    cast = load_cast()
    box = Mailbox(name, cast.owner, AS_OF)
    plan = contents(cast, mails)
    written = (*(mail for story in plan.stories for mail in received(story)), *plan.odd)
    entries = [_entry(graph_message(mail, box)) for mail in written]
    entries += _drawn(plan.drawn, seed, cast, box)
    entries.sort(key=lambda entry: entry[:2], reverse=True)
    return (make() for _, _, make in entries)


def write_mailbox(directory: Path, *, name: str = "sample", mails: int = 800, seed: int = 1) -> Path:
    """Write DIR/mailboxes/<name>.jsonl.gz and <name>.folders.json; equal arguments, equal bytes.

    `mails` is the number of messages: 800 tell every story, fewer leave whole stories out, more are drawn.
    Returns `directory`.
    """
    folder = directory / "mailboxes"
    folder.mkdir(parents=True, exist_ok=True)
    tally = Tally(Counter(), Counter(), Counter())
    lines = _counted(messages(name=name, mails=mails, seed=seed), tally)
    with (folder / f"{name}.jsonl.gz").open("wb") as raw:
        _write_lines(raw, lines)
    listing = folder_resources(name, load_cast().owner.address, tally)
    text = json.dumps(listing, ensure_ascii=False, indent=1) + "\n"
    (folder / f"{name}.folders.json").write_text(text, encoding="utf-8")
    return directory


def _write_lines(raw: io.BufferedWriter, lines: Iterable[str]) -> None:
    with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed:
        for line in lines:
            packed.write(line.encode() + b"\n")


def _counted(found: Iterable[dict[str, object]], tally: Tally) -> Iterator[str]:
    for message in found:
        # Escapes keep lone surrogates writable; everything else would be shorter as UTF-8.
        line = json.dumps(message, ensure_ascii=True)
        folder = str(message["parentFolderId"])
        tally.total[folder] += 1
        tally.unread[folder] += message.get("isRead") is False
        tally.size[folder] += len(line)
        yield line


def _entry(message: dict[str, object]) -> tuple[str, str, Callable[[], dict[str, object]]]:
    return str(message.get("receivedDateTime") or ""), str(message["id"]), lambda: message


def _drawn(count: int, seed: int, cast: Cast, box: Mailbox) -> list[tuple[str, str, Callable[[], dict[str, object]]]]:
    """Drawn mails by date and place only: each is made again when its turn comes."""
    block = lru_cache(maxsize=256)(lambda number: filler_block(seed, number, cast))
    places: list[tuple[str, int, int]] = []
    number = 0
    while len(places) < count:
        mails = block(number)[: count - len(places)]
        places += [(f"{received_at(m):%Y-%m-%dT%H:%M:%SZ}", number, i) for i, m in enumerate(mails)]
        number += 1

    def maker(number: int, position: int) -> Callable[[], dict[str, object]]:
        return lambda: graph_message(block(number)[position], box)

    return [(date, f"{number:09}/{i}", maker(number, i)) for date, number, i in places]
