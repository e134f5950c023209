"""A message as it is shown: with the facts that it shows, and what could not be read of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from atom_backfill.archive.postgres import PostgresArchive
from atom_backfill.archive.view import message_view
from atom_backfill.errors import NotFoundError
from atom_backfill.graph.postgres import PostgresGraph
from mainjob import Office, address_of, an_office, some_mails, write_mails
from worlds import World

MAIL, OTHER = some_mails(2)


@pytest.fixture
async def office(world: World, tmp_path: Path) -> AsyncIterator[Office]:
    write_mails(tmp_path / "mail", [MAIL, OTHER])
    (tmp_path / "mail" / "Inbox" / "empty.eml").write_bytes(b"\n\n")
    tenant = await world.tenant()
    async with an_office(world.database, tenant, world.account(tenant), tmp_path / "mail", tmp_path) as office:
        await office.start()
        await office.work()
        yield office


def archive(office: Office) -> PostgresArchive:
    return PostgresArchive(office.database, office.tenant)


def message_of(world: World, office: Office) -> UUID:
    [row] = world.rows(
        "SELECT id FROM messages WHERE tenant_id = %(t)s AND subject = %(s)s", t=office.tenant, s=MAIL.subject
    )
    found: UUID = row["id"]
    return found


async def shown(office: Office, message: UUID) -> dict[str, Any]:
    facts = await PostgresGraph(office.database, office.tenant).facts(message)
    return message_view(await archive(office).message(message), facts)


async def test_its_facts_are_the_relations_that_it_is_evidence_of(office: Office, world: World) -> None:
    message = message_of(world, office)
    facts = (await shown(office, message))["facts"]
    told = {(fact["source"]["name"], fact["relationship_type"], fact["target"]["name"]) for fact in facts}
    assert told == {
        (MAIL.sender, "writes_to", MAIL.recipient),
        (MAIL.sender, "belongs_to", "lumen.example"),
        (MAIL.recipient, "belongs_to", "lumen.example"),
    }
    [wrote] = [fact for fact in facts if fact["relationship_type"] == "writes_to"]
    assert wrote["evidence"] == [
        {
            "message_id": str(message),
            "quote": f"{MAIL.recipient} <{address_of(MAIL.recipient)}>",
            "start": None,
            "end": None,
        }
    ]
    assert wrote["valid_from"] <= MAIL.received_at
    assert wrote["invalid_at"] is None


async def test_a_fact_without_evidence_in_it_is_not_its_own(office: Office, world: World) -> None:
    message = message_of(world, office)
    world.run("DELETE FROM graph_evidence WHERE message_id = %(m)s AND edge_id IS NOT NULL", m=message)
    assert (await shown(office, message))["facts"] == []


async def test_another_tenant_is_shown_none_of_it(office: Office, world: World) -> None:
    other = await world.tenant("other")
    message = message_of(world, office)
    assert await PostgresGraph(office.database, other).facts(message) == []
    with pytest.raises(NotFoundError):
        await PostgresArchive(office.database, other).message(message)


async def test_its_failures_are_those_of_its_source_id(office: Office, world: World) -> None:
    message = message_of(world, office)
    assert (await shown(office, message))["failures"] == []
    world.run(
        "INSERT INTO failures (tenant_id, id, account_id, job_id, source_id, message_id, stage, error_code, error)"
        " SELECT tenant_id, gen_random_uuid(), account_id, first_job_id, source_id, id, 'extract', 'refused', 'No.'"
        " FROM messages WHERE id = %(m)s",
        m=message,
    )
    [failure] = (await shown(office, message))["failures"]
    assert (failure["stage"], failure["error_code"], failure["error"]) == ("extract", "refused", "No.")
    assert failure.keys() == {
        "failure_id", "job_id", "stage", "error_code", "error", "attempts", "first_at", "last_at",
    }  # fmt: skip


async def test_a_message_that_could_not_be_read_is_said_to_be_among_the_failures(office: Office, world: World) -> None:
    [failed] = world.rows("SELECT * FROM failures WHERE tenant_id = %(t)s", t=office.tenant)
    for named in (str(failed["message_id"]), str(failed["message_id"])[:13]):
        with pytest.raises(NotFoundError, match=r"could not be read") as told:
            await archive(office).resolve_message(named)
        assert told.value.code == "message_not_read"
        assert f"retry {failed['job_id']} --failure {failed['id']}" in told.value.message
    with pytest.raises(NotFoundError, match="There is no message"):
        await PostgresArchive(office.database, await world.tenant("other")).resolve_message(str(failed["message_id"]))
