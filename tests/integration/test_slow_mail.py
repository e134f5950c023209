"""Mail that is made to be slow is read within what the child may use: it is no failure, and holds nobody up."""

from __future__ import annotations

from datetime import UTC, datetime

from atom_backfill.app.reading import read_items
from atom_backfill.backfill.reading import Reading
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.sandbox.process import Sandbox, SandboxLimits
from atom_backfill.sources.ports import RawItem

SIGNS = (b'"', b"(", b"<", b"\\", b"=?utf-8?b?", b"?= ", b",", b":;")
PARTS = b"From: ines@lumen.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nThe chart.\n--b\n%b\n--b--\n"
SLOW = {
    **{
        f"headers of nothing but {sign!r}": b"From: %b\nTo: %b\nSubject: %b\n\nThe chart." % ((sign * 60_000,) * 3)
        for sign in SIGNS
    },
    "style tags": PARTS % (b"Content-Type: text/html\n\n" + b"<style>" * 50_000),
    "a large attachment": PARTS % (b"Content-Type: application/pdf\n\n" + b"QUJD" * 5_000_000),
}


async def test_mail_that_is_made_to_be_slow_is_read() -> None:
    items = [
        RawItem(SourceId(name), FolderId("f"), datetime(2026, 3, 2, tzinfo=UTC), "k", payload)
        for name, payload in SLOW.items()
    ]
    sandbox = Sandbox(SandboxLimits(memory_bytes=500_000_000))
    try:
        readings = await read_items(sandbox, "mbox", Limits(), items)
    finally:
        await sandbox.aclose()
    texts = {
        item.source_id: reading.digest.text if isinstance(reading, Reading) else reading.code
        for item, reading in zip(items, readings, strict=True)
    }
    assert {name: text.strip() for name, text in texts.items()} == dict.fromkeys(SLOW, "The chart.")
