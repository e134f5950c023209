"""A job's row as people's view of it is made from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

NOW = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


def a_row(**about: Any) -> dict[str, Any]:
    """A job's row as `read_jobs` gives it, half done."""
    fields: dict[str, Any] = {
        "id": UUID(int=1),
        "chunk_size": 50,
        "account_id": UUID(int=2),
        "address": "ines@lumen.example",
        "status": "running",
        "graph_status": "waiting_for_key",
        "budget_usd": None,
        "progress_percentage": Decimal("50.00"),
        "total_records_estimate": 1000,
        "messages_done": 500,
        "records_processed": 480,
        "entities_extracted": 9,
        "relationships_extracted": 7,
        "completed_chunks": 1,
        "total_chunks": 3,
        "throttled_s": 0.0,
        "throttled_until": None,
        "pace_at": NOW,
        "pace_messages": 200.0,
        "pace_fetch": 1.0,
        "pace_embed": 3.0,
        "pace_store": 0.5,
        "failures": 2,
        "phase_number": 1,
        "leased": True,
        "next_run_at": NOW,
        "waits_after_error": False,
        "ingest_done_at": None,
        "units_total": None,
        "units_done": None,
        "graph_percent": None,
        "calls": None,
        "input_tokens": None,
        "output_tokens": None,
        "graph_usd": None,
        "unpriced": None,
        "graph_pace_at": None,
        "pace_units": None,
        "model_rate": None,
        "graph_leased": False,
        "now": NOW,
        "created_at": NOW - timedelta(minutes=5),
        "started_at": NOW - timedelta(minutes=4),
        "completed_at": None,
        "last_heartbeat": NOW,
        "last_error": None,
    }
    return fields | about
