"""What the schedule of a run with real processes may say, what is said of one that may not, and what is too slow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atom_torture.documents import ScheduleError
from atom_torture.processes.bounds import BOUNDS, ENOUGH, exceeded, exceeded_together, quantile, unjudged
from atom_torture.processes.campaign import Runs
from atom_torture.processes.mailbox import mails_of
from atom_torture.processes.schedule import STRIKES, from_seed, parse
from atom_torture.report import Report

SOUND: dict[str, Any] = json.loads(from_seed(7).as_line())
STRIKE = {"after": 3, "where": "worker", "kind": "kill"}


@pytest.mark.parametrize("seed", range(40))
def test_a_run_is_read_back_as_it_was_written(seed: int) -> None:
    schedule = from_seed(seed)
    assert parse(schedule.as_line()) == schedule == from_seed(seed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mails": 0}, "'mails' is a whole number from 1 to 5000, not 0"),
        ({"mails": True}, "'mails' is a whole number from 1 to 5000, not true"),
        ({"workers": 99}, "'workers' is a whole number from 1 to 8, not 99"),
        ({"page": 2.5}, "'page' is a whole number from 1 to 1000, not 2.5"),
        ({"seed": None}, "'seed' is a whole number"),
        ({"hurried": "yes"}, "'hurried' is true or false"),
        ({"events": []}, "a schedule has no 'events'"),
        ({"strikes": {}}, "'strikes' is a list"),
        ({"strikes": [3]}, "a strike is one JSON object"),
        ({"strikes": [{**STRIKE, "where": "moon"}]}, "'where' is one of worker, database"),
        ({"strikes": [{**STRIKE, "kind": "reset"}]}, "'kind' is one of kill, term, stop, starve, not \"reset\""),
        ({"strikes": [{**STRIKE, "after": -1}]}, "'after' is a whole number from 0"),
        ({"strikes": [{**STRIKE, "seconds": "long"}]}, "'seconds' is a number from 0 to 600, not \"long\""),
        ({"strikes": [{**STRIKE, "seconds": 1e9}]}, "'seconds' is a number from 0 to 600"),
        ({"strikes": [{**STRIKE, "size": 1.5}]}, "'size' is a whole number"),
        ({"strikes": [{**STRIKE, "bytes": 1}]}, "a strike has no 'bytes'"),
        ({"poison": ["malformed"]}, "'poison' is one of unreadable, refused"),
        ({"mails": 1, "poison": ["refused", "refused"]}, "there are more poisons than mails"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse(json.dumps(SOUND | change))
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("text", ["", "[1]", "null", '{"seed": 1', "seed=1"])
def test_what_is_no_object_is_no_run(text: str) -> None:
    with pytest.raises(ScheduleError, match="one JSON object"):
        parse(text)


def test_seeds_strike_everywhere_with_every_kind_and_some_wait_for_real_leases() -> None:
    drawn = [from_seed(seed) for seed in range(600)]
    kinds = {(strike.where, strike.kind) for schedule in drawn for strike in schedule.strikes}
    assert kinds == {(where, kind) for where, kinds in STRIKES.items() for kind in kinds}
    assert 0.15 < sum(not schedule.hurried for schedule in drawn) / len(drawn) < 0.35


def test_the_poison_of_a_run_lies_in_its_mailbox() -> None:
    schedule = next(from_seed(seed) for seed in range(99) if set(from_seed(seed).poison) == {"unreadable", "refused"})
    mails = mails_of(schedule)
    assert len(mails) == schedule.mails
    assert sorted(mail.poison for mail in mails if mail.poison) == sorted(schedule.poison)


def test_a_bound_holds_for_each_measurement_or_for_most() -> None:
    assert exceeded("drain", 10.0) == ""
    assert exceeded("drain", 10.1) == "drain: 10.1 s, and 10 s are allowed"
    assert exceeded("kill", 99.0) == "", "of these, one in twenty may be slow"
    assert exceeded_together({"kill": [22.0] * 39 + [99.0]}) == []
    assert exceeded_together({"kill": [22.0] * 19 + [99.0]}) == []
    assert exceeded_together({"kill": [22.0] * 18 + [99.0] * 2}) == ["kill: 99.0 s for 95%, and 30 s are allowed"]
    assert quantile((), 0.5) is None


def test_a_campaign_in_which_nothing_could_be_judged_is_no_success() -> None:
    measured = {name: [1.0] for name in BOUNDS if name != "drain"}
    assert unjudged(measured, ENOUGH) == ["drain: no time could be judged; let the machine be idle"]
    assert unjudged(measured, ENOUGH - 1) == [], "so few runs may have had nobody to drain"
    assert unjudged({**measured, "drain": [1.0]}, ENOUGH) == []


def test_the_report_tells_what_was_measured_and_how_a_failed_run_is_done_again(tmp_path: Path) -> None:
    runs = Runs()
    told = {"fired": {"worker/kill": 1}, "measured": {"kill": [21.5]}, "unjudged": {"drain": [12.0]}, "seconds": 9.0}
    runs.add({**told, "violations": ["a worker has left a process behind"], "schedule": from_seed(3).as_line()})
    Report(3, runs=runs).write(tmp_path)
    document = json.loads((tmp_path / "report.json").read_text())["processes"]
    assert (document["runs"], document["seeds"], document["fired"]) == (1, [3, 3], {"worker/kill": 1})
    assert document["measured_s"]["kill"]["p95"] == 21.5
    assert document["measured_s"]["drain"]["unjudged_max"] == 12.0
    assert "worker/term" in document["never_fired"]
    page = (tmp_path / "report.html").read_text()
    assert "a worker has left a process behind" in page
    assert "--replay-processes" in page


def test_a_campaign_fails_by_what_a_single_run_could_not_tell() -> None:
    runs = Runs()
    for seconds in (21.0, 44.0):
        runs.add({"fired": {}, "measured": {"kill": [seconds]}, "unjudged": {}, "seconds": 9.0, "violations": []})
    assert (runs.failed, runs.violations) == ([], ["kill: 44.0 s for 95%, and 30 s are allowed"])
