"""Mails that real mailboxes hold and programs stumble over, one of each."""

from __future__ import annotations

from collections.abc import Sequence

from .cast import Cast
from .mail import Mail


def odd_mails(cast: Cast) -> Sequence[Mail]:
    """Every awkward mail, in a fixed order."""
    return ()
