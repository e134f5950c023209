"""Mail that machines send: alarms, reports, junk, automatic answers and delivery reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from .banks import fill, pieces
from .cast import Organisation, Person
from .lot import Lot
from .mail import Mail
from .quoting import answer_subject

_HEADERS = {
    "auto": (("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")),
    "bulk": (("Precedence", "bulk"), ("List-Unsubscribe", "<mailto:leave@example.com>")),
}


def notice(lot: Lot) -> Sequence[Mail]:
    """One automated notification."""
    who, subject, text = lot.piece("notices").split("\n--\n")
    name, address, kind = (part.strip() for part in who.split("|"))
    subject, _, text = fill(f"{subject}\0{text}", lot.rng).partition("\0")
    text = lot.aside(pieces("notices"), text)
    return (
        Mail(
            lot.key,
            lot.when,
            machine(name, address),
            (lot.cast.owner,),
            subject,
            text,
            sign="none",
            folder=lot.rng.choices(("Inbox", "Archive", "Deleted Items"), (5, 3, 2))[0],
            headers=_HEADERS[kind],
            bulk=True,
            client="gmail" if lot.rng.random() < 0.4 else "plain",
        ),
    )


def junk(lot: Lot) -> Sequence[Mail]:
    """One unwanted mail."""
    who, subject, text = fill(lot.piece("junk"), lot.rng).split("\n--\n")
    text = lot.aside(pieces("junk"), text)
    name, address = (part.strip() for part in who.split("|"))
    sender = machine(name, address)
    style = lot.rng.choice(("plain", "gmail"))
    return (
        Mail(
            lot.key,
            lot.when,
            sender,
            (lot.cast.owner,),
            subject,
            text,
            sign="none",
            folder="Junk Email",
            bulk=True,
            client=style,
        ),
    )


def away(lot: Lot) -> Sequence[Mail]:
    """The owner asks, an automatic answer comes back."""
    outside = [p for p in lot.cast.people.values() if p.org.name and p.org != lot.cast.owner.org]
    person = lot.rng.choice([*lot.colleagues(), *outside])
    asked = Mail(
        f"{lot.key}/0",
        lot.when,
        lot.cast.owner,
        (person,),
        fill(lot.deal(_ASKED_SUBJECTS), lot.rng),
        lot.aside(_ASKED, fill(lot.deal(_ASKED), lot.rng)),
        folder="Sent Items",
    )
    texts = _AWAY.get(person.lang, _AWAY["en"])
    answer = Mail(
        f"{lot.key}/1",
        lot.when + timedelta(seconds=20),
        person,
        (lot.cast.owner,),
        f"{_AUTOMATIC.get(person.lang, 'Automatic reply')}: {asked.subject}",
        fill(lot.deal(texts), lot.rng),
        parent=asked,
        relation="new",
        folder="Inbox",
        bulk=True,
        headers=(("Auto-Submitted", "auto-replied"), ("X-Auto-Response-Suppress", "All")),
    )
    return asked, answer


def bounce(lot: Lot) -> Sequence[Mail]:
    """A mail of the owner's that cannot be delivered, and the report about it."""
    lost = machine("", fill("{person}.{few}@{city}-office.invalid", lot.rng).lower())
    sent = Mail(
        f"{lot.key}/0",
        lot.when,
        lot.cast.owner,
        (lost,),
        fill(lot.deal(_ASKED_SUBJECTS), lot.rng),
        lot.aside(_ASKED, fill(lot.deal(_ASKED), lot.rng)),
        folder="Sent Items",
    )
    status, reason = lot.rng.choice(_REASONS)
    text = (
        f"Delivery has failed to these recipients or groups:\n\n{lost.address}\n{reason}\n\n"
        "Diagnostic information for administrators:\n\n"
        f"Generating server: mail.ostrel.example\n{lost.address}\nRemote server returned '{status}'\n\n"
        f"Original message headers:\n\nSubject: {sent.subject}\nTo: {lost.address}"
    )
    report = Mail(
        f"{lot.key}/1",
        lot.when + timedelta(seconds=4),
        machine("Mail Delivery System", "postmaster@ostrel.example"),
        (lot.cast.owner,),
        f"Undeliverable: {sent.subject}",
        text,
        parent=sent,
        relation="new",
        folder="Inbox",
        sign="none",
        bulk=True,
        client="outlook-text",
        headers=(
            ("Auto-Submitted", "auto-replied"),
            ("Return-Path", "<>"),
            ("Content-Type", "multipart/report; report-type=delivery-status"),
        ),
    )
    return sent, report


