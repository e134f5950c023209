"""The units of a request are read as the reference defines them."""

from __future__ import annotations

import re

from atom_simulators.llm.units import read_units
from llm_simulator import REFERENCE, a_call, a_unit


def test_the_example_of_the_reference_is_read() -> None:
    example = re.findall(r"```text\n(<units>.*?)\n```", REFERENCE, re.DOTALL)[0]
    units = read_units(example)
    assert units is not None
    (unit,) = units
    assert unit.people == {
        "joost.verhallen@ostrel.example": 0,
        "sakuma.ryo@kagero-denki.example": 1,
        "maren.holloway@ostrel.example": 2,
    }
    assert unit.names == {0: "Joost Verhallen", 1: "佐久間 涼", 2: ""}
    assert [(mail.date, mail.sender, mail.to) for mail in unit.mails] == [
        ("2024-11-04", 0, (1, 2)),
        ("2024-11-08", 2, (0, 1)),
    ]
    assert unit.mails[1].text == "So we recall all of lot 24-03 before the end of January."


def test_units_keep_their_numbers_and_their_order() -> None:
    units = read_units(a_call(a_unit("One."), a_unit("Two."), a_unit("Three.")))
    assert units is not None
    assert [(unit.n, unit.mails[0].text) for unit in units] == [(0, "One."), (1, "Two."), (2, "Three.")]


def test_a_mail_may_be_empty_without_people_or_of_many_lines() -> None:
    text = "p7 not a participant\n\nsubject: none\n"
    units = read_units(a_call(a_unit(text, [], sender=""), a_unit("")))
    assert units is not None
    assert (units[0].people, units[0].mails[0].sender, units[0].mails[0].text) == ({}, None, text)
    assert units[1].mails[0].text == ""


def test_other_messages_hold_no_units() -> None:
    assert read_units("Say OK.") is None
    assert read_units("<units>\n</units>") == []
