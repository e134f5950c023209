"""verify, rebuild and balance --fetch as a person types them, on local mail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import lancedb
import psycopg
import pytest

from e2e.product import Product, a_product
from mainjob import some_mails, write_mails

pytestmark = pytest.mark.long


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    write_mails(tmp_path / "mail", some_mails(12))
    with a_product(tmp_path / "home") as product:
        product.run("connect", "mbox", str(tmp_path / "mail"), "--address", "ines@lumen.example")
        product.backfill("ines@lumen.example")
        yield product


def found(product: Product) -> set[str]:
    """What a search finds, without the order, in which equals may change places."""
    return {each["message_id"] for each in product.json("search", "harbour", "--limit", "50")["results"]}


def test_a_memory_is_checked_mended_and_made_anew(product: Product, tmp_path: Path) -> None:
    whole = product.json("verify")
    assert (whole["verified"], whole["compared"], whole["differences"], whole["repaired"]) == (True, 12, [], 0)
    [folder] = (tmp_path / "home" / "memory").iterdir()
    rows = lancedb.connect(folder).open_table("passages")
    [lost, odd, *_] = sorted(row["id"] for row in rows.search().select(["id"]).limit(None).to_list())
    rows.delete(f"id = '{lost}'")
    rows.update(where=f"id = '{odd}'", values={"text": "something else"})
    short = product.json("verify", status=1)
    assert {(each["kind"], each["passage_id"]) for each in short["differences"]} == {
        ("missing", lost),
        ("differs", odd),
    }
    assert "1 missing, 1 that differ" in product.run("verify", status=1).out
    assert product.json("verify", "--repair")["repaired"] == 2
    before = found(product)

    assert "12 of 12 messages" in product.run("rebuild").err
    made = product.run("rebuild", "--json")
    assert (json.loads(made.out)["messages"], made.err) == (12, "")
    assert product.json("verify")["verified"]
    assert found(product) == before
    assert product.json("rebuild", "--account", "ines@lumen.example")["messages"] == 12
    assert product.json("verify")["verified"]

    write_mails(tmp_path / "mail", some_mails(3, first=30))
    assert not product.json("balance", status=1)["balanced"]
    fetched = product.run("balance", "--fetch")
    assert "3 that are missing" in fetched.err
    assert "It balances." in fetched.out
    assert product.json("verify")["compared"] == 15


def test_run_works_off_the_retry_of_a_completed_job(product: Product) -> None:
    (job,) = (each["job_id"] for each in product.json("jobs")["jobs"])
    with psycopg.connect(product.superuser_url, autocommit=True) as admin:
        admin.execute(
            "UPDATE sync_chunks SET state = 'quarantined', error_code = 'bug' "
            "WHERE id = (SELECT min(id::text) FROM sync_chunks WHERE kind = 'check')::uuid"
        )
    assert product.json("show", job)["failures"] == 1
    for _ in range(2):
        assert product.json("retry", job)["status"] == "completed"
    assert product.json("show", job)["phase"] == "retrying"
    *_, last = map(json.loads, product.run("run", job, "--json").out.splitlines())
    assert (last["status"], last["phase"], last["failures"]) == ("completed", "done", 0)
