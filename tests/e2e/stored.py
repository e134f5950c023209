"""Everything that record and memory hold of one mailbox, read past the product."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lancedb
import psycopg
from psycopg.rows import dict_row

from e2e.truth import Row


@dataclass(frozen=True)
class Store:
    """Everything that was stored for one mailbox."""

    jobs: list[Row]
    messages: list[Row]
    places: list[Row]
    failures: list[Row]
    passages: list[Row]
    findings: list[Row]
    counted: dict[Any, Row]
    graph: Row
    unfinished: int


def read_store(url: str, memory: Path, address: str) -> Store:
    """Read all that is stored for the mailbox of an address."""
    with psycopg.connect(url, row_factory=dict_row, autocommit=True) as connection:

        def rows(statement: str, **values: Any) -> list[Row]:
            return connection.execute(statement, {"account": account["id"], **values}).fetchall()

        found = connection.execute("SELECT id, tenant_id FROM accounts WHERE address = %s", [address]).fetchall()
        account = _only(found)
        jobs = rows("SELECT * FROM historical_sync_jobs WHERE account_id = %(account)s ORDER BY created_at")
        return Store(
            jobs=jobs,
            messages=rows(_MESSAGES),
            places=rows("SELECT message_id, folder_id FROM message_places WHERE account_id = %(account)s"),
            failures=rows("SELECT * FROM failures WHERE account_id = %(account)s"),
            passages=_passages(memory / str(account["tenant_id"]), str(account["id"])),
            findings=rows(_FINDINGS),
            counted={job["id"]: _only(rows(_COUNTS, job=job["id"])) for job in jobs},
            graph=_only(rows(_GRAPH, tenant=account["tenant_id"])),
            unfinished=_only(rows(_UNFINISHED))["n"],
        )


def _passages(dataset: Path, account: str) -> list[Row]:
    columns = ["id", "message_id", "thread_id", "seq", "start", "end", "subject", "text", "generation", "account_id"]
    table = lancedb.connect(str(dataset)).open_table("passages")
    found: list[Row] = table.to_lance().to_table(columns=columns).to_pylist()
    return [row for row in found if row["account_id"] == account]


def _only(rows: list[Row]) -> Row:
    assert len(rows) == 1, f"one row expected, not {len(rows)}"
    return rows[0]


_MESSAGES = """SELECT m.*, b.text, b.source_body IS NOT NULL AS has_body FROM messages m
LEFT JOIN message_bodies b ON b.tenant_id = m.tenant_id AND b.message_id = m.id WHERE m.account_id = %(account)s"""
_FINDINGS = """SELECT f.message_id, f.name, f.entity_type, f.properties, m.subject, b.text FROM discovered_entities f
JOIN messages m ON m.tenant_id = f.tenant_id AND m.id = f.message_id
JOIN message_bodies b ON b.tenant_id = m.tenant_id AND b.message_id = m.id WHERE m.account_id = %(account)s"""
_COUNTS = """SELECT (SELECT count(*) FROM messages WHERE first_job_id = %(job)s) AS records_processed,
  (SELECT count(*) FROM discovered_entities WHERE job_id = %(job)s)
  + (SELECT count(*) FROM graph_evidence WHERE job_id = %(job)s AND node_id IS NOT NULL) AS entities_extracted,
  (SELECT count(*) FROM graph_evidence WHERE job_id = %(job)s AND edge_id IS NOT NULL) AS relationships_extracted"""
_GRAPH = """SELECT (SELECT count(*) FROM graph_edges e WHERE tenant_id = %(tenant)s AND weight <>
    (SELECT count(*) FROM graph_evidence v WHERE v.tenant_id = e.tenant_id AND v.edge_id = e.id)) AS wrong_weights,
  (SELECT count(*) FROM graph_edges WHERE tenant_id = %(tenant)s AND weight < 1) AS bare_edges,
  (SELECT count(*) FROM graph_nodes n WHERE tenant_id = %(tenant)s AND NOT EXISTS
    (SELECT FROM graph_evidence v WHERE v.tenant_id = n.tenant_id AND v.node_id = n.id)) AS bare_nodes"""
_UNFINISHED = """SELECT count(*) AS n FROM sync_chunks c JOIN historical_sync_jobs j ON j.id = c.job_id
WHERE c.account_id = %(account)s AND c.state <> 'done' AND j.status <> 'cancelled'"""
