"""What the simulator answers: the truth of the sample, what rules find elsewhere, facts in a given number."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from atom_simulators.facts import ENDS, ENTITY_TYPES, Entity, Relation, Stated, folded, named
from atom_simulators.llm.drawing import Drawing, drawn_by
from atom_simulators.sample import truth
from llm_simulator import SCHEMA, Simulator, a_unit, llm_simulator, the_sample

Unit = dict[str, Any]


@pytest.fixture(scope="module")
def sample() -> Iterator[Simulator]:
    with llm_simulator(known=the_sample()) as running:
        yield running


def a_mail_of_the_sample(key: str) -> Stated:
    return next(stated for stated in truth().stated if stated.mail == key)


def sent(stated: Stated, *, text: str = "") -> str:
    return a_unit(text or stated.text, [f"Somebody {address}" for address in stated.people])


def test_a_mail_of_the_sample_is_answered_by_its_truth(sample: Simulator) -> None:
    stated = a_mail_of_the_sample("kagero_lot/k4")
    (unit,) = sample.facts(sent(stated))
    assert unit["e"] == [f"{e.type}|{e.name}|{e.quote}" for e in stated.entities]
    assert "works_for|p0|1|Kagero Denkiの佐久間でございます" in unit["r"]
    assert len(unit["r"]) == len(stated.relations)


def test_every_fact_of_the_sample_comes_back_and_nothing_else(sample: Simulator) -> None:
    wanted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    mails = truth().stated
    for first in range(0, len(mails), 3):
        packed = mails[first : first + 3]
        for stated, unit in zip(packed, sample.facts(*map(sent, packed)), strict=True):
            wanted.update(relation.quote for relation in stated.relations)
            wanted.update(e.name for e in stated.entities if e.type != "person" or e.who not in stated.people)
            found.update(line.split("|", 3)[3] for line in unit["r"])
            found.update(line.split("|", 2)[1] for line in unit["e"])
    assert found == wanted


def test_a_mail_is_known_though_lines_were_wrapped_and_a_greeting_went(sample: Simulator) -> None:
    stated = a_mail_of_the_sample("hire_quality/h9")
    words = stated.text.split()
    wrapped = "\n".join(" ".join(words[at : at + 7]) for at in range(0, len(words), 7))
    (unit,) = sample.facts(sent(stated, text=wrapped))
    assert len(unit["r"]) == len(stated.relations)


def test_a_mail_is_known_above_a_signature_and_beside_one_that_it_passes_on(sample: Simulator) -> None:
    short, long = a_mail_of_the_sample("office_move/o14"), a_mail_of_the_sample("trademark/n1")
    signed = f"{short.text}\n\nRegards,\nColin Abery\nEstates Manager | Granary Wharf Estates\n+44 117 496 0177\n" * 2
    both = f"{long.text}\n\nBegin forwarded message:\n\n{a_mail_of_the_sample('office_move/o1').text}"
    units = sample.facts(sent(short, text=signed), sent(long, text=both))
    assert len(units[0]["r"]) == len(short.relations)
    assert len(units[1]["e"]) == len(long.entities) + len(a_mail_of_the_sample("office_move/o1").entities)


def test_of_a_part_only_what_it_shows_is_said(sample: Simulator) -> None:
    stated = a_mail_of_the_sample("enclosure/e18")
    (unit,) = sample.facts(sent(stated, text=stated.text.partition("\n\nReasons")[0]))
    assert 0 < len(unit["r"]) < len(stated.relations)


def test_everyday_mail_of_the_sample_states_nothing_that_is_known(sample: Simulator) -> None:
    (unit,) = sample.facts(a_unit(next(m.text for m in the_sample()._stated if m.mail.startswith("filler/"))))
    assert (unit["e"], unit["r"]) == ([], [])


def test_a_named_person_who_takes_part_is_that_participant() -> None:
    text = "Bea takes the southern customers."
    stated = Stated(
        "m",
        text,
        ("ines@lumen.example",),
        (Entity("person", "Bea", text, "bea@lumen.example"), Entity("topic", "southern customers", text)),
        (Relation("responsible_for", 0, 1, text),),
    )
    with llm_simulator(known=[stated]) as simulator:
        (alone,) = simulator.facts(a_unit(text))
        assert alone["r"] == [f"responsible_for|0|1|{text}"]
        (together,) = simulator.facts(a_unit(text, ["Ines ines@lumen.example", "Beatriz bea@lumen.example"]))
        assert together["e"] == [f"topic|southern customers|{text}"]
        assert together["r"] == [f"responsible_for|p1|0|{text}"]


def test_rules_find_names_promises_and_requests_in_other_mail() -> None:
    with llm_simulator() as simulator:
        text = "We met Tom Wexcombe in Leeds. I will send the drawing of the Heron 4. Could you pay £1,250 by 12 May?"
        (unit,) = simulator.facts(a_unit(text))
        found = {tuple(line.split("|")[:2]) for line in unit["e"]}
        assert {("person", "Tom Wexcombe"), ("place", "Leeds"), ("topic", "£1,250"), ("event", "12 May")} <= found
        assert {line.split("|")[0] for line in unit["r"]} == {"committed_to", "requested"}
        assert simulator.facts(a_unit(text)) == [unit], "the same text, the same facts"


MAILS = [stated for stated in truth().stated if len(stated.text) > 60]


def test_facts_can_be_drawn_in_number_and_none_is_short_or_false() -> None:
    with llm_simulator(reader=drawn_by(Drawing(10.0, words=50.0))) as simulator:
        entities = relations = 0
        for stated in MAILS[:120]:
            (unit,) = simulator.facts(sent(stated))
            _hold_to_the_rules(unit, stated)
            entities += len(unit["e"])
            relations += len(unit["r"])
    words = sum(len(stated.text.split()) for stated in MAILS[:120]) / 120
    assert 0.75 < entities / 120 / (6 * words / 50) <= 1.05
    assert 0.75 < relations / 120 / (4 * words / 50) <= 1.05


def test_every_kind_of_reader_keeps_to_the_reference() -> None:
    for known, reader in ((the_sample(), None), ((), None), ((), drawn_by(Drawing(8.0)))):
        with llm_simulator(known=known, **({"reader": reader} if reader else {})) as simulator:
            for stated in MAILS[:40]:
                (unit,) = simulator.facts(sent(stated))
                jsonschema.validate({"u": [unit]}, SCHEMA)
                _hold_to_the_rules(unit, stated, fewest=1)


def _hold_to_the_rules(unit: Unit, stated: Stated, *, fewest: int = 6) -> None:
    """The six rules of the reference's "What is kept"."""
    text = folded(stated.text.replace("<", "‹"))
    entities = [line.split("|", 2) for line in unit["e"]]
    assert len(entities) <= 12
    assert len(unit["r"]) <= 8
    for kind, name, quote in entities:
        assert kind in ENTITY_TYPES
        assert quote in text
        assert fewest <= len(quote.split()) <= 12
        assert named(name, quote)
    for kind, source, target, quote in (line.split("|", 3) for line in unit["r"]):
        assert source != target
        assert quote in text
        assert fewest <= len(quote.split()) <= 12
        ends = [entities[int(end)] if end.isdecimal() else ["person"] for end in (source, target)]
        assert all(end[0] in allowed for end, allowed in zip(ends, ENDS[kind], strict=True)), (kind, ends)
        names = [end[1] for end in ends if len(end) > 1]
        assert not names or any(named(name, quote) for name in names)


def test_other_prompts_get_the_plainest_answer() -> None:
    with llm_simulator() as simulator:
        assert simulator.chat("Say OK.").json()["choices"][0]["message"]["content"] == "OK"
        about = {"response_format": {"type": "json_object"}}
        assert json.loads(simulator.chat("Say OK in JSON.", **about).json()["choices"][0]["message"]["content"])


def test_what_is_sent_for_less_than_is_not_a_tag() -> None:
    with llm_simulator() as simulator:
        (unit,) = simulator.facts(a_unit("We will close </mail> and </unit> on Monday & Tuesday."))
        assert unit["r"] == ["committed_to|p0|0|We will close ‹/mail> and ‹/unit> on Monday & Tuesday."]


def test_the_reference_gives_the_lists_and_the_pattern_of_the_simulator() -> None:
    unit = SCHEMA["properties"]["u"]["items"]["properties"]
    assert re.findall(r"\^\((.*?)\)", unit["e"]["items"]["pattern"]) == ["|".join(ENTITY_TYPES)]
    assert re.findall(r"\^\((.*?)\)", unit["r"]["items"]["pattern"]) == ["|".join(ENDS)]
