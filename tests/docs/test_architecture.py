"""docs/ARCHITECTURE.md shows the rooms and layers that there are."""

from __future__ import annotations

import configparser
import re

import source_words

PAGE = (source_words.ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
TREE, LAYERS, DATA = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def test_every_room_stands_in_the_tree() -> None:
    product = TREE.split("src/atom_simulators/")[0]
    shown = set(re.findall(r"^  (\w+)(?:/|\.py) ", product, re.MULTILINE))
    entries = [path for path in source_words.SOURCE.iterdir() if not path.name.startswith("_")]
    assert shown == {path.stem for path in entries}


def test_every_module_stands_in_the_tree() -> None:
    rooms = re.split(r"^ +([\w/]+)/ ", TREE.split("src/atom_simulators/")[0], flags=re.MULTILINE)[1:]
    told = {room: set(re.findall(r"\w+", text)) for room, text in zip(rooms[::2], rooms[1::2], strict=True)}
    modules = [path for path in source_words.SOURCE.rglob("*/*.py") if not path.name.startswith("_")]
    assert len(modules) > 100
    assert [path.name for path in modules if path.stem not in told[path.parent.name]] == []


def test_the_layers_are_the_linter_s() -> None:
    linter = configparser.ConfigParser()
    linter.read(source_words.ROOT / "importlinter.ini", "utf-8")
    layers = linter["importlinter:contract:rooms"]["layers"].strip()
    there = [_without_absent(layer) for layer in layers.splitlines()]
    assert [layer for layer in there if layer] == LAYERS.strip().splitlines()


def test_every_table_stands_in_the_picture() -> None:
    tables = set(re.findall(r"^CREATE TABLE (\w+)", source_words.SCHEMA, re.MULTILINE))
    tables -= set(re.findall(r"^DROP TABLE (\w+)", source_words.SCHEMA, re.MULTILINE))
    assert tables - set(re.findall(r"\w+", DATA)) == set()


def _without_absent(layer: str) -> str:
    """Drop rooms in parentheses, which are not there yet."""
    return " | ".join(room for room in layer.split(" | ") if not room.startswith("("))
