"""What people are shown of a job: done of total, rate, time left, and what sets the pace."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atom_backfill.backfill.progress import job_view
from job_rows import NOW, a_row


def ingest(**about: Any) -> dict[str, Any]:
    found: dict[str, Any] = job_view(a_row(**about))["ingest"]
    return found


def test_a_running_job_shows_done_of_total_rate_and_time_left() -> None:
    shown = ingest()
    assert (shown["messages_done"], shown["messages_total"], shown["percent"]) == (500, 1000, 50.0)
    assert shown["rate_per_s"] == pytest.approx(10.0, rel=0.01), "200 messages in the last 20 seconds"
    assert shown["eta_s"] == pytest.approx(50, abs=1)
    assert (shown["chunks_done"], shown["chunks_total"]) == (1, 3)


def test_the_rate_of_a_young_job_is_not_too_low_and_that_of_a_stalled_one_falls() -> None:
    young = ingest(started_at=NOW - timedelta(seconds=2), pace_messages=20.0)
    assert young["rate_per_s"] == pytest.approx(10.5, abs=0.6)
    rates = [ingest(pace_at=NOW - timedelta(seconds=s))["rate_per_s"] for s in (0, 20, 60, 600)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0.0
    assert ingest(pace_at=NOW - timedelta(seconds=600))["eta_s"] is None


def test_nobody_at_work_leaves_neither_a_rate_nor_a_time() -> None:
    shown = ingest(leased=False, next_run_at=NOW - timedelta(seconds=11))
    assert (shown["limited_by"], shown["rate_per_s"], shown["eta_s"]) == ("no_worker", 0.0, None)


def test_no_time_left_is_told_before_some_pages_have_shown_a_rate() -> None:
    first, third = (ingest(messages_done=done)["eta_s"] for done in (149, 150))
    assert (first, third) == (None, pytest.approx(85, abs=1))


@pytest.mark.parametrize("status", ["pending", "paused", "failed", "cancelled", "completed"])
def test_a_job_that_does_not_run_has_no_rate_and_no_time_left(status: str) -> None:
    shown = ingest(status=status)
    assert (shown["rate_per_s"], shown["eta_s"]) == (0.0, None)


def test_a_completed_job_shows_what_was_there_whatever_the_census_said() -> None:
    for estimate in (None, 3, 100_000):
        shown = ingest(status="completed", total_records_estimate=estimate, progress_percentage=Decimal(100))
        assert (shown["messages_done"], shown["messages_total"], shown["percent"]) == (500, 500, 100.0)


@given(st.none() | st.integers(-5, 10**7), st.integers(0, 10**7))
def test_done_never_passes_the_total(estimate: int | None, done: int) -> None:
    shown = ingest(total_records_estimate=estimate, messages_done=done)
    assert 0 <= shown["messages_done"] <= shown["messages_total"]
    assert shown["eta_s"] is None or shown["eta_s"] >= 0


SOON = NOW + timedelta(seconds=30)
LIMITS: list[tuple[str | None, dict[str, Any]]] = [
    ("embedding", {}),
    ("mailbox_latency", {"pace_fetch": 9.0}),
    ("store", {"pace_store": 9.0}),
    (None, {"pace_fetch": 0.0, "pace_embed": 0.0, "pace_store": 0.0}),
    ("mailbox_throttle", {"throttled_until": SOON}),
    ("embedding", {"throttled_until": NOW - timedelta(seconds=1)}),
    ("no_worker", {"leased": False, "next_run_at": NOW - timedelta(seconds=11)}),
    (None, {"leased": False, "next_run_at": NOW - timedelta(seconds=9)}),
    (None, {"leased": False, "next_run_at": SOON}),
    (None, {"leased": False, "next_run_at": SOON, "waits_after_error": True}),
    (None, {"leased": False, "next_run_at": NOW - timedelta(minutes=1), "waits_after_error": True}),
    ("embedding", {"waits_after_error": True}),
    (None, {"leased": False, "next_run_at": None}),
    ("no_worker", {"status": "pending", "leased": False, "next_run_at": NOW - timedelta(minutes=1)}),
    ("paused", {"status": "paused", "leased": False, "throttled_until": SOON}),
    (None, {"status": "completed", "leased": False, "phase_number": None}),
    ("no_worker", {"status": "completed", "leased": False, "next_run_at": NOW - timedelta(minutes=1)}),
    (None, {"status": "failed", "leased": False}),
    (None, {"status": "cancelled", "leased": False}),
]


def test_work_is_held_up_while_all_of_it_waits_after_an_error() -> None:
    assert ingest(leased=False, waits_after_error=True)["held_up"] is True
    for about in ({"leased": True}, {"status": "paused"}, {"status": "failed"}, {"waits_after_error": False}):
        assert ingest(**{"leased": False, "waits_after_error": True, **about})["held_up"] is False


@pytest.mark.parametrize(("limit", "about"), LIMITS, ids=str)
def test_what_sets_the_pace(limit: str | None, about: dict[str, Any]) -> None:
    assert ingest(**about)["limited_by"] == limit


@pytest.mark.parametrize(
    ("phase", "about"),
    [
        ("planning", {"phase_number": 0}),
        ("reading", {"phase_number": 1}),
        ("checking", {"phase_number": 2}),
        ("retrying", {"phase_number": 3}),
        ("done", {"phase_number": None}),
        ("retrying", {"phase_number": 3, "status": "completed"}),
        ("retrying", {"phase_number": 1, "status": "completed"}),
        ("done", {"phase_number": None, "status": "completed"}),
    ],
)
def test_the_phase(phase: str, about: dict[str, Any]) -> None:
    assert job_view(a_row(**about))["phase"] == phase


def test_the_document_has_every_field_of_its_contract() -> None:
    shown = job_view(a_row(budget_usd=Decimal("2.50"), last_error="It is away."))
    assert list(shown) == [
        "job_id", "account_id", "address", "status", "phase", "ingest", "graph", "records_processed",
        "entities_extracted", "relationships_extracted", "failures", "created_at", "started_at", "completed_at",
        "last_heartbeat", "last_error",
    ]  # fmt: skip
    assert list(shown["ingest"]) == [
        "status", "messages_done", "messages_total", "percent", "rate_per_s", "eta_s", "limited_by", "throttled_s",
        "chunks_done", "chunks_total", "held_up",
    ]  # fmt: skip
    assert list(shown["graph"]) == [
        "status", "units_done", "units_total", "percent", "rate_per_s", "eta_s", "calls", "input_tokens",
        "output_tokens", "usd", "budget_usd",
    ]  # fmt: skip
    assert shown["graph"]["budget_usd"] == 2.5
    assert (shown["failures"], shown["last_error"], shown["job_id"]) == (2, "It is away.", str(UUID(int=1)))
