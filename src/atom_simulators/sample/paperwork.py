"""Bills, orders, reminders and delivery notes of invented suppliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .banks import fill, sections
from .cast import Organisation, Person
from .lot import Lot
from .mail import Mail


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill; `price` in pence a piece."""

    quantity: int
    goods: str
    price: int

    @property
    def total(self) -> int:
        """In pence."""
        return self.quantity * self.price


def bill(lot: Lot) -> Sequence[Mail]:
    """An invoice, a reminder, an order confirmation, a quotation, a credit note or a delivery note."""
    supplier, address, trade = (part.strip() for part in lot.deal(sections("paperwork")["suppliers"]).split("|"))
    org = Organisation("", supplier, address.partition("@")[2], "")
    clerk, title = (part.strip() for part in lot.rng.choice(sections("paperwork")["clerks"]).split("|"))
    sender = Person(
        f"clerk/{address}",
        f"{clerk}, {supplier}" if lot.rng.random() < 0.5 else clerk,
        address,
        org,
        title,
        lot.rng.choice(sections("slots")["city"]),
        client=lot.rng.choice(("outlook", "original", "plain", "gmail", "outlook-text")),
        closing=f"Kind regards\n{clerk.split()[0]}",
    )
    kind = ("invoice", "delivery", "invoice", "confirmation", "reminder", "quotation", "invoice", "credit")[
        lot.ordinal % 8
    ]
    number = f"{supplier[:2].upper()}-{lot.rng.randrange(10_000, 99_999)}"
    text = "\n\n".join(
        fill(part, lot.rng)
        for part in (
            lot.deal(sections("paperwork")[kind]).replace("NUMBER", number),
            _lines(lot, trade),
            lot.rng.choice(sections("paperwork")["terms" if kind in ("invoice", "reminder") else "closing"]),
        )
    )
    attached = f"{number}.pdf" if kind != "delivery" else ""
    folder = "Invoices" if kind in ("invoice", "reminder", "credit") else lot.rng.choice(("Inbox", "Archive"))
    return (
        Mail(
            lot.key,
            lot.when,
            sender,
            (lot.cast.owner,),
            f"{_TITLES[kind]} {number}",
            text,
            folder=folder,
            cc=(lot.cast["tamsin"],) if lot.rng.random() < 0.5 else (),
            attachment=attached,
            sign=lot.rng.choice(("full", "short")),
        ),
    )


_TITLES = {
    "invoice": "Invoice",
    "delivery": "Delivery note",
    "confirmation": "Order confirmation",
    "reminder": "Reminder: invoice",
    "quotation": "Quotation",
    "credit": "Credit note",
}


def _lines(lot: Lot, trade: str) -> str:
    """Two to four things of the trade at about their price, and the sum."""
    offered = [row.split(" | ") for row in sections("paperwork")[trade]]
    lines = [
        Line(lot.rng.choice((1, 2, 4, 5, 10, 12, 20, 25)), goods, int(float(price) * lot.rng.randrange(80, 125)))
        for goods, price in lot.rng.sample(offered, min(len(offered), lot.rng.randrange(2, 5)))
    ]
    net = sum(line.total for line in lines)
    listed = "\n".join(f"{li.quantity} x {li.goods} at £{li.price / 100:,.2f}: £{li.total / 100:,.2f}" for li in lines)
    return f"{listed}\nNet £{net / 100:,.2f}, VAT £{net * 0.2 / 100:,.2f}, total £{net * 1.2 / 100:,.2f}"
