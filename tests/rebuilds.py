"""A rebuild as the app puts it together, over an office of local mail, for tests of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import lancedb

from atom_backfill.backfill.page import Parts
from atom_backfill.backfill.ports import FaultPoint, no_faults
from atom_backfill.custody.postgres import PostgresRecord
from atom_backfill.custody.rebuild import Rebuilt, Tools, rebuild
from atom_backfill.custody.verify import Report, verify
from atom_backfill.jobs.job import TenantId
from atom_backfill.mail.clean import CLEANER
from atom_backfill.memory.lance import LancePassages, drop_beside, open_index, settle
from atom_backfill.memory.lance import replace as replace_rows
from atom_backfill.memory.postgres import PostgresMemories
from atom_backfill.memory.rows import naming
from fakes.embedder import HashEmbedder
from mainjob import Office, some_mails, write_mails

READ = some_mails(20)
"""What is in the mailbox before."""


@dataclass
class Keeping:
    """The memory of an office."""

    office: Office
    embedder: HashEmbedder

    @property
    def standing(self) -> PostgresMemories:
        """How the memory stands."""
        return PostgresMemories(self.office.database, self.office.tenant)

    async def open(self, beside: str = "") -> LancePassages:
        """Open the memory, or what is made beside it."""
        office, embedder = self.office, self.embedder
        return await open_index(str(office.memory), office.tenant, embedder.identity, embedder.dim, beside=beside)

    async def index(self) -> LancePassages:
        """Open the memory as the product does: a swap that has died is ended first."""
        if (await self.standing.standing()).swapping:
            await self.standing.end_dead_swap(partial(settle, *self._where), partial(drop_beside, *self._where))
        return await self.open()

    async def rebuild(
        self, reached: FaultPoint = no_faults, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Rebuilt:
        """Make the memory anew."""
        return await rebuild(
            Tools(
                standing=self.standing,
                record=PostgresRecord(self.office.database, self.office.tenant),
                embedder=self.embedder,
                naming=naming(CLEANER, self.embedder.identity),
                beside=self.open,
                drop_beside=partial(drop_beside, *self._where),
                replace=partial(replace_rows, *self._where),
                memory=self.open,
                new_name=lambda: uuid4().hex[:12],
                progress=progress,
                reached=reached,
            )
        )

    @property
    def _where(self) -> tuple[str, UUID]:
        return str(self.office.memory), self.office.tenant

    async def verified(self) -> Report:
        """Compare the memory with the record."""
        return await verify(await self.index(), PostgresRecord(self.office.database, self.office.tenant))

    def follow(self) -> None:
        """Let the office's workers open the memory at each page, as the product's do."""
        parts = self.office.parts

        async def memory(_: TenantId) -> LancePassages:
            return await self.index()

        def following() -> Parts:
            return replace(parts(), memory=memory)

        setattr(self.office, "parts", following)  # noqa: B010 - a method of one office alone

    async def rows(self) -> dict[str, Any]:
        """Return the fingerprint of each row of the memory, by id."""
        index = await self.index()
        return {row.id: (row.fingerprint, row.folder_ids) async for rows in index.rows() for row in rows}


def passages(office: Office) -> lancedb.table.Table:
    """Open the memory as a stranger does, who knows the contract alone."""
    return lancedb.connect(office.memory / str(office.tenant)).open_table("passages")


class DiedError(Exception):
    """The process has ended here."""


def folders(office: Office) -> set[str]:
    return {path.name for path in (office.memory / str(office.tenant)).iterdir()}


async def read(office: Office, first: int, count: int = 4) -> None:
    """Let new mail come, and read it to the end."""
    newest = max(mail.received_at for mail in READ if mail.received_at) + timedelta(days=1)
    write_mails(office.memory.parents[1] / "mail", [
        replace(mail, received_at=newest) for mail in some_mails(count, first=first)
    ])  # fmt: skip
    await office.start()
    await office.work()
