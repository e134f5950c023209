"""Counts tokens as the real service does: byte-pair encoding with the public vocabulary o200k_base."""

import binascii
import gzip
from functools import cache, lru_cache
from importlib.resources import files

from tokenizers import Regex, pre_tokenizers

# How tiktoken 0.14 cuts a text for this encoding (tiktoken_ext/openai_public.py).
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_PIECES = "|".join(
    (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_ENDING}",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_ENDING}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_COUNTED = 400_000
_MESSAGE, _ANSWER = 3, 3
"""What the service adds for each message, and for the start of the answer (OpenAI's cookbook, "count tokens")."""


def count(text: str) -> int:
    """The number of tokens of a text; lone surrogates count as question marks.

    Of more than 400,000 letters the first are counted and the rest taken to be like them: no model writes as much.
    """
    if len(text) > _COUNTED:
        return count(text[:_COUNTED]) * len(text) // _COUNTED
    return sum(_pieces(piece.encode("utf-8", "replace")) for piece, _ in _cutter().pre_tokenize_str(_whole(text)))


def cut(text: str, tokens: int) -> str:
    """The longest beginning of a text that has no more than so many tokens, to a piece."""
    kept = 0
    for piece, (start, _) in _cutter().pre_tokenize_str(_whole(text)):
        kept += _pieces(piece.encode("utf-8", "replace"))
        if kept > tokens:
            return text[:start]
    return text


def of_prompt(contents: list[str], schema: str = "") -> int:
    """The prompt's tokens: each message's content with its frame, and the schema, which the service bills too."""
    return sum(count(content) + _MESSAGE for content in contents) + _ANSWER + (count(schema) if schema else 0)


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def _cutter() -> pre_tokenizers.Split:
    return pre_tokenizers.Split(Regex(_PIECES), "isolated")


@cache
def _ranks() -> dict[bytes, int]:
    packed = (files("atom_simulators.llm") / "o200k_base.tiktoken.gz").read_bytes()
    words = gzip.decompress(packed).split()
    return dict(zip(map(binascii.a2b_base64, words[::2]), map(int, words[1::2]), strict=True))


@lru_cache(maxsize=100_000)
def _pieces(piece: bytes) -> int:
    ranks = _ranks()
    if piece in ranks:
        return 1
    # A longer run (a line of dashes, base64) would take time by its square; no merge crosses so far anyway.
    if len(piece) > 400:
        return sum(_pieces(piece[at : at + 400]) for at in range(0, len(piece), 400))
    parts = [piece[at : at + 1] for at in range(len(piece))]
    while len(parts) > 1:
        rank, at = min((ranks.get(parts[i] + parts[i + 1], 1 << 30), i) for i in range(len(parts) - 1))
        if rank == 1 << 30:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return len(parts)
