"""Compares a mailbox's files with the record and the memory made of it, row by row. Shares no code with the product.

By hand: `python tests/e2e/checker.py DATA NAME POSTGRES_URL MEMORY_FOLDER [--folder F]…`; prints what differs.
The URL must be of a login that sees bodies.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import lancedb
import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
EXCLUDED = ("junkemail", "deleteditems", "drafts")
SHOWN = 12
"""Differences of one sort that are written out; the rest are counted."""


@dataclass(frozen=True)
class Truth:
    """What the files hold: messages by id (of several lines with one id the last counts), folders by id."""

    messages: dict[str, Row]
    folders: dict[str, Row]


@dataclass(frozen=True)
class Wanted:
    """What a backfill was asked for.

    `until` of None: the end that the job's row names, and what is dated more than a day later, which cannot be new.
    `odd`: ids whose date and words are not compared. `failed`: ids that must be failures. `gone`: ids that may be there
    or not (they moved or were deleted meanwhile).
    """

    folders: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    odd: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()


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


@dataclass
class Report:
    """Differences, by sort."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, sort: str, what: Iterable[object]) -> None:
        for each in what:
            self.found.setdefault(sort, []).append(str(each))

    def lines(self) -> list[str]:
        return [
            f"{sort} ({len(what)}): {'; '.join(sorted(what)[:SHOWN])}{' …' if len(what) > SHOWN else ''}"
            for sort, what in self.found.items()
        ]


# Truth ---------------------------------------------------------------------------------------------------------------


def read_truth(directory: Path, name: str) -> Truth:
    """Read `DIR/mailboxes/<name>.jsonl.gz` and `<name>.folders.json`."""
    place = directory / "mailboxes"
    listed = json.loads((place / f"{name}.folders.json").read_text())
    folders = {each["id"]: each for each in (listed["value"] if isinstance(listed, dict) else listed)}
    with gzip.open(place / f"{name}.jsonl.gz") as lines:
        messages = {each["id"]: each for each in map(json.loads, lines)}
    return Truth(messages, folders)


def due(truth: Truth, wanted: Wanted, until: datetime) -> dict[str, str]:
    """Return the ids that must be read, each with the folder that it must be found in."""
    reading = {each for each in truth.folders if _is_read(truth, truth.folders[each], wanted.folders)}
    drafts = {each for each, folder in truth.folders.items() if _known(folder) == "drafts"}
    found = {}
    for source_id, message in truth.messages.items():
        folder = _folder_of(truth, message)
        date = date_of(message)
        in_range = date is None or ((wanted.since is None or date >= wanted.since) and date < until)
        in_range |= wanted.until is None and date is not None and date > until + timedelta(days=1)
        draft = message.get("isDraft") is True and folder not in drafts
        if folder in reading and in_range and not draft and source_id not in wanted.gone:
            found[source_id] = folder
    return found


def date_of(message: Row) -> datetime | None:
    """Read a date as strictly as Graph's filters do, to the second; None where it is none."""
    text = message.get("receivedDateTime")
    if not isinstance(text, str) or not re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", text
    ):
        return None
    try:
        return datetime.fromisoformat(text).replace(microsecond=0).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _is_read(truth: Truth, folder: Row, named: Sequence[str]) -> bool:
    if str(folder.get("@odata.type", "")).endswith("mailSearchFolder"):
        return False
    if not named:
        return not any(_known(each) in EXCLUDED for each in _line_of(truth, folder))
    path = "/".join(str(each.get("displayName")) for each in reversed(_line_of(truth, folder)))
    names = {path.casefold(), _known(folder) or path.casefold(), folder["id"].casefold()}
    return bool(names & {name.casefold() for name in named}) or "all" in named


def _line_of(truth: Truth, folder: Row) -> list[Row]:
    """Return a folder and those above it."""
    line = [folder]
    while (parent := truth.folders.get(line[-1].get("parentFolderId", ""))) is not None and parent not in line:
        line.append(parent)
    return [each for each in line if _known(each) != "msgfolderroot"]


