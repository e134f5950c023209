"""Clean a message: render it, tell new text from history, cut passages, find what rules can find."""

from __future__ import annotations

from dataclasses import replace

from atom_backfill.mail.bulk import is_bulk, is_machine
from atom_backfill.mail.digest import Digest
from atom_backfill.mail.door import DOOR, Limits
from atom_backfill.mail.findings import find
from atom_backfill.mail.html import RENDERER, looks_like_html, render_html, render_plain
from atom_backfill.mail.message import Message
from atom_backfill.mail.passages import MOST_TOKENS, cut_passages
from atom_backfill.mail.quotes import CUTTER, Circumstances, cut_quotes
from atom_backfill.mail.references import subject_purpose
from atom_backfill.mail.writer import Rendering

CLEANER = f"clean-d{DOOR}-r{RENDERER}-q{CUTTER}-p{MOST_TOKENS}"
"""Names everything that shapes passages; another name is another generation of the memory."""


def clean(message: Message, limits: Limits) -> Digest:
    """Read everything out of a message that the record and the memory keep. Pure; raises nothing on odd mail."""
    rendering = render(message, limits)
    segments = cut_quotes(rendering, _circumstances(message))
    passages, fewer_passages = cut_passages(rendering.text, segments, limit=limits.passages)
    findings, fewer_findings = find(message, rendering, segments, limits)
    cuts = {
        "rendering_truncated": rendering.truncated,
        "passages_capped": fewer_passages,
        "findings_capped": fewer_findings,
    }
    notes = message.notes + tuple(note for note, applies in cuts.items() if applies and note not in message.notes)
    return Digest(
        message=replace(message, notes=notes),
        text=rendering.text,
        renderer=RENDERER,
        segments=segments,
        passages=passages,
        findings=findings,
        bulk=is_bulk(message),
        machine=is_machine(message),
        notes=notes,
    )


def _circumstances(message: Message) -> Circumstances:
    purpose = subject_purpose(message.subject)
    return Circumstances(
        author=message.from_ or message.sender,
        reply=purpose == "reply" or (not purpose and bool(message.references)),
        forward=purpose == "forward",
    )


def render(message: Message, limits: Limits) -> Rendering:
    """Render the body, by what it is rather than by what it is declared to be."""
    if message.body_type == "html" or looks_like_html(message.body):
        return render_html(message.body, limits)
    return render_plain(message.body, limits)
