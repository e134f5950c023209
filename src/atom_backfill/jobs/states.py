"""Which operation is allowed in which state, and what it leads to. Pure; docs/lifecycle.md is its picture."""

from __future__ import annotations

from enum import StrEnum

from atom_backfill.errors import RefusedError
from atom_backfill.jobs.job import GraphStatus as G
from atom_backfill.jobs.job import JobStatus as S


class Operation(StrEnum):
    """What people ask of a job. `retry` is about what was quarantined and never takes a completion back."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"


MOVES: dict[tuple[Operation, S], S] = {
    (Operation.PAUSE, S.PENDING): S.PAUSED,
    (Operation.PAUSE, S.RUNNING): S.PAUSED,
    (Operation.PAUSE, S.PAUSED): S.PAUSED,
    (Operation.RESUME, S.PENDING): S.PENDING,
    (Operation.RESUME, S.RUNNING): S.RUNNING,
    (Operation.RESUME, S.PAUSED): S.PENDING,
    (Operation.RESUME, S.FAILED): S.PENDING,
    (Operation.CANCEL, S.PENDING): S.CANCELLED,
    (Operation.CANCEL, S.RUNNING): S.CANCELLED,
    (Operation.CANCEL, S.PAUSED): S.CANCELLED,
    (Operation.CANCEL, S.FAILED): S.CANCELLED,
    (Operation.CANCEL, S.CANCELLED): S.CANCELLED,
    (Operation.RETRY, S.PENDING): S.PENDING,
    (Operation.RETRY, S.RUNNING): S.RUNNING,
    (Operation.RETRY, S.COMPLETED): S.COMPLETED,
}
"""Missing cells are refused. Repeating a move that has happened is harmless."""

WHY_NOT: dict[tuple[Operation, S], str] = {
    (Operation.RETRY, S.PAUSED): "it is paused; `resume` it first",
    (Operation.RETRY, S.FAILED): "it has failed; `resume` goes on with everything that is left",
    (Operation.RETRY, S.CANCELLED): "it was cancelled; `start` reads what is missing",
    (Operation.RESUME, S.CANCELLED): "it was cancelled; `start` reads what is missing",
    (Operation.RESUME, S.COMPLETED): "it is completed; `start` reads what has come since",
    (Operation.PAUSE, S.FAILED): "it has failed, so nothing runs; `cancel` or `resume` it",
    (Operation.PAUSE, S.CANCELLED): "it was cancelled, so nothing runs",
    (Operation.PAUSE, S.COMPLETED): "it is completed, so nothing runs",
    (Operation.CANCEL, S.COMPLETED): "it is completed, and completion is never taken back",
}

_GOES_ON = (G.PENDING, G.RUNNING, G.WAITING_FOR_KEY)
_OPEN = (*_GOES_ON, G.KEY_REJECTED, G.BUDGET_REACHED)
GRAPH_MOVES: dict[tuple[Operation, G], G] = {
    **{(Operation.PAUSE, status): G.PAUSED for status in (*_OPEN, G.PAUSED)},
    **{(Operation.RESUME, status): status for status in _OPEN},
    **{(Operation.RESUME, status): G.WAITING_FOR_KEY for status in (G.PAUSED, G.FAILED)},
    **{(Operation.CANCEL, status): G.CANCELLED for status in (*_OPEN, G.PAUSED, G.FAILED, G.CANCELLED)},
}
"""The graph lane's own moves, also on a completed job. Missing cells are refused."""


def after(operation: Operation, status: S) -> S:
    """Return the state that the operation leads to. Raises RefusedError where it is not allowed."""
    moved = MOVES.get((operation, status))
    if moved is None:
        raise RefusedError("not_in_this_state", f"Cannot {operation} this job: {WHY_NOT[operation, status]}.")
    return moved


def about_graph(operation: Operation, status: S, graph: G, *, new_budget: bool) -> bool:
    """Tell whether an operation that names no lane is about the graph lane: on a completed job, while that is open.

    A lane that goes on by itself is nothing to resume: then the job is meant, and the job is completed.
    """
    if status is not S.COMPLETED or graph in (G.OFF, G.COMPLETED):
        return False
    return operation is not Operation.RESUME or new_budget or graph not in _GOES_ON


def moves_graph_too(operation: Operation, status: G) -> bool:
    """Tell whether an operation on the whole job is one on its graph lane as well."""
    return (operation, status) in GRAPH_MOVES


def graph_after(operation: Operation, status: G, *, new_budget: bool = False) -> G:
    """Return the graph lane's state after the operation. Raises RefusedError where it is not allowed.

    A lane whose budget is spent goes on with a new one.
    """
    if (operation, status) == (Operation.RESUME, G.BUDGET_REACHED) and new_budget:
        return G.PENDING
    moved = GRAPH_MOVES.get((operation, status))
    if moved is None:
        standing = status.replace("_", " ")
        raise RefusedError("not_in_this_state", f"Cannot {operation} the graph lane: it is {standing}.")
    return moved
