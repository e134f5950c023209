"""The duty reviews who is who in every tenant whose graph has changed, and one tenant's trouble holds up no other."""

from __future__ import annotations

import pytest

from atom_backfill.app.reviewing import reviewers
from atom_backfill.errors import AtomError
from atom_backfill.mail.message import Address
from databases import FreshDatabase
from integration.app.conftest import Opened
from pages import a_stored, commit
from worlds import World, a_world

INES, INES_TOO = (Address("Ines Halloran", f"{local}@lumen.example") for local in ("ines", "ihalloran"))
OTHERS = tuple(Address(f"{name} Reyl", f"{name.lower()}@harbour.example") for name in ("Tomasz", "Kwame", "Mirja"))


async def test_every_changed_graph_is_reviewed_though_one_cannot_be(
    opened: Opened, fresh_database: FreshDatabase
) -> None:
    async with a_world(fresh_database) as world, opened() as app:
        leases = [await world.lease(name) for name in ("lumen", "harbour", "atlas")]
        for lease in leases:
            stored = (a_stored(lease, f"m-{n}", from_=one, to=OTHERS) for n, one in enumerate((INES, INES_TOO)))
            await commit(world, lease, *stored)
        broken = (
            f"ALTER TABLE graph_merges ADD CONSTRAINT broken CHECK (tenant_id <> '{leases[1].tenant_id}') NOT VALID"
        )
        world.run(broken)  # type: ignore[arg-type]
        identity, communities = reviewers(app)
        with pytest.raises(AtomError):
            await identity.action()
        assert _merged(world) == {leases[0].tenant_id, leases[2].tenant_id}
        world.run("ALTER TABLE graph_merges DROP CONSTRAINT broken")
        await identity.action()
        assert _merged(world) == {lease.tenant_id for lease in leases}
        await communities.action()
        found = world.rows("SELECT tenant_id, size FROM graph_communities WHERE tenant_id <> %(n)s", n=world.neighbour)
        assert {row["tenant_id"] for row in found} == {lease.tenant_id for lease in leases}


def _merged(world: World) -> set[object]:
    rows = world.rows("SELECT DISTINCT tenant_id FROM graph_merges WHERE tenant_id <> %(n)s", n=world.neighbour)
    return {row["tenant_id"] for row in rows}
