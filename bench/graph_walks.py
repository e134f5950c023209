"""How long it takes to look at a large graph, and to divide it into communities.

An invented graph of 100,000 nodes and about 1,000,000 edges, each with its evidence: nodes have a home among their
like, and some of them deal with everybody, as the owners of mailboxes do. One in ten of the walks begins at such a hub.
The communities are found by a process of its own, so that the peak of memory is theirs. Wall time, so a busy machine
counts.
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
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from atom_backfill.app.core import App, open_app
from atom_backfill.app.reviewing import communities_of
from atom_backfill.db.scope import Work
from atom_backfill.graph.postgres_walks import PostgresWalks
from atom_backfill.jobs.job import TenantId
from atom_backfill.settings import load_settings
from bench.world import environment, home

NODES, EDGES, HUBS, HOME = 100_000, 1_000_000, 200, 50
WALKS = 200
ANY: LiteralString = "SELECT id FROM graph_nodes WHERE tenant_id = %(tenant)s ORDER BY id LIMIT %(most)s"
BUSY: LiteralString = (
    "SELECT target_node_id AS id FROM graph_edges WHERE tenant_id = %(tenant)s"
    " GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT %(most)s"
)
SEED: LiteralString = """
SET ROLE atom_work;
SELECT set_config('atom.tenant', %(tenant)s::text, false);
INSERT INTO accounts (tenant_id, id, kind, identity, address, status, config)
    VALUES (%(tenant)s, %(tenant)s, 'mbox', 'graph', 'graph@example.com', 'connected', '{}');
INSERT INTO historical_sync_jobs (tenant_id, id, account_id, status, graph_status, end_date, folders, again, chunk_size,
        max_parallel)
    VALUES (%(tenant)s, %(tenant)s, %(tenant)s, 'completed', 'off', now(), '{}', false, 100, 4);
INSERT INTO graph_nodes (tenant_id, id, type, key, name)
    SELECT %(tenant)s, md5('node ' || n)::uuid, 'person', n || '@org' || n / %(home)s || '.example', 'Person ' || n
    FROM generate_series(0, %(nodes)s - 1) n;
INSERT INTO messages (tenant_id, id, account_id, first_job_id, last_job_id, source_id, internet_message_id,
        conversation_id, thread_id, subject, received_at, from_name, from_address, participants, kind, bulk, machine,
        is_draft, has_attachments, attachments, importance, web_link, change_key, content_hash, generation, passages,
        notes)
    SELECT %(tenant)s, md5('mail ' || n)::uuid, %(tenant)s, %(tenant)s, %(tenant)s, 'm-' || n, '', '',
           md5('thread ' || n)::uuid, '', now() - n * interval '1 minute', '', '', '[]', 'message', false, false, false,
           false, '[]', 'normal', '', 'k', 'h', 'g', 1, '{}'
    FROM generate_series(0, %(nodes)s - 1) n;
INSERT INTO graph_edges (tenant_id, id, source_node_id, target_node_id, relationship_type, weight, valid_from)
    SELECT %(tenant)s, md5('edge ' || n)::uuid, md5('node ' || source)::uuid, md5('node ' || target)::uuid,
           'relation ' || n %% 7, 1 + (power(hashint8(n + 7) & 1023, 2) / 30000)::integer, now()
    FROM (SELECT n, source,
                 CASE WHEN n %% 10 < 7 THEN source / %(home)s * %(home)s + (hashint8(n * 3) & 65535) %% %(home)s
                      WHEN n %% 10 = 7 THEN (hashint8(n * 5) & 65535) %% %(hubs)s
                      ELSE (hashint8(n * 11) & 1048575) %% %(nodes)s END AS target
          FROM (SELECT n, CASE WHEN n %% 10 = 9 THEN (hashint8(n * 13) & 65535) %% %(hubs)s
                               ELSE (hashint8(n) & 1048575) %% %(nodes)s END AS source
                FROM generate_series(0::bigint, %(edges)s - 1) n) one_end) both_ends
    ON CONFLICT DO NOTHING;
