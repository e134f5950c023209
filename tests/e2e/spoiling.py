"""A simulator that sends bytes which are no answer in place of some answers, over HTTP as it sends all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atom_simulators.graph.journal import Ticket
from atom_simulators.graph.wire import Answer, Call
from graph_world import GraphWorld

Spoil = Callable[[str, list[Any]], bytes | None]
"""From the operation and the messages that an honest answer holds to the bytes sent instead; None sends the answer."""


def spoil(world: GraphWorld, instead: Spoil) -> None:
    """Spoil answers that hold whole messages, of lists and single ones, from now on."""
    honest = world.service.answer

    async def answer(call: Call, ticket: Ticket) -> Answer:
        given = await honest(call, ticket)
        content = given.content if isinstance(given.content, dict) else {}
        whole = [item for item in content.get("value", [content]) if isinstance(item, dict) and "body" in item]
        body = instead(ticket.operation, whole) if whole else None
        if body is not None:
            given.raw = body
        return given

    world.service.answer = answer  # type: ignore[method-assign]
