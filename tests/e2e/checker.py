"""Compares a mailbox's files with the record and the memory made of it, row by row. Shares no code with the product.

By hand: `PYTHONPATH=tests python -m e2e.checker DATA NAME POSTGRES_URL MEMORY_FOLDER [--folder F]…`; prints what
differs. The URL must be of a login that sees bodies.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.stored import Store, read_store
from e2e.truth import Row, Truth, Wanted, date_of, due, read_truth
from e2e.words import lost_words, words_of

SHOWN = 12
"""Differences of one sort that are written out; the rest are counted."""


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


def differences(truth: Truth, store: Store, wanted: Wanted = Wanted()) -> list[str]:  # noqa: B008 - frozen
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
        "subject": (words_of(message.get("subject")), words_of(row["subject"])),
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
