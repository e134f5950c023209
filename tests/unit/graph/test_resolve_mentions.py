"""Whom a name in a text means, and when it means nobody."""

from __future__ import annotations

import pytest

from atom_backfill.graph.resolve_bearers import Identity
from atom_backfill.graph.resolve_mentions import (
    Called,
    Known,
    Parties,
    Place,
    Ring,
    known_person,
    place_of,
    resolve_mention,
)


def somebody(written: str) -> Known:
    """Read `Kenneth L. Reyl <ken@lumen.test>`; the key is the local part."""
    name, _, address = written.removesuffix(">").rpartition("<")
    return known_person(address.partition("@")[0], [Identity(address, {name.strip(): 1})])


def ring(*written: str) -> Ring:
    return Ring(map(somebody, written))


def parties(
    authors: tuple[str, ...] = (),
    readers: tuple[str, ...] = (),
    thread: tuple[str, ...] = (),
    organization: tuple[str, ...] = (),
) -> Parties:
    return Parties(ring(*authors), ring(*readers), ring(*thread), ring(*organization))


KEN, INES = "Kenneth L. Reyl <ken@lumen.test>", "Halloran, Ines <ines@lumen.test>"
MARY_KAY, BOB = "Orlin, Mary Kay <mko@lumen.test>", "robert.tarn@lumen.test"
EVERYONE = parties((INES,), (KEN, MARY_KAY, BOB))


@pytest.mark.parametrize(
    ("words", "person", "called"),
    [
        ("Kenneth L. Reyl", "ken", Called.FULL_NAME),
        ("Reyl, Kenneth", "ken", Called.FULL_NAME),
        ("Ken Reyl", "ken", Called.NICKNAME),
        ("K. Reyl", "ken", Called.INITIAL),
        ("Ken", "ken", Called.GIVEN_NAME),
        ("Ken's", "ken", Called.GIVEN_NAME),
        ("INES", "ines", Called.GIVEN_NAME),
        ("Mr. Reyl", "ken", Called.SURNAME),
        ("Halloran", "ines", Called.SURNAME),
        ("KLR", "ken", Called.INITIALS),
        ("Mary Kay", "mko", Called.GIVEN_NAME),
        ("MK", "mko", Called.INITIALS),
        ("Bob Tarn", "robert.tarn", Called.NICKNAME),
        ("Bob", "robert.tarn", Called.GIVEN_NAME),
    ],
)
def test_a_party_is_found_by_what_people_call_them(words: str, person: str, called: Called) -> None:
    meant = resolve_mention(words, Place.TEXT, EVERYONE)
    assert meant is not None
    assert (meant.person, meant.called) == (person, called)
    assert 0.5 < meant.score < 1


@pytest.mark.parametrize("words", ["Tomasz", "Ken Halloran", "Paul Reyl", "Kenneth X. Reyl", "the team", "K", "", "!!"])
def test_whoever_is_not_there_is_nobody(words: str) -> None:
    assert resolve_mention(words, Place.TEXT, EVERYONE) is None


def test_a_name_that_two_bear_is_nobody() -> None:
    two = parties((INES,), ("Kenneth Reyl <ken@lumen.test>", "Ken Tarn <tarn@lumen.test>"))
    assert resolve_mention("Ken", Place.TEXT, two) is None
    assert resolve_mention("Ken Tarn", Place.TEXT, two) is not None


def test_initials_before_a_surname_that_two_bear_are_nobody() -> None:
    two = parties((), ("Jane Reyl <jane@lumen.test>", "John Reyl <john@lumen.test>"))
    assert resolve_mention("J. Reyl", Place.TEXT, two) is None


def test_a_greeting_means_a_reader_and_a_sign_off_the_author() -> None:
    namesakes = parties(("Ken Tarn <tarn@lumen.test>",), (KEN,))
    assert resolve_mention("Ken", Place.TEXT, namesakes) is None
    greeted, signed = (resolve_mention("Ken", place, namesakes) for place in (Place.GREETING, Place.SIGN_OFF))
    assert greeted is not None
    assert greeted.person == "ken"
    assert signed is not None
    assert signed.person == "tarn"


def test_the_nearest_ring_with_somebody_decides() -> None:
    around = parties((INES,), (KEN,), thread=("Ken Tarn <tarn@lumen.test>", BOB))
    meant = [resolve_mention(words, Place.TEXT, around) for words in ("Ken", "Ken Tarn", "Bob")]
    assert [one and one.person for one in meant] == ["ken", "tarn", "robert.tarn"]


def test_the_organisation_is_searched_for_full_names_alone() -> None:
    around = parties((INES,), organization=(KEN,))
    assert resolve_mention("Ken", Place.TEXT, around) is None
    meant = resolve_mention("Ken Reyl", Place.TEXT, around)
    assert meant is not None
    assert meant.person == "ken"


def test_a_short_form_that_may_be_anothers_name_misspelt_is_nobody() -> None:
    assert resolve_mention("Jamie", Place.GREETING, parties((), ("James Orlin <j@lumen.test>",))) is not None
    two = parties((), ("James Orlin <j@lumen.test>", "Jaime Tarn <t@lumen.test>"))
    assert resolve_mention("Jamie", Place.GREETING, two) is None


def test_one_whose_only_name_is_a_given_name_is_found_by_it() -> None:
    meant = resolve_mention("Bob", Place.TEXT, parties((), ("Bob <b1@lumen.test>",)))
    assert meant is not None
    assert meant.person == "b1"


def place(marked: str) -> Place:
    """The place of the name between square brackets."""
    start = marked.index("[")
    end = marked.index("]") - 1
    return place_of(marked.replace("[", "").replace("]", ""), start, end)


@pytest.mark.parametrize(
    "marked",
    [
        "[Ken],\nhow are you?",
        "Hi [Ken],",
        "Dear [Ken]:",
        "Steve and [Ken],\n\nyes",
        "[Ken] and Steve,\nyes",
        "[Ken] -",
        "Hello [Ken]!",
    ],
)
def test_a_greeting_is_known(marked: str) -> None:
    assert place(marked) is Place.GREETING


@pytest.mark.parametrize(
    "marked", ["See you.\n\n[Ken]", "Fine.\nThanks, [Ken].", "Fine.\nBest regards,\n[Ken]\n555-0100", "Yes.\n-- [Ken]"]
)
def test_a_sign_off_is_known(marked: str) -> None:
    assert place(marked) is Place.SIGN_OFF


@pytest.mark.parametrize(
    "marked", ["I told [Ken] so.", "Has [Ken] called?", "x" * 5000 + " [Ken],", "ask [Ken], please"]
)
def test_the_rest_is_text(marked: str) -> None:
    assert place(marked) is Place.TEXT


def test_a_hostile_line_takes_no_time() -> None:
    assert place("and" * 40 + "[Ken], hi") is Place.TEXT
    assert resolve_mention("and " * 100_000, Place.TEXT, EVERYONE) is None
