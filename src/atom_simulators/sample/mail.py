"""A mail as its writer made it, before any mail program renders it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from .cast import Person

Relation = Literal["new", "reply", "forward"]
Sign = Literal["full", "short", "none"]


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail: who, when, what is new in it, and which mail it answers or passes on.

    `text` is the new text alone; its lines that start with `> ` quote the parent in between. `html` replaces
    the rendering (newsletters). `graph` is laid over the finished Graph message, None values included.
    `quoted_only` marks a mail that the owner never received: it occurs inside later mails alone.
    """

    key: str
    sent: datetime
    sender: Person
    to: tuple[Person, ...]
    subject: str
    text: str
    cc: tuple[Person, ...] = ()
    parent: Mail | None = None
    relation: Relation = "new"
    sign: Sign = "short"
    client: str = ""
    folder: str = ""
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    categories: tuple[str, ...] = ()
    attachment: str = ""
    importance: str = "normal"
    flagged: bool = False
    bulk: bool = False
    quoted_only: bool = False
    graph: Mapping[str, object] = field(default_factory=dict)

    @property
    def style(self) -> str:
        """The mail program: the mail's own choice, else its writer's habit."""
        return self.client or self.sender.client

    @property
    def inline(self) -> bool:
        """Whether the answer stands between quoted lines."""
        return self.relation == "reply" and any(line.startswith("> ") for line in self.text.splitlines())

    @property
    def root(self) -> Mail:
        """The first mail of the thread."""
        *_, oldest = self.ancestry()
        return oldest

    def ancestry(self) -> Iterator[Mail]:
        """This mail, the one it answers, and so on to the thread's first."""
        mail: Mail | None = self
        while mail is not None:
            yield mail
            mail = mail.parent
