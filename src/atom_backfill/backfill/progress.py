"""From a job's row to what people are shown: done of total, rate, time left, and what sets the pace. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

TIME_CONSTANT_S = 20.0
"""Of the decaying sums that page commits keep (backfill/queries.sql)."""
NOBODY_AT_WORK_S = 10.0
PAGES_FOR_A_RATE = 3
UNITS_FOR_A_RATE = 10
"""Of the size that is asked for: what the first ones took says more about starting than about the pace."""
_PHASES = ("planning", "reading", "checking", "retrying")


def job_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JOB document of docs/reference/job.md from a row of `read_jobs`."""
    status = row["status"]
    done = row["messages_done"]
    limited_by = _limited_by(row)
    ingest = "completed" if row["ingest_done_at"] else status
    rate = 0.0 if limited_by == "no_worker" or ingest == "completed" else _rate(row)
    percent = float(row["progress_percentage"])
    total = done if ingest == "completed" else max(row["total_records_estimate"] or 0, done)
    known = rate > 0.01 and done >= PAGES_FOR_A_RATE * row["chunk_size"]
    return {
        "job_id": str(row["id"]),
        "account_id": str(row["account_id"]),
        "address": row["address"],
        "status": status,
        "phase": _phase(row),
        "ingest": {
            "status": ingest,
            "messages_done": done,
            "messages_total": total,
            "percent": percent,
            "rate_per_s": round(rate, 2),
            "eta_s": round((total - done) / rate) if known else None,
            "limited_by": limited_by,
            "throttled_s": round(row["throttled_s"], 1),
            "chunks_done": row["completed_chunks"],
            "chunks_total": row["total_chunks"],
            "held_up": _held_up(row),
        },
        "graph": _graph_view(row),
        "records_processed": row["records_processed"],
        "entities_extracted": row["entities_extracted"],
        "relationships_extracted": row["relationships_extracted"],
        "failures": row["failures"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "completed_at": row["completed_at"],
        "last_heartbeat": row["last_heartbeat"],
        "last_error": row["last_error"],
    }


def _graph_view(row: Mapping[str, Any]) -> dict[str, Any]:
    done, total = row["units_done"] or 0, row["units_total"] or 0
    rate = _decayed(row, row["pace_units"], row["graph_pace_at"]) if row["graph_leased"] else 0.0
    return {
        "status": row["graph_status"],
        "units_done": done,
        "units_total": total,
        "percent": float(row["graph_percent"] or 0),
        "rate_per_s": round(rate, 2),
        "eta_s": round((total - done) / rate) if rate > 0.01 and done >= UNITS_FOR_A_RATE else None,
        "calls": row["calls"] or 0,
        "input_tokens": row["input_tokens"] or 0,
        "output_tokens": row["output_tokens"] or 0,
        "usd": None if row["unpriced"] else float(row["graph_usd"] or 0),
        "budget_usd": None if row["budget_usd"] is None else float(row["budget_usd"]),
    }


def _extracting(row: Mapping[str, Any]) -> bool:
    """Tell whether the graph lane goes on by itself."""
    return row["graph_status"] in ("pending", "running")


def _phase(row: Mapping[str, Any]) -> str:
    if row["status"] in ("cancelled", "failed"):
        return "done"
    if row["phase_number"] is None:
        return "extracting" if _extracting(row) else "done"
    # What is left to do of a completed job is what was asked for since.
    return "retrying" if row["status"] == "completed" else _PHASES[row["phase_number"]]


def _rate(row: Mapping[str, Any]) -> float:
    """Messages a second over the last minute or so, without the bias of a young job towards zero."""
    if row["status"] != "running" or row["pace_at"] is None:
        return 0.0
    return _decayed(row, row["pace_messages"], row["pace_at"])


def _decayed(row: Mapping[str, Any], amount: float | None, at: datetime | None) -> float:
    """Turn a decaying sum that was kept up to a moment into a rate."""
    if at is None:
        return 0.0
    age = max(1.0, _seconds(row["now"], row["started_at"] or at))
    weight = TIME_CONSTANT_S * (1 - math.exp(-age / TIME_CONSTANT_S))
    return float(amount or 0.0) * math.exp(-_seconds(row["now"], at) / TIME_CONSTANT_S) / weight


def _held_up(row: Mapping[str, Any]) -> bool:
    """Tell whether all that could be done now waits after an error, to be tried again by itself."""
    return row["status"] != "paused" and _phase(row) != "done" and not row["leased"] and row["waits_after_error"]


def _limited_by(row: Mapping[str, Any]) -> str | None:
    if row["status"] == "paused":
        return "paused"
    phase = _phase(row)
    if phase == "extracting":
        return _model_limit(row)
    if phase == "done":
        return "budget" if row["graph_status"] == "budget_reached" else None
    if row["throttled_until"] is not None and row["throttled_until"] > row["now"]:
        return "mailbox_throttle"
    if not row["leased"]:
        waits_for = row["next_run_at"] or row["now"]
        late = _seconds(row["now"], waits_for) > NOBODY_AT_WORK_S
        return "no_worker" if late and not row["waits_after_error"] else None
    paces = {"mailbox_latency": row["pace_fetch"], "embedding": row["pace_embed"], "store": row["pace_store"]}
    slowest = max(paces, key=lambda name: paces[name])
    return slowest if paces[slowest] > 0 else None


def _model_limit(row: Mapping[str, Any]) -> str | None:
    if row["model_rate"]:
        return "model_rate"
    return "model_latency" if row["graph_leased"] else None


def _seconds(later: datetime, earlier: datetime) -> float:
    return (later - earlier).total_seconds()
