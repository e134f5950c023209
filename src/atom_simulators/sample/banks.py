"""Reads the banks of written pieces that everyday mail is put together from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files


@cache
def pieces(bank: str) -> Sequence[str]:
    """The pieces of banks/<bank>.txt in order; they are parted by lines of `%`, comments begin with `#`."""
    text = (files("atom_simulators.sample") / "banks" / f"{bank}.txt").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(piece.strip("\n") for piece in f"\n{lines}\n".split("\n%\n") if piece.strip())


@cache
def words(bank: str, label: str) -> Sequence[str]:
    """One labelled list of banks/<bank>.txt: the lines after `[label]`. Raises KeyError without such a label."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in "\n".join(pieces(bank)).splitlines():
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1], [])
        elif line.strip():
            current.append(line.strip())
    return tuple(sections[label])
