"""The reference is whole: commands, settings, fields, states, exit statuses and error codes are each in it."""

from __future__ import annotations

import re

import pytest

import source_words
from atom_backfill.cli.command import as_typed
from atom_backfill.cli.reference import STATUSES, every_command, pages
from atom_backfill.errors import AtomError
from atom_backfill.settings import SETTINGS

REFERENCE = source_words.ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


@pytest.mark.parametrize("name", pages())
def test_a_generated_page_is_what_would_be_written_now(name: str) -> None:
    assert page(name) == pages()[name], "run `make docs`"


def test_every_command_has_a_section_with_its_examples() -> None:
    text = page("cli.md")
    for name, command in every_command():
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert section, name
        assert all(f"$ {as_typed(example)}\n" in section for example in command.examples)


def test_every_command_that_is_named_is_there() -> None:
    there = {name.split()[0] for name, _ in every_command()}
    pages = [*source_words.ROOT.glob("*.md"), *(source_words.ROOT / "docs").rglob("*.md")]
    files = [*source_words.SOURCE.rglob("*.py"), *pages]
    called = re.compile(r"(?:`|^\$? *|run )atom-backfill ([a-z]+)", re.MULTILINE)
    named = {(word, path.name) for path in files for word in called.findall(path.read_text("utf-8"))}
    assert len(named) > 40
    assert {(word, where) for word, where in named if word not in there} == set()


def test_what_is_said_to_be_missing_is_missing() -> None:
    readme = (source_words.ROOT / "README.md").read_text("utf-8")
    section = readme.split("## What is not there yet\n")[1].split("\n## ")[0]
    there = {name.split()[0] for name, _ in every_command()}
    named = {word.split()[0] for word in re.findall(r"`([a-z ]+)`", section)}
    assert {"ask", "forget", "export", "serve"} <= named
    assert named & there == {"start"}, "it is named as what helps meanwhile"


def test_every_setting_is_listed() -> None:
    text = page("settings.md")
    assert [each.variable for each in SETTINGS if f"`{each.variable}`" not in text] == []


def test_every_exit_status_is_listed() -> None:
    def below(parent: type[AtomError]) -> set[int]:
        return {parent.exit_status}.union(*(below(child) for child in parent.__subclasses__()))

    listed = {int(status) for status, _ in STATUSES}
    assert listed == below(AtomError) | {0, 130}
    assert all(f"| {status} |" in page("cli.md") for status in listed)


def test_every_state_is_listed() -> None:
    states = source_words.checked_words("status") | source_words.checked_words("graph_status")
    text = page("job.md") + page("answers.md") + (source_words.ROOT / "docs" / "lifecycle.md").read_text("utf-8")
    assert {"running", "sign_in_needed", "key_rejected"} <= states
    assert [state for state in states if f"`{state}`" not in text] == []


def test_every_error_code_is_listed() -> None:
    listed = set(re.findall(r"`([a-z0-9_]+)`", page("errors.md")))
    codes = {code: where for code, where in source_words.error_codes().items() if not code.endswith("_")}
    assert len(codes) > 80
    assert {code: where for code, where in codes.items() if code not in listed} == {}
