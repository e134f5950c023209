"""What every digest must hold, whatever the mail."""

from __future__ import annotations

from atom_backfill.mail.digest import Digest
from atom_backfill.mail.door import repair


def assert_sound(digest: Digest) -> None:
    """Segments cover the text, passages and findings point into it, and it can be stored as it is."""
    at = 0
    for segment in digest.segments:
        assert segment.start == at
        assert segment.end > at
        at = segment.end
    assert at == len(digest.text)
    assert digest.passages
    for passage in digest.passages:
        assert digest.text[passage.start : passage.end] == passage.text
    for finding in digest.findings:
        if finding.field == "content" and finding.start is not None and finding.end is not None:
            assert 0 <= finding.start < finding.end <= len(digest.text)
    assert repair(digest.text) == digest.text
    repr(digest).encode()
