"""When a relation held that can hold for one target at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.graph.dating import Mention, Period, periods

KESTREL, LUMEN, DELTA = (UUID(int=number) for number in (1, 2, 3))


def year(number: int) -> datetime:
    return datetime(number, 6, 1, tzinfo=UTC)


def mention(target: UUID, number: int | None, evidence: int = 0) -> Mention:
    return Mention(target, UUID(int=100 + (evidence or number or 0)), None if number is None else year(number))


def told(*found: Period) -> list[tuple[UUID, int, datetime | None, datetime | None]]:
    return [(each.target, each.ordinal, each.valid_from, each.invalid_at) for each in found]


def test_a_newer_fact_ends_the_older_one() -> None:
    found = periods([mention(LUMEN, 2022), mention(KESTREL, 2020), mention(KESTREL, 2021)])
    assert told(*found) == [(KESTREL, 0, year(2020), year(2022)), (LUMEN, 0, year(2022), None)]
    assert [len(each.evidence) for each in found] == [2, 1]


def test_what_comes_back_is_another_period_of_the_same_target() -> None:
    found = periods([mention(KESTREL, 2020), mention(LUMEN, 2022), mention(KESTREL, 2024)])
    assert told(*found) == [
        (KESTREL, 0, year(2020), year(2022)),
        (LUMEN, 0, year(2022), year(2024)),
        (KESTREL, 1, year(2024), None),
    ]


def test_a_mail_without_a_date_ends_nothing_and_is_evidence_of_the_latest_period() -> None:
    found = periods([mention(KESTREL, 2020), mention(LUMEN, 2022), mention(KESTREL, 2024), mention(KESTREL, None, 9)])
    assert [UUID(int=109) in each.evidence for each in found] == [False, False, True]


def test_what_no_mail_with_a_date_states_has_no_date() -> None:
    found = periods([mention(DELTA, None, 1), mention(KESTREL, 2020)])
    assert told(*found) == [(KESTREL, 0, year(2020), None), (DELTA, 0, None, None)]


def test_the_same_mail_told_twice_is_told_once() -> None:
    assert periods([mention(KESTREL, 2020)] * 3) == periods([mention(KESTREL, 2020)])


_MENTIONS = st.lists(
    st.builds(
        mention,
        st.sampled_from([KESTREL, LUMEN, DELTA]),
        st.none() | st.integers(2018, 2022),
        st.integers(1, 5),
    ),
    max_size=12,
)


@given(_MENTIONS, st.randoms())
def test_the_order_of_arrival_changes_nothing(mentions: list[Mention], rng: object) -> None:
    shuffled = list(mentions)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert periods(shuffled) == periods(mentions)


@given(_MENTIONS)
def test_at_any_moment_one_target_is_valid_at_most(mentions: list[Mention]) -> None:
    dated = [each for each in periods(mentions) if each.valid_from]
    for earlier, later in pairwise(dated):
        assert earlier.invalid_at == later.valid_from
        assert earlier.target != later.target
    assert all(each.invalid_at is None for each in dated[-1:])
    every = {each.evidence for each in mentions}
    assert every == {row for each in periods(mentions) for row in each.evidence}
