"""The models that the simulator serves: sizes and list prices."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """`context` and `most_output` in tokens, prices in dollars per million; None: nobody knows.

    A reasoning model takes `max_completion_tokens` only, and no temperature but 1.
    """

    name: str
    context: int
    most_output: int
    input_usd: float | None
    output_usd: float | None = None
    reasoning: bool = False
    embeds: bool = False

    def usd(self, prompt: int, completion: int) -> float | None:
        """What a call costs."""
        if self.input_usd is None:
            return None
        return (prompt * self.input_usd + completion * (self.output_usd or 0.0)) / 1_000_000


_KNOWN = (
    Model("gpt-4o-mini", 128_000, 16_384, 0.15, 0.60),
    Model("gpt-4o", 128_000, 16_384, 2.50, 10.00),
    Model("gpt-4.1-nano", 1_047_576, 32_768, 0.10, 0.40),
    Model("gpt-4.1-mini", 1_047_576, 32_768, 0.40, 1.60),
    Model("gpt-5-nano", 400_000, 128_000, 0.05, 0.40, reasoning=True),
    Model("gpt-5-mini", 400_000, 128_000, 0.25, 2.00, reasoning=True),
    Model("text-embedding-3-small", 8_191, 0, 0.02, 0.0, embeds=True),
    Model("local-model", 8_192, 4_096, None),
)


def known_models() -> Mapping[str, Model]:
    """By name. `local-model` stands for one that no price list has."""
    return {model.name: model for model in _KNOWN}
