"""What a model's answer is, before anybody looks into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Finish(StrEnum):
    """How an answer ended. All but `whole` are states to record and act on, never taken for success."""

    WHOLE = "whole"
    CUT_OFF = "cut_off"
    REFUSED = "refused"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    """The question was more than the model takes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Tokens as the server counts them; None where it does not say. `headers`: by lower-case name."""

    text: str
    finish: Finish
    input_tokens: int | None
    output_tokens: int | None
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)
