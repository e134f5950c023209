"""How much memory `verify` takes, and that it does not grow with what is stored.

A made-up record and its memory, small and ten times as large; each is compared by a process that does nothing else. The
peak is the kernel's of that process. `sweep`, which compares by ids, is measured as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from atom_backfill.app.core import App, open_app
from atom_backfill.app.keeping import sweep_memory, verify
from atom_backfill.app.outside import Outside
from atom_backfill.app.runtime import settle_in
from atom_backfill.custody.postgres import PostgresRecord
from atom_backfill.custody.recorded import rows_from
from atom_backfill.db.scope import Work
from atom_backfill.jobs.job import TenantId
from atom_backfill.memory.upkeep import upkeep
from atom_backfill.settings import load_settings
from bench.embedders import FreeEmbedder
from bench.world import environment, home

SMALL, LARGE = 20_000, 200_000
"""Messages, each of one passage of about 1,000 characters."""
WRITTEN_AT_ONCE = 5_000
HOWS = ("verify", "sweep")


def main(*, small: int = SMALL, large: int = LARGE) -> dict[str, Any]:
    """Run it; peaks in MB."""
    told = {size: _measure(size) for size in (small, large)}
    over = {how: round(told[large][how]["peak_mb"] / told[small][how]["peak_mb"], 2) for how in HOWS}
    return {
        "small": told[small],
        "large": told[large],
        "largest_peak_mb": max(told[size][how]["peak_mb"] for size in told for how in HOWS),
        "ten_times_over_once": over["verify"],
        "swept_ten_times_over_once": over["sweep"],
    }


def _measure(messages: int) -> dict[str, Any]:
    with home() as folder:
        _child(folder, "make", "--messages", str(messages))
        return {"messages": messages, **{how: _child(folder, how) for how in HOWS}}


def _child(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.verify_memory", "--home", str(folder), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment(), check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


async def _alone(folder: Path, how: str, messages: int) -> dict[str, Any]:
    """Do one thing in this process, and tell what it took."""
    settings, _ = load_settings({"ATOM_HOME": str(folder)}, folder)
    async with open_app(settings, Outside(embedder=FreeEmbedder())) as app:
        tenancy = await app.tenant()
        if how == "make":
            await _make(app, tenancy.id, messages)
            return {}
        began = time.monotonic()
        if how == "verify":
            found = await verify(tenancy, repair=False)
            assert found["verified"], found["counts"]
        else:
            assert not any((await sweep_memory(app, tenancy.id)).values())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"peak_mb": round(peak), "seconds": round(time.monotonic() - began, 1)}


async def _make(app: App, tenant: TenantId, messages: int) -> None:
    """Make a record by one statement, and its memory from that."""
    async with app.database.transaction(Work(tenant), statement_timeout_s=600) as tx:
        await tx.execute(_ACCOUNT, {"tenant": tenant})
        for statement in (_MESSAGES, _BODIES, _PLACES):
            await tx.execute(statement, {"tenant": tenant, "messages": messages})
    record, index = PostgresRecord(app.database, tenant), await app.memories.index(tenant)
    embedder, after = await app.memories.embedder(), None
    while page := await record.owed(after, WRITTEN_AT_ONCE):
        after = page[-1].id
        _, known = await record.recorded([each.id for each in page])
        rows = [row for each in known.values() for row in rows_from(each)]
        await index.upsert(rows, await embedder.embed([row.embedded for row in rows]))
        await upkeep(index)


_ACCOUNT = f"""
WITH account AS (
    INSERT INTO accounts (tenant_id, id, kind, identity, address, status, config)
    VALUES (%(tenant)s, '{UUID(int=1)}', 'mbox', 'made up', 'ines@lumen.example', 'connected', '{{}}')
    RETURNING tenant_id, id)
INSERT INTO historical_sync_jobs (tenant_id, id, account_id, status, graph_status, end_date, folders, again, chunk_size,
                                  max_parallel)
SELECT tenant_id, '{UUID(int=2)}', id, 'completed', 'off', now(), '{{}}', false, 100, 4 FROM account
"""
_MESSAGES = f"""
INSERT INTO messages (tenant_id, id, account_id, first_job_id, last_job_id, source_id, internet_message_id,
    conversation_id, thread_id, subject, received_at, from_name, from_address, participants, kind, bulk, machine,
    is_draft, has_attachments, attachments, importance, web_link, change_key, content_hash, generation, passages, notes)
SELECT %(tenant)s, md5(n::text)::uuid, '{UUID(int=1)}', '{UUID(int=2)}', '{UUID(int=2)}', n::text,
       n || '@lumen.example', '', md5(n::text)::uuid, 'Order ' || n, timestamptz '2025-01-01' + n * interval '1 minute',
       'Ines Halloran', 'ines@lumen.example',
       '[{{"role": "from", "name": "Ines Halloran", "address": "ines@lumen.example"}},
         {{"role": "to", "name": "Tomasz Reyl", "address": "tomasz@lumen.example"}}]',
       'message', false, false, false, false, '[]', 'normal', '', '', md5(n::text), left(md5('g' || n), 16), 1, '{{}}'
FROM generate_series(1, %(messages)s) n
"""
_BODIES = """
INSERT INTO message_bodies (tenant_id, message_id, text, renderer, segments, body_type, source_body)
SELECT tenant_id, id, body.text, 1, jsonb_build_array(jsonb_build_array('new', 0, length(body.text))), 'text', ''
FROM messages CROSS JOIN LATERAL (
    SELECT string_agg(left(md5(source_id || word), 3 + mod(word, 8)), ' ') AS text
    FROM generate_series(1, 140) word) body
WHERE tenant_id = %(tenant)s
"""
_PLACES = """
INSERT INTO message_places (tenant_id, account_id, message_id, folder_id)
SELECT tenant_id, account_id, id, 'inbox' FROM messages WHERE tenant_id = %(tenant)s
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.verify_memory", description=__doc__)
    parser.add_argument("how", nargs="?", choices=("make", *HOWS))
    parser.add_argument("--home", type=Path)
    parser.add_argument("--messages", type=int, default=SMALL)
    parser.add_argument("--small", type=int, default=SMALL)
    parser.add_argument("--large", type=int, default=LARGE)
    asked = parser.parse_args()
    if asked.how:
        settle_in()
        print(json.dumps(asyncio.run(_alone(asked.home, asked.how, asked.messages))))
    else:
        print(json.dumps(main(small=asked.small, large=asked.large), indent=2))
