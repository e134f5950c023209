"""Keeps leases alive from a thread of its own, whatever the event loop and the rest of the process do.

A process that is stopped altogether loses its leases; the fence makes that harmless. A process that cannot reach the
database for a lease's length takes its leases for lost, since somebody else may hold them by now.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from atom_backfill.clock import Clock
from atom_backfill.errors import AtomError
from atom_backfill.jobs.job import Lease
from atom_backfill.jobs.ports import Renewals, Standing
from atom_backfill.jobs.trouble import Trouble

LEASE_S = 20.0
RENEW_EVERY_S = 5.0
ENDING_S = 1.0
"""In which a renewal under way may end; one that the database leaves unanswered ends with the process."""

OnChange = Callable[[Standing], None]
"""Called once, from the heartbeat's thread, when a lease no longer stands as HELD."""


@dataclass(slots=True)
class _Held:
    lease: Lease
    on_change: OnChange
    renewed_at: float


class Heartbeat:
    """Renews every lease that was added, until it is removed. Use as a context manager: the thread lives within."""

    def __init__(self, renewals: Renewals, clock: Clock, *, every_s: float = RENEW_EVERY_S, lease_s: float = LEASE_S):
        self._renewals = renewals
        self._clock = clock
        self._every_s = every_s
        self._lease_s = lease_s
        self._held: dict[Lease, _Held] = {}
        self._lock = threading.Lock()
        self._poked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._log = structlog.get_logger()
        self._renewing = Trouble("lease renewal failed")

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._poked.set()
        self._thread.join(ENDING_S)

    def add(self, lease: Lease, on_change: OnChange) -> None:
        """Keep this lease alive from now on; it has just been claimed."""
        with self._lock:
            self._held[lease] = _Held(lease, on_change, self._clock.monotonic())

    def remove(self, lease: Lease) -> None:
        """Stop caring for a lease that is about to be settled."""
        with self._lock:
            self._held.pop(lease, None)

    def poke(self) -> None:
        """Renew now: a job may have been paused or cancelled."""
        self._poked.set()

    def beat(self) -> None:
        """Renew all leases once and tell whoever no longer holds one."""
        with self._lock:
            held = list(self._held.values())
        if not held:
            return
        asked_at = self._clock.monotonic()
        try:
            standings = self._renewals.renew(item.lease for item in held)
        except AtomError as error:
            self._renewing.met(error)
            standings = self._by_own_clock(held)
        else:
            self._renewing.over()
            for item in held:
                item.renewed_at = asked_at
        for item in held:
            standing = standings.get(item.lease, Standing.LOST)
            if standing is not Standing.HELD:
                self._dismiss(item, standing)

    def _by_own_clock(self, held: list[_Held]) -> dict[Lease, Standing]:
        """Without the database, take a lease for lost once it may have lapsed."""
        now = self._clock.monotonic()
        return {item.lease: Standing.HELD for item in held if now - item.renewed_at < self._lease_s}

    def _dismiss(self, item: _Held, standing: Standing) -> None:
        with self._lock:
            if self._held.get(item.lease) is not item:
                return
            del self._held[item.lease]
        item.on_change(standing)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._poked.wait(self._every_s)
                self._poked.clear()
                if not self._stopping.is_set():
                    self._beat_anyhow()
        finally:
            self._renewals.close()

    def _beat_anyhow(self) -> None:
        try:
            self.beat()
        except Exception as error:  # noqa: BLE001 - the thread's edge: no mistake may end all renewals
            self._log.error("heartbeat stumbled", error_code="bug", error=type(error).__name__, exc_info=error)
