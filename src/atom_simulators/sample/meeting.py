"""Calendar mail: Graph's eventMessageRequest and eventMessageResponse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from .banks import fill
from .lot import Lot
from .mail import Mail


def invitation(lot: Lot) -> Sequence[Mail]:
    """A colleague invites the owner, or the owner invites and is answered."""
    other = lot.rng.choice(lot.colleagues())
    start = lot.when.replace(minute=lot.rng.choice((0, 30)), second=0) + timedelta(days=lot.rng.randrange(1, 15))
    title = fill(lot.deal(_TITLES), lot.rng)
    agenda = lot.aside(_AGENDAS, fill(lot.deal(_AGENDAS), lot.rng))
    mine = lot.rng.random() < 0.4
    sender, receiver = (lot.cast.owner, other) if mine else (other, lot.cast.owner)
    asked = Mail(
        f"{lot.key}/0",
        lot.when,
        sender,
        (receiver,),
        title,
        agenda,
        sign="none",
        client="owa",
        folder="Sent Items" if mine else "Inbox",
        graph=event("eventMessageRequest", "meetingRequest", start, lot.deal(_ROOMS)),
    )
    if not mine:
        return (asked,)
    word, kind = lot.rng.choice(_ANSWERS)
    answer = Mail(
        f"{lot.key}/1",
        lot.when + timedelta(minutes=lot.rng.randrange(2, 400)),
        other,
        (lot.cast.owner,),
        f"{word}: {title}",
        fill(lot.deal(_REMARKS), lot.rng),
        parent=asked,
        relation="new",
        sign="none",
        client="owa",
        folder="Inbox",
        graph=event("eventMessageResponse", kind, start, lot.deal(_ROOMS)),
    )
    return asked, answer


def event(resource: str, kind: str, start: datetime, place: str) -> Mapping[str, object]:
    """The properties that `eventMessage` and its kinds add to a message; an hour from `start`."""
    end = start + timedelta(hours=1)
    return {
        "@odata.type": f"#microsoft.graph.{resource}",
        "meetingMessageType": kind,
        "type": "singleInstance",
        "isOutOfDate": False,
        "isAllDay": False,
        "isDelegated": False,
        "startDateTime": {"dateTime": f"{start:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
        "endDateTime": {"dateTime": f"{end:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
        "location": {"displayName": place, "locationType": "default", "uniqueIdType": "unknown"},
        "recurrence": None,
    }


# The misspelt value is the service's own (GRAPH schema, enum meetingMessageType).
_ANSWERS = (
    ("Accepted", "meetingAccepted"),
    ("Tentative", "meetingTenativelyAccepted"),
    ("Declined", "meetingDeclined"),
)
_ROOMS = ("Meeting room", "Workshop, bench three", "Video", "The kitchen", "Drowned Anchor, back room", "Roof")
_TITLES = (
    "{port}: where are we",
    "{product}, half an hour",
    "Budget for {part}",
    "Quarter in numbers",
    "{supplier} on the telephone",
    "Walk round {place}",
    "What we learned in {month}",
    "{document}, last reading",
    "Round table {port}",
    "{person}: six months on",
    "Planning {month}",
    "Talk about {weather} and ladders",
)
_AGENDAS = (
    "Agenda: {port}, {part}, anything else. Please bring {document}.",
    "I would like to understand why the {part} in {port} last {few} months and not {n}. Bring one, if you can.",
    "{few} topics, {n} minutes, no slides. {person} takes notes.",
    "First {supplier}, then the {colour} cabinets, then {food}.",
    "Decision needed: {money} for {part}, yes or no. The paper is two pages long and lies in the shared folder.",
    "We look at the readings of {month} together and say what we see.",
    "To get to know {place} before the inspector does. Sturdy shoes.",
    "{port} has asked for {document} by {date}; let us agree who writes which half.",
    "Can be moved, but not to {day}. {person} joins from {city}.",
)
_REMARKS = (
    "",
    "I may be {few} minutes late, the train from {city}.",
    "With pleasure, and I bring {food}.",
    "",
    "Only if {weather} keeps me from {port}.",
    "Could {person} come in my place?",
    "",
    "Before {clock} would be better.",
)
