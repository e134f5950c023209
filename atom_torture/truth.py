"""The mailbox of a schedule, and the truth about it that the checker holds record and memory against."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from atom_torture.schedule import Schedule

NEWEST = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PEOPLE = ("Ines Halloran", "Tomasz Reyl", "Mirja Salonen", "Odalys Brandt", "Kwame Adjei")
WORDS = ("pump", "valve", "lease", "draft", "ferry", "quote", "crane", "hull", "anchor", "permit")
REFUSED = "REFUSED"
"""With this word in a subject, the database of the arena refuses the row."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it lies in the mailbox. `received_at` None: it has no date. `poison`: why it must fail, or ""."""

    source_id: str
    folder: str
    received_at: datetime | None
    subject: str
    body: str
    sender: str
    recipients: tuple[str, ...]
    poison: str = ""

    @property
    def payload(self) -> bytes:
        """The mail as it travels; a malformed one is no mail at all."""
        if self.poison == "malformed":
            return b""
        date = f"Date: {format_datetime(self.received_at)}\n" if self.received_at else ""
        to = ", ".join(map(address, self.recipients))
        head = f"From: {address(self.sender)}\nTo: {to}\n{date}Message-ID: <{self.source_id}@lumen.example>\n"
        return f"{head}Subject: {self.subject}\n\n{self.body}\n".encode()


def address(name: str) -> str:
    """Return a person's name and address."""
    return f"{name} <{name.split(maxsplit=1)[0].lower()}@lumen.example>"


def mailbox(schedule: Schedule) -> tuple[Mail, ...]:
    """Make the mails of a schedule: several in one second, one now and then without a date, bodies partly equal."""
    rng = random.Random(schedule.seed)
    poisoned = dict(zip(rng.sample(range(schedule.mails), len(schedule.poison)), schedule.poison, strict=True))
    return tuple(_mail(schedule, number, rng, poisoned.get(number, "")) for number in range(schedule.mails))


def _mail(schedule: Schedule, number: int, rng: random.Random, poison: str) -> Mail:
    sender, *recipients = rng.sample(PEOPLE, rng.randint(2, 4))
    words = " ".join(rng.choices(WORDS, k=8))
    common = rng.random() < 0.1
    subject = (
        "Minutes" if common else f"{REFUSED if poison == 'refused' else 'Order'} {number} of the {rng.choice(WORDS)}"
    )
    at = NEWEST - timedelta(seconds=number // rng.choice((1, 3, 9)) * 3600)
    return Mail(
        source_id=f"m-{number}",
        folder=f"folder-{number % schedule.folders}",
        received_at=None if rng.random() < 0.03 else at,
        subject=f"{REFUSED} {number}" if poison == "refused" else subject,
        body="As agreed, see the minutes." if common else f"Number {number} came in: {words}.\nPlease confirm by noon.",
        sender=sender,
        recipients=tuple(recipients),
        poison=poison,
    )