def _folder_of(truth: Truth, message: Row) -> str:
    named = message.get("parentFolderId")
    if named in truth.folders:
        return str(named)
    return next(each for each, folder in truth.folders.items() if _known(folder) == "inbox")


def _known(folder: Row) -> str:
    return str(folder.get("wellKnownName") or "").lower()


# Store ---------------------------------------------------------------------------------------------------------------


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


# Comparison ----------------------------------------------------------------------------------------------------------


def differences(truth: Truth, store: Store, wanted: Wanted = Wanted()) -> list[str]:
    """Say what is not as it must be after a completed backfill; nothing where all is right."""
    report = Report()
    until = wanted.until or store.jobs[-1]["end_date"]
    expected = due(truth, wanted, until)
    _compare_ids(report, expected, store, wanted)
    _compare_places(report, expected, store)
    _compare_memory(report, store)
    _compare_jobs(report, store)
    for row in store.messages:
        message = truth.messages.get(row["source_id"])
        if message is not None:
            _compare_message(report, message, row, odd=row["source_id"] in wanted.odd)
    _compare_findings(report, store)
    return report.lines()


def _compare_ids(report: Report, expected: dict[str, str], store: Store, wanted: Wanted) -> None:
    stored = Counter(row["source_id"] for row in store.messages)
    failed = Counter(row["source_id"] for row in store.failures)
    report.add("lost: neither stored nor failed", expected.keys() - stored.keys() - failed.keys())
    report.add("stored and failed at once", stored.keys() & failed.keys())
    report.add("stored twice", (each for each, times in (stored + failed).items() if times > 1))
    report.add("not due, but there", (stored.keys() | failed.keys()) - expected.keys() - wanted.gone)
    report.add(
        "failed unexpectedly", (_failure(row) for row in store.failures if row["source_id"] not in wanted.failed)
    )
    report.add("should have failed", wanted.failed - failed.keys())


def _failure(row: Row) -> str:
    return f"{row['source_id'][:24]} {row['stage']} {row['error_code']}: {row['error']}"


def _compare_places(report: Report, expected: dict[str, str], store: Store) -> None:
    places: dict[Any, set[str]] = {}
    for place in store.places:
        places.setdefault(place["message_id"], set()).add(place["folder_id"])
    for row in store.messages:
        if row["source_id"] in expected and places.get(row["id"], set()) != {expected[row["source_id"]]}:
            report.add("wrong folder", [row["source_id"]])


def _compare_memory(report: Report, store: Store) -> None:
    rows: dict[str, list[Row]] = {}
    for passage in store.passages:
        rows.setdefault(passage["message_id"], []).append(passage)
    doubled = Counter(passage["id"] for passage in store.passages)
    report.add("passage twice", (each for each, times in doubled.items() if times > 1))
    report.add("passages of unknown messages", rows.keys() - {str(row["id"]) for row in store.messages})
    for message in store.messages:
        found = rows.get(str(message["id"]), [])
        current = [row for row in found if row["generation"] == message["generation"]]
        if sorted(row["seq"] for row in current) != list(range(message["passages"])):
            report.add("wrong passages", [f"{message['source_id']}: {len(current)} of {message['passages']}"])
        if len(current) != len(found):
            report.add("passages of another generation", [message["source_id"]])
        for row in current:
            text = message["text"] or ""
            if row["text"] != text[row["start"] : row["end"]] or row["thread_id"] != str(message["thread_id"]):
                report.add("passage is not of its text", [row["id"]])


def _compare_jobs(report: Report, store: Store) -> None:
    for job in store.jobs:
        if job["status"] == "completed" and job["progress_percentage"] != 100:
            report.add("completed below 100 %", [job["id"]])
        for counter, count in store.counted[job["id"]].items():
            if job[counter] != count:
                report.add("wrong counter", [f"{counter} is {job[counter]}, counted {count}"])
    if store.jobs[-1]["status"] != "completed":
        report.add("not completed", [f"{store.jobs[-1]['status']}: {store.jobs[-1]['last_error']}"])
    elif store.unfinished:
        report.add("chunks not done", [store.unfinished])
    report.add("graph", (f"{count} {sort}" for sort, count in store.graph.items() if count))


