"""docs/howto/simulate-llm.md names every flag, fault, form, model and control; the reference is the simulator's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

from atom_simulators.facts import ENDS, ENTITY_TYPES, SINGLE_VALUED
from atom_simulators.llm import tokens
from atom_simulators.llm.__main__ import _parser
from atom_simulators.llm.faults import EMPTY, GRAMMAR, MALFORMED
from atom_simulators.llm.models import known_models
from atom_simulators.sample import truth
from llm_simulator import PROMPT, REFERENCE, SCHEMA

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "howto" / "simulate-llm.md").read_text("utf-8")


def test_every_flag_is_there() -> None:
    known = {flag for action in _parser()._actions for flag in action.option_strings if flag not in ("-h", "--help")}
    assert known | {"--truth"} == set(re.findall(r"(?<=`)--[a-z-]+", PAGE))


def test_every_fault_form_and_operation_is_there() -> None:
    words = set(re.findall(r"`([a-z0-9_]+)`", PAGE))
    assert set(GRAMMAR.details) | GRAMMAR.operations | {*EMPTY, *MALFORMED} <= words
    assert {key for keys in GRAMMAR.details.values() for key in keys} <= words


def test_every_model_and_control_is_there() -> None:
    assert [name for name in known_models() if name not in PAGE] == []
    source = (ROOT / "src/atom_simulators/llm/server.py").read_text("utf-8")
    controls = re.findall(r'case \["(\w+)", "(\w+)"\]:', source)
    assert len(controls) >= 2
    assert [control for control in controls if f"{control[0]} /_simulator/{control[1]}" not in PAGE] == []


def test_the_truth_has_the_numbers_that_are_told() -> None:
    stated = truth().stated
    entities, relations = sum(len(mail.entities) for mail in stated), sum(len(mail.relations) for mail in stated)
    mails = sum(bool(mail.entities or mail.relations) for mail in stated)
    assert f"{entities} entities and {relations} relations, by hand, in {mails} of its 800 mails" in " ".join(
        PAGE.split()
    )


def test_the_reference_has_the_simulator_s_lists() -> None:
    tables = REFERENCE.split("## Entities")[1]
    assert tuple(re.findall(r"^\| `(\w+)` \| [a-z]", tables.split("## Relations")[0], re.MULTILINE)) == ENTITY_TYPES
    rows = re.findall(r"^\| `(\w+)` \| .* \| (yes)? ?\|$", tables.split("## Relations")[1], re.MULTILINE)
    assert [name for name, _ in rows] == [*ENDS]
    assert {name for name, single in rows if single} == SINGLE_VALUED


def test_the_prompt_has_every_type_and_the_tokens_that_are_told() -> None:
    assert all(re.search(rf"\b{name}\b", PROMPT) for name in (*ENTITY_TYPES, *ENDS))
    size = tokens.count(PROMPT) + tokens.count(json.dumps(SCHEMA, separators=(",", ":")))
    assert f"Prompt and schema together are {size} tokens" in REFERENCE
