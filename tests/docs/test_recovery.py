"""docs/recovery.md quotes sentences as the product says them, and gives each a fix."""

from __future__ import annotations

import re

import source_words

PAGE = (source_words.ROOT / "docs" / "recovery.md").read_text("utf-8")
BLOCKS = re.findall(r"^> .+(?:\n> .+)*", PAGE, re.MULTILINE)
QUOTES = [" ".join(block.replace("\n> ", " ").removeprefix("> ").split()) for block in BLOCKS]


def test_every_quoted_sentence_is_the_product_s_own() -> None:
    said = source_words.sentences()
    assert len(QUOTES) > 15
    assert [quote for quote in QUOTES if not any(pattern.fullmatch(quote) for pattern in said)] == []


def test_every_symptom_has_a_fix() -> None:
    symptoms = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    assert [symptom.partition("\n")[0] for symptom in symptoms if "**Fix.**" not in symptom] == []
