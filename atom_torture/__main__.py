"""`python -m atom_torture`: tortures the product, and reports.

Exits with 1 where a promise was broken or a planted bug was not caught, with 2 where the arguments are wrong or the
harness itself broke.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from atom_torture.campaign import BrokenHarnessError, Caught, Outcome, replay, run_campaign
from atom_torture.documents import ScheduleError
from atom_torture.plants import PLANTS, Plant, WitheredError, planted
from atom_torture.processes import plants as processes
from atom_torture.processes import schedule as schedules_of_processes
from atom_torture.processes.campaign import Runs, replay_processes, run_processes
from atom_torture.report import Report
from atom_torture.schedule import from_seed, parse
from atom_torture.tested_plants import PLANTS as TESTED_PLANTS
from atom_torture.tested_plants import caught_by_its_test

PATIENCE = 150
"""Schedules within which every planted bug must be caught."""


def main(arguments: list[str]) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m atom_torture", description=__doc__)
    parser.add_argument("--schedules", type=_whole, default=300, metavar="N", help="how many (default: 300)")
    parser.add_argument("--processes", type=_whole, default=0, metavar="N", help="how many runs with real processes")
    parser.add_argument("--from", type=_whole, default=0, dest="first", metavar="SEED", help="the first seed")
    parser.add_argument("--jobs", type=_whole, default=2, metavar="N", help="processes at once (default: 2)")
    parser.add_argument("--plants", action="store_true", help="also plant each known bug and see it caught")
    parser.add_argument("--plant", type=_words, metavar="WORDS", help="only plant the bugs whose name has these words")
    parser.add_argument("--replay", metavar="SCHEDULE", help="run one schedule: a seed, or its JSON")
    parser.add_argument("--replay-processes", metavar="SCHEDULE", help="do one run with real processes, the same way")
    parser.add_argument("--report", type=Path, default=Path("atom_torture/report"), metavar="FOLDER")
    asked = parser.parse_args(arguments)
    # Told to end, it ends its processes, and they their servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if asked.replay_processes:
            return _replay_processes(asked.replay_processes)
        return _replay(asked.replay) if asked.replay else _run(asked)
    except (ScheduleError, WitheredError, BrokenHarnessError) as error:
        print(error, file=sys.stderr)
        return 2


def _run(asked: argparse.Namespace) -> int:
    report = Report(asked.first)
    outcome, runs = report.outcome, report.runs
    try:
        began = time.monotonic()
        if asked.schedules and not asked.plant:
            run_campaign(asked.first, asked.schedules, outcome, jobs=asked.jobs, told=_tell)
            print(file=sys.stderr)
        report.seconds = time.monotonic() - began
        if asked.processes and not asked.plant:
            run_processes(asked.first, asked.processes, runs, jobs=asked.jobs, told=_tell_runs)
        for caught in _plant_all(asked):
            report.caught.append(caught)
    finally:
        # Also of a campaign that was broken off.
        report.write(asked.report)
    for option, failed in (("replay", outcome.failed), ("replay-processes", runs.failed)):
        for schedule, violations in failed:
            print(f"{'; '.join(violations)}\n  python -m atom_torture --{option} '{schedule}'")
    document = report.as_json()
    told = {name: document[name] for name in ("schedules", "schedules_a_minute", "recovery_s")}
    print(json.dumps(told | {"runs": runs.runs, "measured_s": runs.measured}))
    return 1 if outcome.failed or runs.violations or any(each.after is None for each in report.caught) else 0


def _plant_all(asked: argparse.Namespace) -> Iterator[Caught]:
    """Plant what is asked for, one bug after the other."""
    yield from (_plant(each, asked) for each in PLANTS if _is_asked(each, asked))
    yield from (_plant_in_processes(each) for each in processes.PLANTS if _is_asked(each.plant, asked))
    yield from (_told(caught_by_its_test(each)) for each in TESTED_PLANTS if _is_asked(each.plant, asked))


def _is_asked(plant: Plant, asked: argparse.Namespace) -> bool:
    return bool(asked.plants or (asked.plant and asked.plant in plant.name))


def _plant(plant: Plant, asked: argparse.Namespace) -> Caught:
    outcome = Outcome()
    with planted(plant) as product:
        run_campaign(asked.first, PATIENCE, outcome, jobs=asked.jobs, product=product, until_caught=True)
    return _caught(plant, outcome.schedules, outcome.failed)


def _plant_in_processes(each: processes.Planted) -> Caught:
    with planted(each.plant) as product:
        for times in range(1, processes.TIMES + 1):  # noqa: B007
            runs = replay_processes(each.schedule.as_line(), product=product)
            if runs.failed:
                break
    return _caught(each.plant, times, runs.failed)


def _caught(plant: Plant, after: int, failed: list[tuple[str, list[str]]]) -> Caught:
    return _told(Caught(plant.name, after if failed else None, failed[0][1][0] if failed else ""))


def _told(caught: Caught) -> Caught:
    print(f"{caught.after or 'NOT CAUGHT'}\t{caught.name}\t{caught.by}", file=sys.stderr)
    return caught


def _replay(written: str) -> int:
    schedule = from_seed(int(written)) if written.isdecimal() else parse(written)
    outcome = replay(schedule.as_line())
    for _, violations in outcome.failed:
        print("\n".join(violations))
    print(json.dumps({"violations": len(outcome.failed), "fired": outcome.fired}))
    return 1 if outcome.failed else 0


def _replay_processes(written: str) -> int:
    schedule = (
        schedules_of_processes.from_seed(int(written)) if written.isdecimal() else schedules_of_processes.parse(written)
    )
    runs = replay_processes(schedule.as_line())
    print("\n".join(runs.violations))
    print(json.dumps({"violations": len(runs.violations), "fired": runs.fired, "measured": runs.measured}))
    return 1 if runs.violations else 0


def _tell_runs(runs: Runs) -> None:
    print(f"{runs.runs} runs, {len(runs.failed)} failed", file=sys.stderr, flush=True)


def _tell(outcome: Outcome) -> None:
    if sys.stderr.isatty() or outcome.schedules % 50 == 0:
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{outcome.schedules} schedules, {len(outcome.failed)} failed", end=end, file=sys.stderr, flush=True)


def _words(text: str) -> str:
    plants = [*PLANTS, *(each.plant for each in (*processes.PLANTS, *TESTED_PLANTS))]
    if not any(text in plant.name for plant in plants):
        raise argparse.ArgumentTypeError(f"no planted bug has {text!r} in its name")
    return text


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
