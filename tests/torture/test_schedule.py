"""What a schedule may say, and what is said of one that may not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atom_torture.documents import ScheduleError
from atom_torture.schedule import CALLS, MOVES, POINTS, from_seed, parse

SOUND: dict[str, Any] = json.loads(from_seed(7).as_line())


@pytest.mark.parametrize("seed", range(40))
def test_a_schedule_is_read_back_as_it_was_written(seed: int) -> None:
    schedule = from_seed(seed)
    assert parse(schedule.as_line()) == schedule == from_seed(seed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mails": 0}, "'mails' is a whole number from 1, not 0"),
        ({"mails": "many"}, "'mails' is a whole number from 1"),
        ({"mails": True}, "'mails' is a whole number from 1, not true"),
        ({"seed": -1}, "'seed' is a whole number from 0, not -1"),
        ({"hours": 3}, "a schedule has no 'hours'"),
        ({"events": {}}, "'events' is a list"),
        ({"events": [{"worker": 0, "point": "lunch", "nth": 1, "kind": "crash"}]}, "'point' is one of leased, claimed"),
        ({"events": [{"worker": 9, "point": "read", "nth": 1, "kind": "crash"}]}, "an event is of worker 9"),
        ({"events": [{"worker": 0, "point": "read", "nth": 1, "kind": "40001"}]}, "'kind' is one of crash, stop"),
        ({"events": [{"worker": 0, "point": "read", "kind": "crash"}]}, "'nth' is a whole number from 1, not null"),
        ({"calls": [{"nth": 1, "kind": "nap"}]}, "'kind' is one of unavailable, throttled"),
        ({"calls": [{"nth": 1, "kind": "slow", "on": "lunch"}]}, "'on' is one of page, places"),
        ({"calls": [{"nth": 1, "kind": "twice", "on": "count"}]}, "'kind' is one of unavailable, throttled, slow"),
        ({"calls": ["twice"]}, "a call is one JSON object"),
        ({"calls": [{"nth": 1, "kind": "twice", "often": 2}]}, "a call has no 'often'"),
        ({"poison": ["arsenic"]}, "'poison' is one of unreadable, malformed, refused"),
        ({"mails": 1, "poison": ["refused", "refused"]}, "there are more poisons than mails"),
        ({"neighbour": -1}, "'neighbour' is a whole number from 0, not -1"),
        ({"moves": [{"after": 1, "kind": "sell"}]}, "'kind' is one of pause, cancel, again"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse(json.dumps(SOUND | change))
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("text", ["", "[1]", "null", '{"seed": 1', "seed=1"])
def test_what_is_no_object_is_no_schedule(text: str) -> None:
    with pytest.raises(ScheduleError, match="one JSON object"):
        parse(text)


def test_seeds_reach_every_point_with_every_kind() -> None:
    schedules = [from_seed(seed) for seed in range(3_000)]
    events = {(event.point, event.kind) for schedule in schedules for event in schedule.events}
    calls = {(call.on, call.kind) for schedule in schedules for call in schedule.calls}
    assert events == {(point, kind) for point, kinds in POINTS.items() for kind in kinds}
    assert calls == {(on, kind) for on, kinds in CALLS.items() for kind in kinds}
    assert {move.kind for schedule in schedules for move in schedule.moves} == {*MOVES}
    assert {bool(schedule.neighbour) for schedule in schedules} == {True, False}
