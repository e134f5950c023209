"""Files that are made to stop a reader go through the worker, which stores their neighbours and grows no larger."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from e2e.product import Product, a_product
from fakes.embedding_server import embedding_server

ADDRESS = "ines@example.com"
MEGABYTE = 1_000_000
SECONDS_EACH, MEMORY_EACH = 5.0, 500 * MEGABYTE
HOSTILE = {
    "one address header of a megabyte": "To: " + "a,b;<" * (MEGABYTE // 5),
    "a megabyte of addresses": "To: " + ", ".join(f'"C, {n}" <c{n}@example.org>' for n in range(MEGABYTE // 32)),
    "brackets without end": "From: " + "(" * MEGABYTE,
    "encoded words without end": "Subject: " + "=?utf-8?q?" * (MEGABYTE // 10),
}
GOOD = (*range(8), *range(10, 14))


def a_file(number: int, header: str = "") -> str:
    """A mail file, with one more header."""
    lines = [
        f"Message-ID: <m-{number}@example.org>",
        "From: Tomasz Reyl <tomasz@example.org>",
        f"Date: Mon, 2 Mar 2026 09:{number:02}:00 +0000",
        f"Subject: Tide table {number}",
        *([header] if header else []),
        "",
        f"High water at the north pier, table {number}.",
    ]
    return "\r\n".join(lines) + "\r\n"


def worked(product: Product) -> tuple[float, int]:
    """Let a worker do all there is to do; returns the CPU seconds and the peak bytes of it or a process below it."""
    with product.worker("--drain", fresh=True) as worker:
        _, status, used = os.wait4(worker.process.pid, 0)
    assert status == 0, worker.path.read_text()
    return used.ru_utime + used.ru_stime, _bytes(used)


def _bytes(used: resource.struct_rusage) -> int:
    return used.ru_maxrss * (1 if os.uname().sysname == "Darwin" else 1024)


@pytest.mark.long
def test_a_megabyte_of_header_costs_little_and_no_neighbour(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    for number in range(8):
        (mail / f"{number}.eml").write_text(a_file(number))
    with embedding_server() as embeddings, a_product(tmp_path / "home", embeddings=embeddings.url) as product:
        product.run("connect", "mbox", str(mail), "--address", ADDRESS)
        product.start(ADDRESS)
        plain_seconds, plain_bytes = worked(product)
        for number, header in enumerate(HOSTILE.values(), start=20):
            (mail / f"{number}.eml").write_text(a_file(number, header))
        for number in range(10, 14):
            (mail / f"{number}.eml").write_text(a_file(number))
        job = product.start(ADDRESS, "--again")
        seconds, peak = worked(product)
        done = product.job(job)
        assert done["status"] == "completed"
        assert done["records_processed"] + done["failures"] == 4 + len(HOSTILE)
        assert all(failure["error_code"] for failure in product.json("failures", job)["failures"])
        stored = {row["internet_message_id"]: row["subject"] for row in product.store(ADDRESS).messages}
        assert {f"<m-{n}@example.org>": f"Tide table {n}" for n in GOOD}.items() <= stored.items()
        assert product.json("balance")["balanced"] is True
        assert seconds - plain_seconds <= SECONDS_EACH * len(HOSTILE)
        assert peak - plain_bytes <= MEMORY_EACH
