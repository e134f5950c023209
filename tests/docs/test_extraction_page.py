"""docs/reference/extraction.md is what is sent, to the letter."""

from __future__ import annotations

import json
import re
from pathlib import Path

from atom_backfill.graph.kinds import ENTITY_TYPES, RELATIONS
from atom_backfill.graph.prompt import PROMPT, SCHEMA

PAGE = (Path(__file__).parents[2] / "docs/reference/extraction.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    return next(text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if containing in text)


def test_the_prompt_is_the_pages() -> None:
    assert block("text", "You read e-mails") == PROMPT


def test_the_schema_is_the_pages() -> None:
    told, sent = json.loads(block("json", "additionalProperties")), SCHEMA
    assert told["properties"]["u"]["items"]["required"] == sent["properties"]["u"]["items"]["required"]

    def without_order(pattern: str) -> set[str]:
        return set(re.findall(r"[a-z_]{2,}", pattern))

    for lines in ("e", "r"):
        patterns = [each["properties"]["u"]["items"]["properties"][lines]["items"]["pattern"] for each in (told, sent)]
        assert without_order(patterns[0]) == without_order(patterns[1])


def test_the_tables_are_the_codes() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|(.*)\|$", PAGE, re.MULTILINE)
    named = {name for name, _ in rows}
    assert named == ENTITY_TYPES | set(RELATIONS)
    single = {name for name, rest in rows if rest.split("|")[-1].strip() == "yes"}
    assert single == {name for name, kind in RELATIONS.items() if kind.single}
