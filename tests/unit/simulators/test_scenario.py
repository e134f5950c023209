"""Fault scripts: what they may say, when a rule strikes, and the sentences for those that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atom_simulators.graph.faults import GRAMMAR
from atom_simulators.scenario import Grammar, ScenarioError, Script, parse_faults, read_script

FLY = Grammar(operations=frozenset({"start"}), details={"hang": {"seconds": "number"}}, any_status=True)


def strikes(rule: dict[str, Any], calls: int) -> list[int]:
    script = Script(parse_faults([{"on": "messages", "kind": "500", **rule}], GRAMMAR))
    return [call for call in range(1, calls + 1) if script.call("messages") is not None]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"at": [2, 5]}, [2, 5]),
        ({"at": 3}, [3]),
        ({"every": 3}, [3, 6]),
        ({"every": 2, "times": 2}, [2, 4]),
        ({"times": 1}, [1]),
        ({"at": [2, 5], "times": 1}, [2]),
    ],
)
def test_a_rule_strikes_at_the_calls_it_names(rule: dict[str, Any], expected: list[int]) -> None:
    assert strikes(rule, 6) == expected


def test_calls_are_counted_by_operation_and_together_for_any() -> None:
    rules = [{"on": "count", "kind": "500", "at": [2]}, {"on": "any", "kind": "503", "at": [3]}]
    script = Script(parse_faults(rules, GRAMMAR))
    found = [script.call(name) for name in ("count", "messages", "folders", "count")]
    assert [fault and fault.kind for fault in found] == [None, None, "503", "500"]


def test_a_kind_that_is_left_out_does_not_strike_and_is_not_used_up() -> None:
    script = Script(parse_faults([{"on": "message", "kind": "reset", "times": 1}], GRAMMAR))
    assert script.call("message", leave=frozenset({"reset"})) is None
    assert script.call("message") is not None


def test_numbers_may_stand_for_kinds() -> None:
    assert parse_faults([{"on": "any", "kind": 503}], GRAMMAR)[0].kind == "503"
    assert parse_faults({"faults": []}, GRAMMAR) == []


@pytest.mark.parametrize("kind", list(GRAMMAR.details))
def test_every_kind_of_the_contract_is_known(kind: str) -> None:
    needed = {"id": "x"} if kind == "corrupt_item" else {}
    assert parse_faults([{"on": "any", "kind": kind, **needed}], GRAMMAR)[0].kind == kind


def test_the_kinds_are_those_of_the_contract() -> None:
    statuses = {"429", "500", "502", "503", "504"}
    of_connections = {"hang", "slow", "reset", "truncate", "badjson"}
    of_pages = {"empty_page", "dup", "loop_next", "lost_next", "evil_next"}
    assert set(GRAMMAR.details) == statuses | of_connections | of_pages | {"expire_token", "corrupt_item"}
    assert GRAMMAR.operations == {"messages", "message", "count", "folders", "delta", "batch", "token"}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({}, "a fault script is a list of rules"),
        ("x", "a fault script is a list of rules"),
        ([1], "rule 1 is not an object"),
        ([{"kind": "500"}], 'rule 1: "on" is missing, but must be one of batch, count'),
        ([{"on": "mail", "kind": "500"}], 'rule 1: "on" is "mail"'),
        ([{"on": "any"}], 'rule 1: "kind" is missing'),
        ([{"on": "any", "kind": "501"}], 'rule 1: "kind" is "501", but must be one of 429'),
        (
            [{"on": "any", "kind": "500"}, {"on": "any", "kind": "hang", "secs": 3}],
            'rule 2: "hang" does not take "secs"',
        ),
        ([{"on": "any", "kind": "hang", "seconds": -1}], '"seconds" is -1, but must be a number from 0'),
        ([{"on": "any", "kind": "hang", "seconds": "3"}], '"seconds" is "3", but must be a number'),
        ([{"on": "any", "kind": "500", "at": [0]}], '"at" must be a list of call numbers from 1'),
        ([{"on": "any", "kind": "500", "at": []}], '"at" must be a list of call numbers from 1'),
        ([{"on": "any", "kind": "500", "at": [True]}], '"at" must be a list of call numbers from 1'),
        ([{"on": "any", "kind": "500", "every": 0}], '"every" is 0, but must be a whole number from 1'),
        ([{"on": "any", "kind": "500", "times": 1.5}], '"times" is 1.5, but must be a whole number from 1'),
        ([{"on": "any", "kind": "500", "at": [1], "every": 2}], '"at" and "every" exclude each other'),
        ([{"on": "any", "kind": "corrupt_item"}], '"corrupt_item" needs "id"'),
        ([{"on": "any", "kind": "corrupt_item", "id": ""}], '"id" is "", but must be text'),
        ([{"on": "count", "kind": "dup"}], '"dup" can happen on delta, folders, messages, any only, not on "count"'),
        ([{"on": "token", "kind": "corrupt_item", "id": "x"}], "can happen on"),
    ],
)
def test_a_wrong_script_is_answered_by_a_sentence(document: Any, sentence: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_faults(document, GRAMMAR)
    assert sentence in str(caught.value)


def test_a_grammar_may_take_every_http_status() -> None:
    assert parse_faults([{"on": "start", "kind": "418", "retry_after": 1}], FLY)[0].kind == "418"
    with pytest.raises(ScenarioError, match="or an HTTP status from 400 to 599"):
        parse_faults([{"on": "start", "kind": "399"}], FLY)


def test_a_script_is_read_from_a_file_and_errors_name_it(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    with pytest.raises(ScenarioError, match=r"faults\.json: cannot be read"):
        read_script(path, GRAMMAR)
    path.write_text("[")
    with pytest.raises(ScenarioError, match=r"faults\.json: is not JSON"):
        read_script(path, GRAMMAR)
    path.write_text(json.dumps([{"on": "any", "kind": "500"}]))
    assert read_script(path, GRAMMAR).call("messages") is not None
    path.write_text(json.dumps([{"on": "any", "kind": "boom"}]))
    with pytest.raises(ScenarioError, match=r'faults\.json: rule 1: "kind" is "boom"'):
        read_script(path, GRAMMAR)
