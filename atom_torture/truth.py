"""The mailbox of a schedule, and the truth about it that the checker holds record and memory against."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

NEWEST = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PEOPLE = ("Ines Halloran", "Tomasz Reyl", "Mirja Salonen", "Odalys Brandt", "Kwame Adjei")
WORDS = ("pump", "valve", "lease", "draft", "ferry", "quote", "crane", "hull", "anchor", "permit")
DOMAIN, NEIGHBOUR = "lumen.example", "brine.example"
LONG = 0.125
REFUSED = "REFUSED"
"""With this word in a subject, the database of the arena refuses the row."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it lies in the mailbox. `received_at` None: it has no date. `poison`: why it must fail, or "".

    `domain`: of all its addresses; no other tenant's mail has it.
    """

    source_id: str
    folder: str
    received_at: datetime | None
    subject: str
    body: str
    sender: str
    recipients: tuple[str, ...]
    domain: str
    poison: str = ""

    @property
    def payload(self) -> bytes:
        """The mail as it travels; a malformed one is no mail at all."""
        if self.poison == "malformed":
            return b""
        date = f"Date: {format_datetime(self.received_at)}\n" if self.received_at else ""
        to = ", ".join(self.address(name) for name in self.recipients)
        head = f"From: {self.address(self.sender)}\nTo: {to}\n{date}Message-ID: <{self.source_id}@{self.domain}>\n"
        return f"{head}Subject: {self.subject}\n\n{self.body}\n".encode()

    def address(self, name: str) -> str:
        """Return a person's name and address."""
        return f"{name} <{name.split(maxsplit=1)[0].lower()}@{self.domain}>"


def mailbox(
    seed: int, *, mails: int, folders: int, poison: Sequence[str] = (), domain: str = DOMAIN
) -> tuple[Mail, ...]:
    """Make mails: several in one second, one now and then without a date, bodies partly equal, some of them long.

    `poison`: kinds, given to as many of them by chance.
    """
    rng = random.Random(f"{domain} {seed}")
    poisoned = dict(zip(rng.sample(range(mails), len(poison)), poison, strict=True))
    return tuple(_mail(number, folders, domain, rng, poisoned.get(number, "")) for number in range(mails))


def _mail(number: int, folders: int, domain: str, rng: random.Random, poison: str) -> Mail:
    sender, *recipients = rng.sample(PEOPLE, rng.randint(2, 4))
    common = rng.random() < 0.1
    at = NEWEST - timedelta(seconds=number // rng.choice((1, 3, 9)) * 3600)
    subject = "Minutes" if common else f"Order {number} of the {rng.choice(WORDS)}"
    return Mail(
        source_id=f"m-{number}",
        folder=f"folder-{number % folders}",
        received_at=None if rng.random() < 0.03 else at,
        subject=f"{REFUSED} {number}" if poison == "refused" else subject,
        body="As agreed, see the minutes." if common else _body(number, domain, rng),
        sender=sender,
        recipients=tuple(recipients),
        domain=domain,
        poison=poison,
    )


def _body(number: int, domain: str, rng: random.Random) -> str:
    """Write what no other mail says; one in eight is of several passages."""
    paragraphs = rng.randint(2, 4) if rng.random() < LONG else 1
    words = [" ".join(rng.choices(WORDS, k=8 if paragraphs == 1 else 150)) for _ in range(paragraphs)]
    parts = [f"Number {number} part {part} of {domain}: {said}." for part, said in enumerate(words)]
    return "\n\n".join((*parts, "Please confirm by noon."))
