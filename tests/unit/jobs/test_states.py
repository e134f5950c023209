"""Every operation in every state, the refused ones included."""

from __future__ import annotations

import re

import pytest

from atom_backfill.errors import RefusedError
from atom_backfill.jobs.job import GraphStatus, JobStatus
from atom_backfill.jobs.states import Operation, about_graph, after, graph_after

# Each row: what the operation makes of pending, running, paused, failed, cancelled, completed. A dash is a refusal.
JOB = """
pause   paused   paused   paused   -         -          -
resume  pending  running  pending  pending   -          -
cancel  cancelled cancelled cancelled cancelled cancelled -
retry   pending  running  -        -         -          completed
"""
JOB_STATES = ("pending", "running", "paused", "failed", "cancelled", "completed")

# … of pending, running, paused, failed, cancelled, completed, off, waiting_for_key, key_rejected, budget_reached.
GRAPH = """
pause   paused    paused    paused    - -         - - paused    paused    paused
resume  pending   running   waiting_for_key waiting_for_key - - - waiting_for_key key_rejected budget_reached
cancel  cancelled cancelled cancelled cancelled cancelled - - cancelled cancelled cancelled
retry   -         -         -         - -         - - -         -         -
"""
GRAPH_STATES = (*JOB_STATES, "off", "waiting_for_key", "key_rejected", "budget_reached")


def cells(table: str, states: tuple[str, ...]) -> list[tuple[str, str, str]]:
    rows = [line.split() for line in table.strip().splitlines()]
    return [(operation, state, to) for operation, *row in rows for state, to in zip(states, row, strict=True)]


def test_the_tables_have_every_cell() -> None:
    assert len(cells(JOB, JOB_STATES)) == len(Operation) * len(JobStatus)
    assert len(cells(GRAPH, GRAPH_STATES)) == len(Operation) * len(GraphStatus)


@pytest.mark.parametrize(("operation", "state", "to"), cells(JOB, JOB_STATES))
def test_an_operation_on_a_job(operation: str, state: str, to: str) -> None:
    if to != "-":
        assert after(Operation(operation), JobStatus(state)) == to
        return
    with pytest.raises(RefusedError) as refused:
        after(Operation(operation), JobStatus(state))
    assert refused.value.code == "not_in_this_state"
    assert re.fullmatch(rf"Cannot {operation} this job: it .+\.", refused.value.message)


@pytest.mark.parametrize(("operation", "state", "to"), cells(GRAPH, GRAPH_STATES))
def test_an_operation_on_a_graph_lane(operation: str, state: str, to: str) -> None:
    if to != "-":
        assert graph_after(Operation(operation), GraphStatus(state)) == to
        return
    with pytest.raises(RefusedError) as refused:
        graph_after(Operation(operation), GraphStatus(state))
    assert re.fullmatch(rf"Cannot {operation} the graph lane: it .+\.", refused.value.message)


@pytest.mark.parametrize("graph", GraphStatus)
def test_without_a_lane_a_completed_job_means_its_graph_lane_while_there_is_something_to_do(graph: GraphStatus) -> None:
    def about(operation: Operation, status: JobStatus = JobStatus.COMPLETED, *, new_budget: bool = False) -> bool:
        return about_graph(operation, status, graph, new_budget=new_budget)

    is_open = graph not in (GraphStatus.OFF, GraphStatus.COMPLETED)
    assert about(Operation.PAUSE) == about(Operation.CANCEL) == about(Operation.RESUME, new_budget=True) == is_open
    assert about(Operation.RESUME) == (is_open and graph not in ("pending", "running", "waiting_for_key"))
    assert not any(about(Operation.PAUSE, status) for status in JobStatus if status is not JobStatus.COMPLETED)


@pytest.mark.parametrize(("operation", "state", "to"), cells(JOB, JOB_STATES))
def test_a_move_that_has_happened_may_be_repeated(operation: str, state: str, to: str) -> None:
    if to == "-" or (operation, to) == ("resume", "pending"):
        return
    assert after(Operation(operation), JobStatus(to)) == to


def test_completion_is_never_taken_back() -> None:
    for operation in Operation:
        try:
            assert after(operation, JobStatus.COMPLETED) is JobStatus.COMPLETED
        except RefusedError:
            continue