def _compare_message(report: Report, message: Row, row: Row, *, odd: bool) -> None:
    source_id = row["source_id"]
    if not row["has_body"]:
        report.add("no body", [source_id])
    date = date_of(message)
    received = row["received_at"] and row["received_at"].replace(microsecond=0)
    if not odd and received != date:
        report.add("wrong date", [f"{source_id}: {received} is not {date}"])
    pairs: dict[str, tuple[Any, Any]] = {
        "subject": (_words(message.get("subject")), _words(row["subject"])),
        "sender": (_sender(message), row["from_address"]),
        "conversation": (message.get("conversationId") or "", row["conversation_id"]),
        "internet message id": ((message.get("internetMessageId") or "").strip(), row["internet_message_id"]),
    }
    if not odd:
        report.add("wrong header", (f"{what} of {source_id}" for what, (there, here) in pairs.items() if there != here))
        missing = lost_words(message, row["text"] or "")
        if missing:
            report.add("words lost", [f"{source_id}: {' '.join(missing[:8])}"])


def _sender(message: Row) -> str:
    address = ((message.get("from") or message.get("sender") or {}).get("emailAddress") or {}).get("address")
    return (address or "").strip().lower()


def _compare_findings(report: Report, store: Store) -> None:
    for row in store.findings:
        about = row["properties"]
        source = {"content": row["text"], "subject": row["subject"]}.get(about["field"])
        if source is None or about.get("start") is None:
            continue
        start, end = about["start"], about["end"]
        quoted = source[start:end]
        is_there = 0 <= start < end <= len(source) and (row["entity_type"] == "link" or quoted == row["name"])
        if not is_there:
            report.add("finding is not where it says", [f"{row['entity_type']} {row['name']!r} at {quoted!r}"])


# Text ----------------------------------------------------------------------------------------------------------------


def lost_words(message: Row, stored: str) -> list[str]:
    """Return words of the body that the stored text lacks, where they are more than a hundredth (HTML: a tenth)."""
    body = message.get("body") or {}
    content = body.get("content")
    if not isinstance(content, str):
        return []
    html = str(body.get("contentType")).lower() == "html"
    wanted = Counter(_words(_visible(content) if html else content))
    missing = wanted - Counter(_words(stored))
    allowed = (0.1 if html else 0.01) * wanted.total()
    return [] if missing.total() <= allowed else list(missing)


def _words(text: object) -> list[str]:
    if not isinstance(text, str):
        return []
    plain = unicodedata.normalize("NFKC", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return re.findall(r"[^\W_]{2,}", plain.casefold())


def _visible(html: str) -> str:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return " ".join(reader.text)


class _Reader(HTMLParser):
    """Collects what a reader would see, roughly."""

    SILENT = frozenset({"script", "style", "head", "title", "noscript", "template"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        hidden = any(
            name == "style" and re.search(r"display\s*:\s*none|font-size\s*:\s*0", value or "") for name, value in attrs
        )
        if (
            tag in self.SILENT
            or (self._silent and tag == self._silent[-1])
            or (hidden and tag in ("div", "span", "p", "td"))
        ):
            self._silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._silent and tag == self._silent[-1]:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text.append(data)


def main() -> int:
    """Check from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in (("data", Path), ("name", str), ("url", str), ("memory", Path)):
        parser.add_argument(name, type=kind)
    parser.add_argument("--folder", action="append", default=[])
    asked = parser.parse_args()
    store = read_store(asked.url, asked.memory, f"{asked.name}@example.com")
    found = differences(read_truth(asked.data, asked.name), store, Wanted(folders=tuple(asked.folder)))
    write: Callable[[str], object] = sys.stdout.write
    write("".join(f"{line}\n" for line in found) or f"{len(store.messages)} messages: no difference\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
