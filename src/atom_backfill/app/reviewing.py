"""Keeps the graphs of all tenants reviewed: who is who, wherever something has come since the last time."""

from __future__ import annotations

from atom_backfill.app.core import App
from atom_backfill.errors import AtomError
from atom_backfill.graph.postgres_identity import PostgresIdentity, evidence_counts
from atom_backfill.jobs.duties import Duty
from atom_backfill.jobs.job import TenantId

LOOK_EVERY_S = 15.0


class Reviews:
    """What this process knows to be reviewed, so that it looks at tenants alone whose graph has changed since."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._reviewed: dict[TenantId, int] = {}

    def duty(self) -> Duty:
        """Return the duty of one worker at a time."""
        return Duty("identity", LOOK_EVERY_S, self.review)

    async def review(self) -> None:
        """Review what has changed. One tenant's trouble holds up no other; the last is raised at the end."""
        trouble: AtomError | None = None
        for tenant, evidence in (await evidence_counts(self._app.database)).items():
            if self._reviewed.get(tenant) == evidence:
                continue
            identity = PostgresIdentity(self._app.database, tenant, self._app.outside.clock.monotonic)
            try:
                if await identity.review_if_due():
                    self._reviewed[tenant] = evidence
            except AtomError as error:
                trouble = error
        if trouble is not None:
            raise trouble
