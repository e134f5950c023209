"""What a model's answer has to hold to be believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.graph.extraction import MOST_ANSWER_CHARS, check, read_answer
from atom_backfill.graph.facts import End, Facts, Participant, Piece, Unit, UnitMail

INES = Participant("ines@lumen.example", "Ines Roth")
TOM = Participant("tom@lumen.example", "Tom Adair")
DESK = Participant("desk@lumen.example", "", shared=True)
FIRST, SECOND = UUID(int=1), UUID(int=2)
TEXT = "Tom Adair now works for Kestrel Ltd.\nWe recall lot 24-03 before March. Berta Klein leads Delta."


def unit(*texts: str) -> Unit:
    mails = tuple(
        UnitMail(UUID(int=number), date(2024, 5, number), 0, (1,), (Piece(text, 100),))
        for number, text in enumerate(texts or (TEXT,), start=1)
    )
    return Unit(UUID(int=9), "Lot 24-03", (INES, TOM, DESK), mails)


def checked(e: list[object], r: list[object] | None = None, *texts: str) -> Facts:
    return check(unit(*texts), {"n": 0, "e": e, "r": r or []})


KESTREL = "organization|Kestrel Ltd|now works for Kestrel Ltd"
RECALL = "commitment|recall lot 24-03|We recall lot 24-03 before March"
BERTA = "person|Berta Klein|Berta Klein leads Delta"
DELTA = "project|Delta|Berta Klein leads Delta"


def test_what_the_mail_says_is_kept_with_its_place_in_the_rendering() -> None:
    facts = checked([KESTREL], ["works_for|p1|0|Tom Adair now works for Kestrel Ltd"])
    [entity], [relation] = facts.entities, facts.relations
    assert (entity.type, entity.name) == ("organization", "Kestrel Ltd")
    [evidence] = entity.evidence
    assert TEXT[evidence.start - 100 : evidence.end - 100] == evidence.quote == "now works for Kestrel Ltd"
    assert (relation.source, relation.target) == (End(1, participant=True), End(0, participant=False))
    assert relation.evidence.message_id == FIRST
    assert not facts.dropped


def test_the_quote_that_is_kept_is_the_mails_and_not_the_models() -> None:
    facts = checked(["event|fair|see you at the fair"], [], "see you\n at   the fair")
    assert facts.entities[0].evidence[0].quote == "see you\n at   the fair"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (7, "bad_shape"),
        (None, "bad_shape"),
        ("organization|Kestrel Ltd", "bad_shape"),
        ("company|Kestrel Ltd|now works for Kestrel Ltd", "unknown_type"),
        ("shared_address|Kestrel Ltd|now works for Kestrel Ltd", "unknown_type"),
        ("organization|  |now works for Kestrel Ltd", "name_length"),
        (f"organization|{'K' * 81}|now works for Kestrel Ltd", "name_length"),
        ("organization|Kestrel Ltd|", "quote_length"),
        (
            "organization|Kestrel Ltd|Tom Adair now works for Kestrel Ltd. We recall lot 24-03 before March.",
            "quote_length",
        ),
        ("organization|Kestrel Ltd|has left Kestrel Ltd for good", "no_such_quote"),
        ("organization|Falcon Ltd|now works for Kestrel Ltd", "name_not_in_quote"),
    ],
)
def test_an_entity_that_the_mail_does_not_bear_out_falls_with_its_reason(line: object, reason: str) -> None:
    facts = checked([line])
    assert (facts.entities, facts.dropped) == ((), {reason: 1})
    assert facts.empty


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("works_for|p1|0", "bad_shape"),
        ("knows|p1|0|now works for Kestrel Ltd", "unknown_type"),
        ("works_for|p9|0|now works for Kestrel Ltd", "bad_end"),
        ("works_for|p1|9|now works for Kestrel Ltd", "bad_end"),
        ("works_for|Tom|0|now works for Kestrel Ltd", "bad_end"),
        ("works_for|-1|0|now works for Kestrel Ltd", "bad_end"),
        ("works_for|p1|1|now works for Kestrel Ltd", "end_fell"),
        ("owns|0|0|now works for Kestrel Ltd", "same_end"),
        ("works_for|0|p1|now works for Kestrel Ltd", "ends_of_other_types"),
        ("reports_to|p1|p2|now works for Kestrel Ltd", "ends_of_other_types"),
        ("works_for|p1|0|has always worked for Kestrel Ltd", "no_such_quote"),
        ("works_for|p1|0|We recall lot 24-03 before March", "end_not_in_quote"),
    ],
)
def test_a_relation_that_the_mail_does_not_bear_out_falls_with_its_reason(line: str, reason: str) -> None:
    facts = checked([KESTREL, "topic|weather|nice weather today"], [line])
    assert facts.relations == ()
    assert facts.dropped == {"no_such_quote": 2} if reason == "no_such_quote" else {"no_such_quote": 1, reason: 1}


def test_a_quote_may_hold_bars() -> None:
    facts = checked(["product|A|B|C valve|the A|B|C valve"], [], "the A|B|C valve")
    assert facts.dropped == {"no_such_quote": 1}
    facts = checked(["product|valve|the A|B|C valve"], [], "the A|B|C valve")
    assert facts.entities[0].evidence[0].quote == "the A|B|C valve"


def test_the_first_mail_that_says_so_is_the_evidence() -> None:
    facts = checked(["event|fair|at the fair"], [], "nothing of it", "see you at the fair")
    assert facts.entities[0].evidence[0].message_id == SECOND


def test_no_quote_runs_over_what_stood_between_two_pieces() -> None:
    mail = UnitMail(FIRST, None, 0, (), (Piece("we meet at", 0), Piece("the fair", 400)))
    facts = check(Unit(UUID(int=9), "", (INES,), (mail,)), {"e": ["event|fair|we meet at the fair"], "r": []})
    assert facts.dropped == {"no_such_quote": 1}


def test_a_person_of_a_participants_name_is_that_participant() -> None:
    facts = checked(
        ["person|tom adair|Tom Adair now works", KESTREL], ["works_for|0|1|Tom Adair now works for Kestrel Ltd"]
    )
    assert [entity.type for entity in facts.entities] == ["organization"]
    assert facts.relations[0].source == End(1, participant=True)


def test_a_name_that_comes_twice_is_one_entity_with_both_places() -> None:
    lines = ["event|fair|at the fair", "event|Fair|Fair is over"]
    facts = checked(lines, ["about|1|p1|Fair is over"], "see you at the fair", "The Fair is over")
    [entity] = facts.entities
    assert [evidence.message_id for evidence in entity.evidence] == [FIRST, SECOND]
    assert facts.relations[0].source == End(0, participant=False)


def test_a_shared_address_is_an_actor_and_no_person() -> None:
    facts = checked([RECALL], ["decided|p2|0|We recall lot 24-03 before March"])
    assert len(facts.relations) == 1


def test_of_too_many_the_first_count() -> None:
    text = " ".join(f"thing{number}" for number in range(40))
    facts = checked([f"topic|thing{number}|thing{number}" for number in range(40)], [], text)
    assert [entity.name for entity in facts.entities] == [f"thing{number}" for number in range(12)]
    assert facts.dropped == {"too_many": 28}


def test_a_relation_said_twice_is_kept_once() -> None:
    line = "responsible_for|0|1|Berta Klein leads Delta"
    facts = checked([BERTA, DELTA], [line, line])
    assert len(facts.relations) == 1
    assert not facts.dropped


@pytest.mark.parametrize(
    "answer",
    [
        '{"u":[{"n":0,"e":[],"r":[]}]}',
        'Sure! Here it is:\n```json\n{"u":[{"n":0,"e":[],"r":[]}]}\n```\nAnything else?',
        '{"thought": {"a": 1}} {"u":[{"n":0,"e":[],"r":[]}, {"n":0,"e":["x"]}, {"n":"0"}, 7, {"n": true}]}',
        '{"u":[{"n":0,"e":[],"r":[]}], "u":[{"n":0,"e":[],"r":[]}], "x": NaN}',
    ],
)
def test_an_answer_is_read_whatever_stands_around_it(answer: str) -> None:
    assert read_answer(answer) == {0: {"n": 0, "e": [], "r": []}}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "[]",
        '{"u": {}}',
        '{"u":[{"n":0,"e":["organ',
        "I cannot help with that.",
        "{" * 100_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        "<html><body>Bad gateway</body></html>",
        '{"u":[]}' + " " * MOST_ANSWER_CHARS,
    ],
)
def test_what_is_no_answer_is_none(answer: str) -> None:
    assert read_answer(answer) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("unerx"), inner, max_size=4),
    max_leaves=30,
)


@given(_JSON)
def test_nothing_that_a_model_says_raises(said: object) -> None:
    for number, answer in (read_answer(json.dumps({"u": [said, {"n": 0, "e": said, "r": said}]})) or {}).items():
        assert isinstance(number, int)
        assert isinstance(answer, Mapping)
        check(unit(), answer)


_ENTITIES = st.lists(st.sampled_from([KESTREL, RECALL, BERTA, DELTA, "topic|x|y", "person|Tom Adair|Tom Adair now"]))
_ENDS = st.sampled_from(["p0", "p1", "p2", "p7", "0", "1", "2", "9", "x"])


@given(_ENTITIES, st.lists(st.tuples(_ENDS, _ENDS)))
def test_whatever_is_kept_can_be_shown(entities: list[str], ends: list[tuple[str, str]]) -> None:
    facts = checked([*entities], [f"about|{a}|{b}|Berta Klein leads Delta" for a, b in ends])
    shown = [evidence for entity in facts.entities for evidence in entity.evidence]
    for evidence in (*shown, *(relation.evidence for relation in facts.relations)):
        assert TEXT[evidence.start - 100 : evidence.end - 100] == evidence.quote
    for relation in facts.relations:
        assert relation.source != relation.target
        assert all(end.participant or end.place < len(facts.entities) for end in (relation.source, relation.target))
