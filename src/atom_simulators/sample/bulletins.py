"""Newsletters: HTML tables, tracking pixels on reserved domains, and the headers of bulk mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .banks import fill, pieces
from .cast import Organisation, Person
from .lot import Lot
from .mail import Mail


@dataclass(frozen=True, slots=True)
class Publication:
    """A newsletter: who sends it, what it looks like, what it says in every issue."""

    name: str
    address: str
    colour: str
    greetings: Sequence[str]
    imprint: str


PUBLICATIONS: Sequence[Publication] = (
    Publication(
        "Tideline Weekly",
        "editor@tideline-weekly.example",
        "#12507b",
        ("Good morning from the quay.", "This week in water.", "Kettle on, boots off.", "Mostly dry this week."),
        "Tideline Weekly is written by four people and a dog.",
    ),
    Publication(
        "Measure & Marine",
        "news@measure-marine.example",
        "#3a3a3a",
        ("Dear reader,", "What we learned since the last issue:", "The month in instruments:"),
        "You receive this because you registered at our stand or on our site.",
    ),
    Publication(
        "Bristol Makers Bulletin",
        "hello@makers-bulletin.example",
        "#a63a1e",
        ("Hello makers!", "Mind the sawdust.", "Busy weeks on the wharf:"),
        "A neighbourly letter, printed on electrons.",
    ),
    Publication(
        "The Small Ports Digest",
        "digest@small-ports.example",
        "#2f6b3c",
        ("For harbours under a thousand calls.", "From the smaller basins:", "Short and salty:"),
        "Published by the Association of Small Ports. Reproduction welcome if the source is named.",
    ),
    Publication(
        "Quaylink Release Notes",
        "updates@quaylink.example",
        "#5b2a86",
        ("What is new in your telemetry account.", "Smaller, faster, and one thing removed."),
        "Sent to the technical contacts of active accounts.",
    ),
)


def bulletin(lot: Lot) -> Sequence[Mail]:
    """One issue of one publication."""
    paper = PUBLICATIONS[lot.ordinal % len(PUBLICATIONS)]
    count = lot.rng.randrange(3, 7)
    # Each early issue deals the next items of the bank, so that neighbours share none; later ones mix them.
    bank = pieces("news")
    items = [bank[(lot.ordinal * 7 + n) * 11 % len(bank)] for n in range(count)]
    if lot.ordinal >= len(bank):
        items = lot.rng.sample(bank, count)
    chosen = [fill(item, lot.rng).split("\n--\n") for item in items]
    greeting = lot.rng.choice(paper.greetings)
    number = 100 + lot.ordinal // len(PUBLICATIONS)
    sender = Person(f"paper/{paper.address}", paper.name, paper.address, Organisation("", paper.name, "", ""))
    domain = paper.address.partition("@")[2]
    return (
        Mail(
            lot.key,
            lot.when,
            sender,
            (lot.cast.owner,),
            f"{paper.name} {number}: {chosen[0][0]}",
            "",
            html=_page(paper, greeting, chosen, domain, lot.key),
            folder=lot.rng.choices(("Newsletters", "Inbox", "Deleted Items"), (8, 2, 1))[0],
            headers=(
                ("List-Id", f"{paper.name} <letter.{domain}>"),
                ("List-Unsubscribe", f"<https://{domain}/unsubscribe?u={lot.ordinal}>, <mailto:leave@{domain}>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
                ("Precedence", "bulk"),
            ),
            bulk=True,
        ),
    )


def _page(paper: Publication, greeting: str, chosen: Sequence[list[str]], domain: str, key: str) -> str:
    rows = "\n".join(
        '<tr><td style="padding:0 24px 18px 24px;font-family:Georgia,serif;font-size:15px;line-height:22px">'
        f'<h2 style="margin:0 0 6px 0;font-size:18px;color:{paper.colour}">{escape(title, quote=False)}</h2>'
        f'<p style="margin:0">{escape(text, quote=False)}</p>'
        f'<p style="margin:4px 0 0 0"><a href="https://{domain}/read/{n}?utm_source=letter&amp;utm_medium=email">'
        "Read on</a></p></td></tr>"
        for n, (title, text) in enumerate(chosen)
    )
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8"><style>@media only screen and (max-width:600px)'
        "{.w{width:100%!important}}</style></head>"
        '<body style="margin:0;background:#f2f2f2"><div style="display:none;max-height:0;overflow:hidden">'
        f"{escape(chosen[-1][0], quote=False)}&#847;&zwnj;&nbsp;&#847;&zwnj;&nbsp;</div>"
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">'
        '<table role="presentation" class="w" width="600" cellpadding="0" cellspacing="0" bgcolor="#ffffff">\n'
        f'<tr><td style="padding:24px;background:{paper.colour};color:#ffffff;font-family:Georgia,serif">'
        f'<h1 style="margin:0">{escape(paper.name)}</h1><p style="margin:4px 0 0 0">{greeting}</p></td></tr>\n'
        f"{rows}\n"
        '<tr><td style="padding:16px 24px;font-family:Arial,sans-serif;font-size:11px;color:#777777">'
        f'{paper.imprint} <a href="https://{domain}/browser/{key}">View in browser</a> | '
        f'<a href="https://{domain}/unsubscribe">Unsubscribe</a></td></tr>\n'
        "</table></td></tr></table>"
        f'<img src="https://track.{domain}/open.gif?m={key}" width="1" height="1" alt="" style="display:none">'
        "</body></html>\n"
    )
