"""Tells of chunks that were taken from workers whose leases had lapsed: who had died is found out here or nowhere."""

from __future__ import annotations

from typing import Literal

import structlog

from atom_backfill.jobs.job import Lease
from atom_backfill.metrics import RESCUES, Metrics

Reason = Literal["lease_lapsed", "claimed_over"]
"""The reaper has made it ready again; or another worker has claimed it before the reaper came by."""


def tell_rescue(lease: Lease, reason: Reason, metrics: Metrics | None) -> None:
    """Count and log a chunk whose lease had lapsed."""
    assert lease.lapse is not None
    if metrics is not None:
        metrics.count(RESCUES, reason=reason)
    structlog.get_logger().warning(
        "lease rescued",
        reason=reason,
        chunk=str(lease.chunk_id),
        worker=lease.lapse.worker,
        lapsed_s=round(lease.lapse.seconds, 1),
    )