def pass_on(lot: Lot) -> Sequence[Mail]:
    """A notification passed on: by the owner, or to the owner by the colleague who got it."""
    (first,) = notice(lot)
    colleague = lot.rng.choice(lot.colleagues())
    mine = lot.rng.random() < 0.5
    sender, receiver = (lot.cast.owner, colleague) if mine else (colleague, lot.cast.owner)
    if not mine:
        first = replace(first, to=(colleague,), quoted_only=True)
    sent = Mail(
        f"{lot.key}/1",
        lot.when + timedelta(minutes=lot.rng.randrange(3, 90)),
        sender,
        (receiver,),
        answer_subject(first, sender, forward=True),
        lot.aside(_PASSED_ON, fill(lot.deal(_PASSED_ON), lot.rng)),
        parent=first,
        relation="forward",
        folder="Sent Items" if mine else "Inbox",
    )
    return (first, sent) if mine else (sent,)


def machine(name: str, address: str) -> Person:
    """A sender or receiver that is nobody of the cast."""
    return Person(f"machine/{address}", name, address, Organisation("", "", address.partition("@")[2], ""))


_ASKED_SUBJECTS = (
    "{part} for {port}",
    "{document}: one question",
    "Visit on {date}",
    "{port} and the {part}",
    "Your letter of {date}",
    "{product}, revision {few}",
    "Short call at {clock}?",
    "Order {ref}",
    "{port}: who has the key",
    "Before {day}",
)
_ASKED = (
    "Could you tell me by {day} whether the {n} {part} for {port} come in one delivery or in two?",
    "I am missing page {few} of {document}. Would you send it again, please, as a photograph if need be?",
    "We would come on {date}, {person} and I, by the train at {clock}. Is there somebody who opens the gate?",
    "{person} needs {few} more {part} and says that you know where they are. Do you?",
    "A short question about {ref}: is the {money} with or without the {part}?",
    "Would {day} at {clock} suit you for ten minutes about {product}? It is about {weather} and the {part}.",
    "Thank you for {document}. One thing: in {port} the cabinet is {colour}, not {colour2}.",
    "Please hold {ref} until we have spoken; {supplier} has changed the {part}.",
)
_PASSED_ON = (
    "Is this yours? It mentions the {part}.",
    "For you, I believe. Nothing to do before {day}.",
    "Please have a look, {person} thinks that it is harmless, and I would like to know why.",
    "FYI, and please close it when it is done.",
    "That is the third one since {month}. Could we find out what {port} does at {clock}?",
    "Can you take this? I am in {city} until {day}.",
    "Not urgent. But I do not understand the number {n} in it.",
    "Would you answer them? They like it when it comes from you.",
)
_AUTOMATIC = {"de": "Automatische Antwort", "fr": "Réponse automatique", "es": "Respuesta automática", "pl": "Auto"}
_AWAY = {
    "en": (
        "I am away until {day}, {date}, and will read my mail in the order of its patience. Urgent: {person}.",
        "Thank you for your mail. I am on a ladder in {port} and have both hands full. Back at my desk on {day}.",
        "Out of the office from {date}. For {part} please ask {person}, for everything else please wait.",
        "I am on leave with limited access to mail and unlimited access to {food}. From {date} I answer again.",
    ),
    "de": (
        "Ich bin bis {date} nicht im Hause. Ihre Nachricht wird nicht weitergeleitet. In dringenden Fällen: {person}.",
        "Vielen Dank für Ihre Mail. Wegen {weather} bin ich in {port} und ab {date} wieder erreichbar.",
    ),
    "fr": (
        "Je suis absent du bureau jusqu'au {date}. En cas d'urgence, veuillez appeler la capitainerie, poste {n}.",
        "Je suis en déplacement à {city} et vous répondrai à partir du {date}.",
    ),
    "es": ("Estaré fuera de la oficina hasta el {date}. Para asuntos urgentes, extensión {n}.",),
    "pl": ("Jestem na urlopie do {date}. W pilnych sprawach proszę pisać do: {person}.",),
}
_REASONS = (
    ("550 5.1.1 User unknown", "The address that you wrote to does not exist. Please check the spelling."),
    ("552 5.2.2 Mailbox full", "The recipient's mailbox is full and cannot take messages now."),
    ("550 5.4.1 Access denied", "The recipient's domain does not accept mail from your domain."),
    ("554 5.4.7 Message expired", "Delivery was tried for 48 hours without success."),
)
