"""docs/lifecycle.md draws the moves that jobs/states.py allows, each with who makes it."""

from __future__ import annotations

import re

import source_words
from atom_backfill.access.keys import KeyStatus
from atom_backfill.jobs.states import MOVES

PAGE = (source_words.ROOT / "docs" / "lifecycle.md").read_text("utf-8")
JOB, CHUNK, UNIT = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
ARROW = re.compile(r"^    (\S+) --> (\w+) : (.+) \(([\w ]+)\)$", re.MULTILINE)


def test_every_arrow_says_what_causes_it_and_who_makes_it() -> None:
    for diagram in (JOB, CHUNK, UNIT):
        assert len(ARROW.findall(diagram)) == diagram.count("-->")
    makers = {who for diagram in (JOB, CHUNK, UNIT) for _, _, _, who in ARROW.findall(diagram)}
    assert makers == {"user", "worker", "another worker", "reaper"}


def test_every_move_that_people_ask_for_is_drawn() -> None:
    drawn = {(cause.partition(",")[0], start, end) for start, end, cause, who in ARROW.findall(JOB) if who == "user"}
    asked = {(str(operation), str(start), str(end)) for (operation, start), end in MOVES.items() if start != end}
    assert asked - drawn == set()
    beyond = {("start", "[*]", "pending"), ("resume", "paused", "completed"), ("retry", "completed", "completed")}
    assert drawn - asked == beyond


def test_states_that_are_drawn_are_the_schema_s() -> None:
    shown = {state for start, end, _, _ in ARROW.findall(JOB) for state in (start, end)} - {"[*]"}
    of_others = {"connected", "sign_in_needed", "disconnected", *KeyStatus}
    assert shown == source_words.checked_words("status") - of_others
    of_calls = {"open", "settled", "lost"}
    shown = {state for start, end, _, _ in ARROW.findall(CHUNK + UNIT) for state in (start, end)} - {"[*]"}
    assert shown == source_words.checked_words("state") - of_calls
