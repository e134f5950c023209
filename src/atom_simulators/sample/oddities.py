"""Mails that real mailboxes hold and programs stumble over, one of each.

Their shape is odd here (missing, null or strange properties), their bodies in odd_bodies.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from .cast import Cast
from .graph import ABSENT
from .idents import internet_message_id
from .mail import Mail
from .mailing import machine
from .meeting import event
from .odd_bodies import odd, odd_bodies


def odd_mails(cast: Cast) -> Sequence[Mail]:
    """Every awkward mail, the most telling first; the key says what is awkward."""
    return (
        *_authors(cast),
        *_recipients(cast),
        *_strangers(cast),
        *odd_bodies(cast),
        *_dates(cast),
        *_copies(cast),
        *_calendar(cast),
        *_properties(cast),
        *_places(cast),
    )


def _authors(cast: Cast) -> Sequence[Mail]:
    exchange_dn = "/O=OSTREL/OU=EXCHANGE ADMINISTRATIVE GROUP (FYDIBOHF23SPDLT)/CN=RECIPIENTS/CN=JAMIE.OLDROYD"
    no_from = {"from": ABSENT, "sender": ABSENT}
    return (
        odd("no-from", "2024-02-29 08:00", cast, "Mailbox moved", "Your mailbox is on the new server.", graph=no_from),
        odd(
            "null-from",
            "2024-03-02 06:10",
            cast,
            "Journal",
            "Item without an author.",
            graph={"from": None, "sender": None},
        ),
        odd(
            "x500-sender",
            "2024-08-30 09:30",
            cast,
            "Hand-over of the on-call phone",
            "The phone is in the top drawer, the charger is with Gwen. Somebody should take over the rota.",
            graph=_author({"name": "Jamie Oldroyd", "address": exchange_dn}),
        ),
        odd(
            "name-without-address",
            "2024-06-21 12:15",
            cast,
            "Visitor list",
            "Four visitors, one of them tall.",
            graph=_author({"name": "Front Desk"}),
        ),
    )


def _recipients(cast: Cast) -> Sequence[Mail]:
    shared = {"emailAddress": {"name": "Ostrel Accounts", "address": "accounts@ostrel.example"}}
    many = tuple(machine(f"Guest {n}", f"guest{n}@harbour-days.example") for n in range(1, 300))
    return (
        replace(
            odd(
                "300-recipients",
                "2026-05-22 08:00",
                cast,
                "Thank you for Harbour Days 2026",
                "Dear friends of small harbours,\n\nthank you for coming. The photographs are on the site, the lost "
                "umbrella is at the desk. Please do not answer to all.",
                sender=machine("Harbour Days Office", "office@harbour-days.example"),
            ),
            to=(cast.owner, *many),
        ),
        odd(
            "from-is-not-sender",
            "2025-03-31 10:00",
            cast,
            "Payment run of 31 March",
            "Seventeen payments went out today.",
            sender=cast["tamsin"],
            graph={"from": shared},
        ),
        odd(
            "undisclosed-recipients",
            "2025-09-15 07:00",
            cast,
            "Notice to mariners 2025/118",
            "Dredging off Carrow Sound from 16 September. Keep a distance of 200 metres.",
            sender=machine("Harbour Office", "notices@small-ports.example"),
            graph={"toRecipients": []},
        ),
        odd(
            "same-person-three-times",
            "2025-01-09 11:11",
            cast,
            "Keys",
            "Who has the key of the cold store?",
            sender=cast["gwen"],
            graph={
                "ccRecipients": [
                    {"emailAddress": {"name": "Holloway, Maren", "address": "Maren.Holloway@OSTREL.example"}},
                    {"emailAddress": {"name": "maren", "address": "maren.holloway@ostrel.example"}},
                ]
            },
        ),
    )


def _strangers(cast: Cast) -> Sequence[Mail]:
    return (
        odd(
            "strange-addresses",
            "2025-04-14 14:41",
            cast,
            "Address book export",
            "Eleven entries could not be read.",
            sender=machine("Ren\u0065\u0301 d'Aubin (ext.)", '"rene d\'aubin"@kai.xn--hfen-loa.example'),
        ),
        odd(
            "look-alike-sender",
            "2025-07-03 22:58",
            cast,
            "Quick favour",
            "Are you at your desk? I need a small payment made.",
            sender=machine("Idris Pembrey", "idris.pembr\u0435y@ostre1.test"),
        ),
    )


def _dates(cast: Cast) -> Sequence[Mail]:
    return (
        odd(
            "date-1601",
            "2024-01-08 12:00",
            cast,
            "Recovered item",
            "This item was recovered from an old archive file.",
            graph={"receivedDateTime": "1601-01-01T00:00:00Z", "sentDateTime": "1601-01-01T00:00:00Z"},
        ),
        odd(
            "sent-in-the-future",
            "2025-12-01 09:00",
            cast,
            "Clock of the spare server",
            "If you can read this, the clock of the spare server is wrong by ten years.",
            graph={"sentDateTime": "2035-12-01T09:00:00Z"},
        ),
        odd(
            "draft-without-dates",
            "2026-10-01 10:00",
            cast,
            "Speech for Edwin",
            "Twenty-two years, one board, and",
            folder="Drafts",
            sender=cast.owner,
            graph={"receivedDateTime": None, "sentDateTime": None},
        ),
    )


def _copies(cast: Cast) -> Sequence[Mail]:
    owner = cast.owner
    shared = {"internetMessageId": internet_message_id("odd/copy", "ostrel.example")}
    note = {"internetMessageId": internet_message_id("odd/to-myself", "ostrel.example")}
    text = "The spare key of the cabinet in Penmarrow hangs behind the chart of Carrow Sound. Keep it in two places."
    first = odd("copy-in-projects", "2025-05-06 13:20", cast, "Where the spare key is", text, sender=cast["henrik"])
    mine = odd(
        "to-myself-received",
        "2024-10-03 21:14",
        cast,
        "note to self",
        "raise the rota at Monday's meeting",
        sender=owner,
    )
    return (
        replace(first, folder="Projects/Skerry", graph=shared),
        replace(first, key="odd/copy-in-archive", folder="Archive", graph=shared),
        replace(mine, graph=note),
        replace(mine, key="odd/to-myself-sent", folder="Sent Items", graph=note),
        odd(
            "null-conversation",
            "2024-05-30 16:02",
            cast,
            "Imported contact card",
            "1 card imported.",
            graph={"conversationId": None, "conversationIndex": None, "internetMessageId": None},
        ),
    )


def _calendar(cast: Cast) -> Sequence[Mail]:
    start = datetime(2026, 10, 30, 14, 0, tzinfo=UTC)
    cancelled = event("eventMessage", "meetingCancelled", start, "The kitchen")
    shared = {
        "@odata.type": "#microsoft.graph.calendarSharingMessage",
        "canAccept": True,
        "suggestedCalendarName": "Van",
    }
    return (
        odd(
            "meeting-request",
            "2026-10-20 08:30",
            cast,
            "Farewell plan for Edwin",
            "Thirty minutes, with cake.",
            sender=cast["beatriz"],
            graph=event("eventMessageRequest", "meetingRequest", start, "The kitchen"),
        ),
        odd(
            "meeting-cancelled",
            "2026-10-22 09:00",
            cast,
            "Canceled: Farewell plan for Edwin",
            "",
            sender=cast["beatriz"],
            graph=cancelled,
        ),
        odd(
            "bare-acceptance",
            "2026-09-28 07:45",
            cast,
            "Accepted: Round table Wittrum",
            "",
            sender=cast["folkert"],
            graph=event("eventMessageResponse", "meetingAccepted", start, "Video"),
        ),
        odd(
            "calendar-shared",
            "2024-08-19 10:10",
            cast,
            "Gwen shared the calendar of the van",
            "You may look.",
            sender=cast["gwen"],
            graph=shared,
        ),
    )


def _properties(cast: Cast) -> Sequence[Mail]:
    return (
        odd(
            "null-subject",
            "2025-02-11 18:20",
            cast,
            "",
            "photo follows",
            sender=cast["henrik"],
            graph={"subject": None},
        ),
        odd(
            "empty-subject", "2025-11-06 06:55", cast, "", "ring me when you are up, nothing bad", sender=cast["idris"]
        ),
        odd(
            "is-read-null",
            "2024-12-24 11:00",
            cast,
            "Closed until 2 January",
            "Merry Christmas from the wharf.",
            sender=cast["colin"],
            graph={"isRead": None},
        ),
    )


def _places(cast: Cast) -> Sequence[Mail]:
    owner = cast.owner
    return (
        replace(
            odd(
                "stuck-in-outbox",
                "2026-10-29 16:58",
                cast,
                "Numbers for October",
                "Three numbers, attached.",
                sender=owner,
                folder="Outbox",
            ),
            to=(cast["idris"],),
            attachment="october.xlsx",
        ),
        replace(
            odd(
                "draft",
                "2026-10-27 19:30",
                cast,
                "Re: a sentence for the memorial",
                "Dear Mr Craske, I have been thinking",
                sender=owner,
                folder="Drafts",
            ),
            to=(cast["edwin"],),
        ),
        odd(
            "hidden-folder-1",
            "2024-07-01 00:00",
            cast,
            "IPM.ConversationAction",
            "Always ignore: Printer",
            sender=owner,
            folder="Conversation Action Settings",
        ),
        odd(
            "hidden-folder-2",
            "2025-08-04 00:00",
            cast,
            "IPM.ConversationAction",
            "Always move: Goods Lift",
            sender=owner,
            folder="Conversation Action Settings",
        ),
    )


def _author(address: Mapping[str, str]) -> Mapping[str, object]:
    return {"from": {"emailAddress": address}, "sender": {"emailAddress": address}}
