"""Small questions among colleagues, weekly notes, and customers who need help."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from .banks import fill, pieces, sections
from .cast import Person
from .lot import Lot
from .mail import Mail
from .quoting import answer_subject

NOTE_WRITERS = frozenset({"joost", "priya", "dele", "wiebke", "henrik", "ola", "beatriz", "pim"})
CUSTOMERS = ("edwin", "lorna", "yannick", "maelle", "ines", "folkert", "sigrun")


def exchange(lot: Lot) -> Sequence[Mail]:
    """A colleague asks the owner, or the owner a colleague; the piece's later parts answer in turn."""
    other = lot.rng.choice(lot.colleagues())
    pair = (other, lot.cast.owner) if lot.rng.random() < 0.7 else (lot.cast.owner, other)
    return _thread(lot, "exchanges", pair)


def ticket(lot: Lot) -> Sequence[Mail]:
    """A customer writes about a gauge, the owner answers."""
    customer = lot.cast[lot.rng.choice(CUSTOMERS)]
    return _thread(lot, f"tickets_{customer.lang}", (customer, lot.cast.owner))


def weekly_note(lot: Lot) -> Sequence[Mail]:
    """A colleague's notes of the week, put together from what happened."""
    writer = lot.rng.choice([person for person in lot.colleagues() if person.key in NOTE_WRITERS])
    happened = sections("weekly")["happened"]
    start = lot.ordinal * 5
    lines = [happened[(start + n) * 13 % len(happened)] for n in range(lot.rng.randrange(3, 6))]
    opening, ending = (lot.rng.choice(sections("weekly")[part]) for part in ("opening", "ending"))
    marker = lot.rng.choice(("- ", "* ", ""))
    listed = ("\n" if marker else "\n\n").join(f"{marker}{line}" for line in lines)
    text = fill(f"{opening}\n\n{listed}\n\n{ending}", lot.rng, _first_names((writer,)))
    subject = lot.rng.choice(("Week {}", "Notes, week {}", "What happened in week {}", "Friday lines ({})"))
    week = lot.when.isocalendar().week
    return (
        Mail(
            lot.key,
            lot.when,
            writer,
            (lot.cast.owner,),
            subject.format(week),
            text,
            folder=lot.rng.choice(("Inbox", "Archive")),
            sign=lot.rng.choice(("full", "short")),
        ),
    )


def _first_names(people: Sequence[Person]) -> Sequence[str]:
    return tuple(person.first_name for person in people)


def _thread(lot: Lot, bank: str, pair: tuple[Person, Person]) -> Sequence[Mail]:
    subject, *turns = fill(lot.piece(bank), lot.rng, _first_names(pair)).split("\n--\n")
    when = lot.when
    mails: list[Mail] = []
    for turn, text in enumerate(turns[: lot.rng.randrange(1, len(turns) + 1)]):
        sender, receiver = pair[turn % 2], pair[1 - turn % 2]
        parent = mails[-1] if mails else None
        mails.append(
            Mail(
                f"{lot.key}/{turn}",
                when,
                sender,
                (receiver,),
                answer_subject(parent, sender) if parent else subject,
                lot.aside(pieces(bank), text),
                parent=parent,
                relation="reply" if parent else "new",
                folder="Sent Items" if sender is lot.cast.owner else lot.rng.choice(("Inbox", "Inbox", "Archive")),
                sign="full" if turn < 2 and lot.rng.random() < 0.4 else "short",
            )
        )
        when += timedelta(minutes=lot.rng.randrange(4, 300))
    return mails
