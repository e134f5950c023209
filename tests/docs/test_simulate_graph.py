"""docs/howto/simulate-graph.md names every flag, fault, switch and control of the Graph simulator."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from atom_simulators.graph.__main__ import _parser
from atom_simulators.graph.faults import GRAMMAR
from atom_simulators.graph.quirks import Quirks

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "simulate-graph.md").read_text("utf-8")


def test_every_flag_is_there() -> None:
    known = {flag for action in _parser()._actions for flag in action.option_strings if flag not in ("-h", "--help")}
    assert known == set(re.findall(r"(?<=`)--[a-z-]+", PAGE))


def test_every_fault_and_operation_is_there() -> None:
    words = set(re.findall(r"`([a-z0-9_]+)`", PAGE))
    assert set(GRAMMAR.details) <= words
    assert GRAMMAR.operations <= words


@pytest.mark.parametrize("switch", dataclasses.fields(Quirks), ids=lambda switch: switch.name)
def test_every_switch_is_there_with_its_default(switch: dataclasses.Field[object]) -> None:
    default = getattr(Quirks(), switch.name)
    shown = json.dumps(list(default) if isinstance(default, tuple) else default)
    assert f"| `{switch.name}` | `{shown}` |" in PAGE


def test_no_switch_is_there_that_does_not_exist() -> None:
    table = PAGE.split("## Switches", 1)[1]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == {field.name for field in dataclasses.fields(Quirks)}


def test_every_control_is_there() -> None:
    source = (Path(__file__).parents[2] / "src/atom_simulators/graph/control.py").read_text("utf-8")
    cases = re.findall(r'case \["(?:GET|PUT|POST|PATCH|DELETE)", (.+?)\]:', source)
    for case in cases:
        for word in re.findall(r'"([a-z-]+)"', case):
            assert re.search(rf"/_sim/\S*{word}", PAGE), word
