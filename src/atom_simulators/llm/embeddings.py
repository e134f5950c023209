"""Embeddings that mean nothing and are always the same: unit vectors drawn from the text's digest."""

import base64
import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from .errors import invalid, missing, wrong_type

_DIMENSIONS = 1_536
_MOST_INPUTS = 2_048


def read(document: Mapping[str, Any]) -> tuple[list[str], int, bool]:
    """The texts, the length of a vector, and whether it goes out as base64. Raises ApiError (400)."""
    texts = document.get("input")
    if texts is None:
        raise missing("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise wrong_type("input", "a string or an array of strings", texts)
    if not texts or not all(texts):
        raise invalid("input", "'$.input' is invalid. Please check the API reference: the input must not be empty.")
    if len(texts) > _MOST_INPUTS:
        raise invalid(
            "input", f"Invalid 'input': array too long. Expected at most {_MOST_INPUTS}.", "array_above_max_length"
        )
    dimensions = document.get("dimensions", _DIMENSIONS)
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _DIMENSIONS:
        raise invalid("dimensions", f"Invalid value for 'dimensions' = {dimensions}. Must be from 1 to {_DIMENSIONS}.")
    encoding = document.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise invalid("encoding_format", f"Invalid value: '{encoding}'. Supported values are: 'float' and 'base64'.")
    return texts, dimensions, encoding == "base64"


def answer(model: str, texts: Sequence[str], dimensions: int, prompt: int, *, packed: bool) -> dict[str, Any]:
    """The list of vectors, in order."""
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": _shown(_vector(text, dimensions), packed=packed)}
            for place, text in enumerate(texts)
        ],
        "model": model,
        "usage": {"prompt_tokens": prompt, "total_tokens": prompt},
    }


def _vector(text: str, dimensions: int) -> list[float]:
    rng = Random(hashlib.sha256(text.encode("utf-8", "replace")).digest())  # noqa: S311 - variety, not secrecy
    drawn = [rng.gauss(0, 1) for _ in range(dimensions)]
    length = math.sqrt(sum(value * value for value in drawn))
    return [value / length for value in drawn]


def _shown(vector: list[float], *, packed: bool) -> list[float] | str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if packed else vector
