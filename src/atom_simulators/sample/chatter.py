"""Small questions among colleagues, and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from .banks import pieces, words
from .cast import Cast
from .mail import Mail
from .quoting import answer_subject


def exchange(rng: Random, key: str, when: datetime, cast: Cast) -> Sequence[Mail]:
    """A colleague asks the owner, or the owner a colleague; the piece's later parts answer in turn."""
    subject, *turns = rng.choice(pieces("exchanges")).split("\n--\n")
    other = rng.choice(cast.colleagues())
    pair = (other, cast.owner) if rng.random() < 0.7 else (cast.owner, other)
    slots = {name: rng.choice(words("slots", name)) for name in _SLOTS} | {"n": str(rng.randrange(3, 90))}
    mails: list[Mail] = []
    for turn, text in enumerate(turns[: rng.randrange(1, len(turns) + 1)]):
        sender, receiver = pair[turn % 2], pair[1 - turn % 2]
        parent = mails[-1] if mails else None
        title = answer_subject(parent, sender) if parent else subject.format(**slots)
        folder = "Sent Items" if sender is cast.owner else rng.choice(("Inbox", "Inbox", "Archive"))
        mails.append(
            Mail(
                f"{key}/{turn}", when, sender, (receiver,), title, text.format(**slots),
                parent=parent, relation="reply" if parent else "new", folder=folder,
                sign="full" if turn == 0 and rng.random() < 0.3 else "short",
            )
        )  # fmt: skip
        when += timedelta(minutes=rng.randrange(4, 300))
    return mails


_SLOTS = ("thing", "place", "port", "day", "part", "supplier", "person")
