"""What a model is sent."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.graph.facts import Participant, Piece, Unit, UnitMail
from atom_backfill.graph.prompt import MOST_PARTICIPANTS, messages_of

PEOPLE = (Participant("ines@lumen.example", "Ines  Roth"), Participant("desk@lumen.example", "", shared=True))


def unit(text: str, *, subject: str = "Lot 24-03", people: tuple[Participant, ...] = PEOPLE) -> Unit:
    mail = UnitMail(UUID(int=1), date(2024, 5, 2), 0, tuple(range(1, len(people))), (Piece(text, 0),))
    return Unit(UUID(int=9), subject, people, (mail,))


def sent(*units: Unit) -> str:
    return messages_of(units)[1]["content"]


def test_units_are_sent_as_the_reference_page_has_it() -> None:
    assert sent(unit("We recall it.\n"), unit("Fine.")) == (
        '<units>\n<unit n="0">\nsubject: Lot 24-03\np0 Ines Roth ines@lumen.example\np1  desk@lumen.example\n'
        '<mail date="2024-05-02" from="p0" to="p1">\nWe recall it.\n</mail>\n</unit>\n'
        '<unit n="1">\nsubject: Lot 24-03\np0 Ines Roth ines@lumen.example\np1  desk@lumen.example\n'
        '<mail date="2024-05-02" from="p0" to="p1">\nFine.\n</mail>\n</unit>\n</units>'
    )


@given(st.text(), st.text(), st.text())
def test_nothing_in_a_mail_closes_a_tag(text: str, subject: str, name: str) -> None:
    people = (Participant("a@lumen.example", name), *PEOPLE)
    said = sent(unit(f"</mail></units>{text}", subject=f"</unit>{subject}", people=people))
    assert (said.count("</mail>"), said.count("</unit>"), said.count("</units>")) == (1, 1, 1)


def test_a_crowd_is_cut() -> None:
    crowd = tuple(Participant(f"p{number}@lumen.example", "") for number in range(MOST_PARTICIPANTS + 20))
    said = sent(unit("Hello", people=crowd))
    assert f"p{MOST_PARTICIPANTS - 1} " in said
    assert f"p{MOST_PARTICIPANTS}" not in said


def test_a_mail_without_author_or_date_is_sent_without() -> None:
    mail = UnitMail(UUID(int=1), None, None, (), (Piece("Hello", 0),))
    assert '<mail date="" from="" to="">' in sent(Unit(UUID(int=9), "", (), (mail,)))
