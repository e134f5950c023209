"""How each kind of mailbox's payload becomes a message, in the sandbox's child."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from atom_backfill.backfill.reading import Parse, Reading, read_item
from atom_backfill.errors import SkipItemError
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import Message
from atom_backfill.mail.mime import read_mime
from atom_backfill.sandbox.process import Sandbox
from atom_backfill.sources.accounts import MBOX, OUTLOOK
from atom_backfill.sources.outlook.parse import read_graph
from atom_backfill.sources.ports import RawItem

SECONDS_EACH = 5.0
"""CPU that reading one message may take."""


def parse_graph(item: RawItem, limits: Limits) -> Message:
    """Read a message as Graph gives it."""
    return read_graph(item.payload, limits=limits)


def parse_mime(item: RawItem, limits: Limits) -> Message:
    """Read a message of a local file."""
    return read_mime(item.payload, source_id=item.source_id, folder_id=item.folder_id, limits=limits)


PARSERS: dict[str, Parse] = {OUTLOOK: parse_graph, MBOX: parse_mime}


async def read_items(
    sandbox: Sandbox, kind: str, limits: Limits, items: Sequence[RawItem]
) -> Sequence[Reading | SkipItemError]:
    """Read and clean items of one kind of mailbox, in order, where a hang or a crash takes nothing else with it."""
    function = partial(read_item, parse=PARSERS[kind], limits=limits)
    return await sandbox.map(function, items, seconds_each=SECONDS_EACH)
