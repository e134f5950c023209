"""Threads become units, units calls, and what was too much becomes less."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atom_backfill.graph.facts import Unit
from atom_backfill.graph.units import (
    CALL_CHARACTERS,
    CALL_UNITS,
    UNIT_CHARACTERS,
    UNIT_MAILS,
    MailText,
    UnitPlan,
    answer_key,
    build_unit,
    most_answer_tokens,
    most_tokens,
    new_spans,
    pack,
    plan_units,
    split_plan,
    too_short,
)
from atom_simulators.llm import tokens

THREAD = UUID(int=7)
FIRST = datetime(2025, 3, 3, 8, 0, tzinfo=UTC)
INES, TOMASZ, ODALYS = (
    ("Ines Roth", "ines@lumen.example"),
    ("Tomasz Reyl", "tomasz@lumen.example"),
    ("", "o@lumen.example"),
)


def a_mail(number: int, text: str, sender: tuple[str, str] = INES, reader: tuple[str, str] = TOMASZ) -> MailText:
    people = (("from", *sender), ("to", *reader))
    at = FIRST + timedelta(hours=number)
    return MailText(UUID(int=number + 1), f"h{number}", "AW: Re: Lot 24", at, people, text, ((0, len(text)),))


def built(plan: UnitPlan, mails: list[MailText]) -> Unit:
    unit = build_unit(plan, {mail.message_id: mail for mail in mails})
    assert unit is not None
    return unit


def test_a_thread_is_a_unit_with_its_mails_by_date_and_its_people() -> None:
    mails = [a_mail(1, "and the second mail", TOMASZ, INES), a_mail(0, "the first mail")]
    [plan] = plan_units(THREAD, mails)
    unit = built(plan, mails)
    assert [mail.text for mail in unit.mails] == ["the first mail", "and the second mail"]
    assert unit.subject == "Lot 24"
    assert [person.name for person in unit.participants] == ["Ines Roth", "Tomasz Reyl"]
    assert [(mail.author, mail.readers) for mail in unit.mails] == [(0, (1,)), (1, (0,))]


def test_who_took_part_before_is_carried_over() -> None:
    early, late = a_mail(0, "x" * 3000, ODALYS, INES), a_mail(1, "y" * 3000)
    first, second = plan_units(THREAD, [early, late])
    assert first.carried == ()
    people = built(second, [early, late]).participants
    assert [person.key for person in people] == ["ines@lumen.example", "tomasz@lumen.example", "o@lumen.example"]
    [later] = plan_units(THREAD, [late], earlier=[early], first=4)
    assert (later.carried, later.ordinal) == (second.carried, 4)


def test_a_unit_whose_mail_has_changed_is_none() -> None:
    mail = a_mail(0, "what it was")
    [plan] = plan_units(THREAD, [mail])
    assert build_unit(plan, {mail.message_id: replace(mail, content_hash="other")}) is None
    assert build_unit(plan, {}) is None


texts = st.text(st.sampled_from("ab é\n漢"), min_size=1, max_size=9_000)


@given(st.lists(texts, min_size=1, max_size=12))
def test_units_hold_every_character_once_and_none_is_too_large(said: list[str]) -> None:
    mails = [a_mail(number, text) for number, text in enumerate(said)]
    plans = plan_units(THREAD, mails)
    assert len({plan.unit_id for plan in plans}) == len(plans)
    covered: dict[UUID, str] = {}
    for plan in plans:
        assert plan.characters <= UNIT_CHARACTERS
        assert len(plan.mails) <= UNIT_MAILS
        for mail in built(plan, mails).mails:
            covered[mail.message_id] = covered.get(mail.message_id, "") + "".join(piece.text for piece in mail.pieces)
    assert covered == {mail.message_id: mail.text for mail in mails}


@given(st.lists(texts, min_size=1, max_size=5))
def test_halves_are_smaller_and_lose_nothing(said: list[str]) -> None:
    mails = [a_mail(number, text) for number, text in enumerate(said)]
    for plan in plan_units(THREAD, mails):
        parts = split_plan(plan, built(plan, mails))
        if parts is None:
            assert len(plan.mails) == 1
            assert plan.characters < 400
            continue
        assert sum(part.characters for part in parts) == plan.characters
        assert all(0 < part.characters < plan.characters for part in parts)
        assert len({plan.unit_id, *(part.unit_id for part in parts)}) == 3
        for part in parts:
            built(part, mails)


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([(500, False)] * 5, CALL_UNITS),
        ([(CALL_CHARACTERS, False), (1, False)], 1),
        ([(9_000, False)], 1),
        ([(10, True), (10, False)], 1),
        ([(10, False), (10, True), (10, False)], 1),
        ([(4_000, False), (400, False), (400, False)], 2),
    ],
)
def test_one_to_three_units_go_into_a_call(sizes: list[tuple[int, bool]], count: int) -> None:
    assert pack(sizes) == count


def test_what_adds_little_is_left_out_and_the_same_words_are_the_same() -> None:
    assert too_short(a_mail(0, "  " + "thanks " * 8 + "\n" * 40))
    assert not too_short(a_mail(0, "x" * 60))
    assert a_mail(0, "The  Lot\nis late").text_hash == a_mail(1, "the lot is late ").text_hash
    assert new_spans("ab  cd", [["new", 0, 2], ["quote", 2, 4], ["new", 2, 4]]) == ((0, 2),)


@settings(deadline=None)  # the first one loads the vocabulary
@given(st.text(max_size=300))
def test_no_text_has_more_tokens_than_are_set_aside_for_it(text: str) -> None:
    plain = text.encode("utf-8", "ignore").decode()
    assert tokens.of_prompt([plain], "") - tokens.of_prompt([""], "") <= most_tokens(plain)


def test_an_answer_is_kept_by_all_that_shapes_it() -> None:
    mails = [a_mail(0, "the lot is late"), a_mail(1, "the lot is late", TOMASZ, INES)]
    one, other = (built(plan_units(THREAD, [mail])[0], mails) for mail in mails)
    assert answer_key(one, "m") == answer_key(replace(one, unit_id=UUID(int=0)), "m")
    assert len({answer_key(one, "m"), answer_key(one, "n"), answer_key(other, "m")}) == 3
    assert most_answer_tokens([one], 1) == 2 * most_answer_tokens([one])
