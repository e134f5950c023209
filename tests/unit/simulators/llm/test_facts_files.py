"""Facts from a file: what it must hold, and what is said of one that does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atom_simulators.facts import FactsError, read_facts

MAIL: dict[str, Any] = {
    "text": "We will order forty lenses from Corvane Optics before the summer.",
    "people": ["Ines@lumen.example"],
    "entities": [
        {"type": "organization", "name": "Corvane Optics", "quote": "forty lenses from Corvane Optics"},
        {"type": "commitment", "name": "order forty lenses", "quote": "We will order forty lenses"},
    ],
    "relations": [
        {"type": "committed_to", "from": "ines@lumen.example", "to": 1, "quote": "We will order forty lenses"},
    ],
}


def test_a_file_of_facts_is_read(tmp_path: Path) -> None:
    (stated,) = read_facts(written(tmp_path, {"mails": [MAIL]}))
    assert stated.people == ("ines@lumen.example",)
    assert [entity.name for entity in stated.entities] == ["Corvane Optics", "order forty lenses"]
    assert (stated.relations[0].source, stated.relations[0].target) == ("ines@lumen.example", 1)


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("relations", MAIL["relations"] * 9, "more than 12 entities or 8 relations"),
        ("text", "Something else.", "does not occur in the mail"),
        ("people", [], "is not in the mail's headers"),
        ("entities", [], "there is no entity 1"),
        ("relations", [{"type": "loves", "from": 0, "to": 1, "quote": "We will order"}], "is no relation"),
        ("relations", [{"type": "owns", "from": 0, "to": 0, "quote": "Corvane Optics"}], "are the same"),
        (
            "relations",
            [{"type": "owns", "from": 1, "to": 0, "quote": "order forty lenses"}],
            "of type commitment",
        ),
        ("entities", [{"type": "organization", "name": "Corvane", "quote": "We will order"}], "does not occur in"),
        ("relations", [{"type": "owns", "from": 0}], "is no list of mails with their facts"),
    ],
)
def test_facts_that_break_a_rule_are_refused(tmp_path: Path, part: str, value: object, words: str) -> None:
    with pytest.raises(FactsError, match=words):
        read_facts(written(tmp_path, {"mails": [{**MAIL, part: value}]}))


@pytest.mark.parametrize("document", [[], {}, {"mails": 4}, {"mails": [4]}, "text"])
def test_what_is_no_list_of_mails_is_refused(tmp_path: Path, document: object) -> None:
    with pytest.raises(FactsError, match="is no list of mails"):
        read_facts(written(tmp_path, document))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match="cannot be read"):
        read_facts(tmp_path / "none.json")


def written(folder: Path, document: object) -> Path:
    file = folder / "facts.json"
    file.write_text(json.dumps(document), "utf-8")
    return file
