"""A rebuild as the app puts it together, over an office of local mail, for tests of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from atom_backfill.backfill.page import Parts
from atom_backfill.backfill.ports import FaultPoint, no_faults
from atom_backfill.custody.postgres import PostgresRecord
from atom_backfill.custody.rebuild import Rebuilt, Tools, rebuild
from atom_backfill.custody.verify import Report, verify
from atom_backfill.jobs.job import TenantId
from atom_backfill.mail.clean import CLEANER
from atom_backfill.memory.lance import LancePassages, drop, open_index
from atom_backfill.memory.postgres import PostgresMemories
from atom_backfill.memory.rows import naming
from fakes.embedder import HashEmbedder
from mainjob import Office


@dataclass
class Keeping:
    """The memory of an office, whichever dataset it is."""

    office: Office
    embedder: HashEmbedder

    @property
    def datasets(self) -> PostgresMemories:
        """Which dataset is in use."""
        return PostgresMemories(self.office.database, self.office.tenant)

    async def open(self, dataset: str) -> LancePassages:
        """Open a dataset."""
        office, embedder = self.office, self.embedder
        return await open_index(str(office.memory), office.tenant, embedder.identity, embedder.dim, dataset=dataset)

    async def index(self) -> LancePassages:
        """Open the dataset in use."""
        return await self.open((await self.datasets.in_use()).dataset)

    async def rebuild(
        self, reached: FaultPoint = no_faults, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Rebuilt:
        """Make the memory anew."""

        async def dropped(dataset: str) -> None:
            await drop(str(self.office.memory), self.office.tenant, dataset)

        return await rebuild(
            Tools(
                datasets=self.datasets,
                record=PostgresRecord(self.office.database, self.office.tenant),
                embedder=self.embedder,
                naming=naming(CLEANER, self.embedder.identity),
                open=self.open,
                drop=dropped,
                new_name=lambda: uuid4().hex[:12],
                progress=progress,
                reached=reached,
            )
        )

    async def verified(self) -> Report:
        """Compare the dataset in use with the record."""
        return await verify(await self.index(), PostgresRecord(self.office.database, self.office.tenant))

    def follow(self) -> None:
        """Let the office's workers write to the dataset that is in use at each page, as the product's do."""
        parts = self.office.parts

        async def memory(_: TenantId) -> LancePassages:
            return await self.index()

        def following() -> Parts:
            return replace(parts(), memory=memory)

        setattr(self.office, "parts", following)  # noqa: B010 - a method of one office alone

    async def rows(self) -> dict[str, Any]:
        """Return the fingerprint of each row of the dataset in use, by id."""
        index = await self.index()
        return {row.id: (row.fingerprint, row.folder_ids) async for rows in index.rows() for row in rows}
