"""Kill −9 between any two steps of a rebuild: the old memory stays in use and whole, and the next rebuild ends it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import lancedb
import pytest

from atom_backfill.db.pool import Database
from fakes.embedder import HashEmbedder
from mainjob import an_office
from mortals import Mortals
from rebuilds import Keeping, passages

REBUILDERS = """
import asyncio, json, os, signal, sys
from collections import Counter
from pathlib import Path
from uuid import UUID
from atom_backfill.custody import rebuild as rebuilding
from atom_backfill.db.pool import Database
from fakes.embedder import HashEmbedder
from mainjob import an_office
from rebuilds import Keeping

rebuilding.AT_ONCE, rebuilding.FEW = 40, 0

async def main(orders):
    reached = Counter()
    async def die(name):
        reached[name] += 1
        if (name, reached[name]) == (orders["point"], orders["times"]):
            os.kill(os.getpid(), signal.SIGKILL)
    async with await Database.open(orders["url"]) as database, an_office(
        database, UUID(orders["tenant"]), UUID(orders["account"]), Path(orders["root"]), Path(orders["home"])
    ) as office:
        await Keeping(office, HashEmbedder()).rebuild(die)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(main(json.loads(line)))
            status = 0
        finally:
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
POINTS = [
    ("rebuild_begun", 1),
    ("rebuild_written", 1),
    ("rebuild_written", 3),
    ("rebuild_built", 1),
    ("rebuild_made_up", 1),
    ("rebuild_swapping", 1),
    ("rebuild_replaced", 1),
    ("rebuild_swapped", 1),
]


@pytest.fixture(scope="module")
def rebuilders() -> Iterator[Popen[str]]:
    """A process that has loaded its libraries, and forks a rebuilder for each line."""
    tests = Path(__file__).parents[1]
    process = Popen([sys.executable, "-c", REBUILDERS], cwd=tests, stdin=PIPE, stdout=PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


async def rebuild(mortals: Mortals, rebuilders: Popen[str], point: str, times: int) -> int:
    """Rebuild in a process that dies at a point; returns how it ended."""
    told: dict[str, Any] = {
        "url": mortals.url,
        "tenant": str(mortals.tenant),
        "account": str(mortals.account),
        "root": str(mortals.root),
        "home": str(mortals.home),
        "point": point,
        "times": times,
    }
    assert rebuilders.stdin
    assert rebuilders.stdout
    rebuilders.stdin.write(json.dumps(told) + "\n")
    rebuilders.stdin.flush()
    return int(await asyncio.wait_for(asyncio.to_thread(rebuilders.stdout.readline), 120))


def made_by(table: lancedb.table.Table) -> bytes:
    """Return which rebuild has made a table."""
    found: bytes = table.schema.metadata[b"atom.made"]
    return found


@pytest.mark.long
async def test_a_rebuild_killed_between_any_two_steps_leaves_a_whole_memory_in_use(
    mortals: Mortals, rebuilders: Popen[str]
) -> None:
    await mortals.start()
    worker = await mortals.worker()
    assert await worker.ended() == 0
    async with (
        await Database.open(mortals.url) as database,
        an_office(database, mortals.tenant, mortals.account, mortals.root, mortals.home) as office,
    ):
        keeping = Keeping(office, HashEmbedder())
        whole = await keeping.rows()
        assert len(whole) == len(mortals.mails)
        for point, times in POINTS:
            before = passages(office)
            made, rows = made_by(before), before.count_rows()
            assert await rebuild(mortals, rebuilders, point, times) == -signal.SIGKILL, f"nobody came to {point}"
            assert (made_by(passages(office)) != made) == (point in ("rebuild_replaced", "rebuild_swapped"))
            assert passages(office).count_rows() == before.count_rows() == rows, "at all times, whoever looks"
            assert await keeping.rows() == whole, point
            assert (await keeping.standing.standing()).swapping is None
        assert await rebuild(mortals, rebuilders, "", 0) == 0
        assert await keeping.rows() == whole
        assert (await keeping.verified()).verified
        assert [each.name for each in (office.memory / str(office.tenant)).iterdir()] == ["passages.lance"]