INSERT INTO graph_evidence (tenant_id, id, job_id, edge_id, message_id, quote, start_offset, end_offset)
    SELECT tenant_id, gen_random_uuid(), %(tenant)s, id,
           md5('mail ' || (row_number() OVER ()) %% %(nodes)s)::uuid, 'as we said', 5, 15
    FROM graph_edges WHERE tenant_id = %(tenant)s;
RESET ROLE;
ANALYZE graph_nodes, graph_edges, graph_evidence, graph_heads, messages;
"""
ANY: LiteralString = "SELECT id FROM graph_nodes WHERE tenant_id = %(tenant)s ORDER BY id LIMIT %(most)s"
BUSY: LiteralString = (
    "SELECT target_node_id AS id FROM graph_edges WHERE tenant_id = %(tenant)s"
    " GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT %(most)s"
)


def main(*, nodes: int = NODES, edges: int = EDGES) -> dict[str, Any]:
    """Fill a home's database, walk, and divide; seconds, milliseconds and MB."""
    with home() as folder:
        filled = _child(folder, "fill", "--nodes", str(nodes), "--edges", str(edges))
        return {**filled, **_child(folder, "walk"), **_child(folder, "divide")}


def _child(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.graph_walks", "--home", str(folder), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment(), check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def _opened(folder: Path, how: str, nodes: int, edges: int) -> dict[str, Any]:
    settings, _ = load_settings({"ATOM_HOME": str(folder)}, folder)
    async with open_app(settings) as app:
        tenant = (await app.tenant()).id
        if how == "fill":
            return _fill(app.database.url, tenant, nodes, edges)
        return await (_walk if how == "walk" else _divide)(app, tenant)


def _fill(url: str, tenant: TenantId, nodes: int, edges: int) -> dict[str, Any]:
    began = time.monotonic()
    values = {"tenant": tenant, "nodes": nodes, "edges": edges, "hubs": HUBS, "home": HOME}
    with psycopg.connect(url, autocommit=True) as connection:
        psycopg.ClientCursor(connection).execute(SEED, values)
    return {"nodes": nodes, "edges_asked_for": edges, "filled_s": round(time.monotonic() - began, 1)}


async def _walk(app: App, tenant: TenantId) -> dict[str, Any]:
    async with app.database.transaction(Work(tenant)) as tx:
        # By their ids, which are hashes: any; but every tenth is a hub.
        any_ = await tx.fetch_all(ANY, {"tenant": tenant, "most": WALKS})
        hubs = await tx.fetch_all(BUSY, {"tenant": tenant, "most": WALKS // 10})
    starts: list[UUID] = [row["id"] for row in any_[: WALKS - len(hubs)]] + [row["id"] for row in hubs]
    walks = PostgresWalks(app.database, tenant)
    document: dict[str, Any] = {}
    for depth in (1, 2, 3):
        taken, found = [], 0
        for start in starts:
            began = time.monotonic()
            found += len((await walks.neighbors(start, depth))["edges"])
            taken.append(1000 * (time.monotonic() - began))
        taken.sort()
        middle, late = (round(taken[int(len(taken) * share)], 1) for share in (0.5, 0.95))
        document[f"steps_{depth}"] = {"p50_ms": middle, "p95_ms": late, "edges": found // len(starts)}
    return document


async def _divide(app: App, tenant: TenantId) -> dict[str, Any]:
    began, cpu = time.monotonic(), time.process_time()
    found = communities_of(app, tenant)
    await found.review()
    seconds, cpu_s = time.monotonic() - began, time.process_time() - cpu
    largest = await found.show(None, 1)
    return {
        "communities_s": round(seconds, 1),
        "communities_cpu_s": round(cpu_s, 1),
        "communities_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "largest": largest[0]["size"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    parser.add_argument("how", nargs="?", choices=["fill", "walk", "divide"])
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--edges", type=int, default=EDGES)
    given = parser.parse_args()
    told = (
        asyncio.run(_opened(given.home, given.how, given.nodes, given.edges))
        if given.home
        else main(nodes=given.nodes, edges=given.edges)
    )
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
