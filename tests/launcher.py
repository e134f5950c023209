"""A worker process on local files that can be made to die, to stop, or to compute without a pause, at a named point.

It is put together as the app does it, with the hash embedder and without the sandbox's child, so that it works quickly.
Its libraries take two seconds to load, so one process loads them, and every line of orders on its input becomes a fork
of it, one after the other; the lines `ready PID`, `frozen` and `ended STATUS` tell how each fares.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import UUID

from atom_backfill.db.pool import Database
from atom_backfill.jobs.job import AccountId, Lane, Lease, Outcome, TenantId
from atom_backfill.jobs.postgres import PostgresJobStore
from atom_backfill.telemetry import configure
from mainjob import an_office


@dataclass
class Orders:
    """What a worker is told.

    `die`: {point: n} kills it with SIGKILL when it reaches that point for the n-th time; `freeze` stops it there with
    SIGSTOP. The points between two steps of a page are the product's; those of the engine are `WatchedStore`'s. `burn`
    computes there without a pause until the file `enough` is in the home: in the event loop's thread, or `burn_in`
    another.
    """

    url: str
    tenant: str
    account: str
    root: str
    home: str
    die: dict[str, int] = field(default_factory=dict)
    freeze: dict[str, int] = field(default_factory=dict)
    burn: dict[str, int] = field(default_factory=dict)
    burn_in: str = "loop"
    lease_s: float = 20.0
    drain: bool = True
    concurrency: int = 4

    def as_line(self) -> str:
        """As the launcher takes them."""
        return json.dumps(asdict(self)) + "\n"


class Points:
    """Counts how often each point has been reached, and does what was ordered there."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._reached = Counter[str]()

    async def reached(self, name: str) -> None:
        """Die, stop or compute here, if that is ordered."""
        self._reached[name] += 1
        if self._orders.die.get(name) == self._reached[name]:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._orders.freeze.get(name) == self._reached[name]:
            print("frozen", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._orders.burn.get(name) == self._reached[name]:
            print("burning", flush=True)
            if self._orders.burn_in == "loop":
                self._burn()
            else:
                await asyncio.to_thread(self._burn)

    def _burn(self) -> None:
        enough, number = Path(self._orders.home) / "enough", 1
        while not enough.exists():
            for _ in range(100_000):
                number = number * 48271 % 2147483647


class WatchedStore(PostgresJobStore):
    """The engine's store, with points around its claims and settles."""

    def __init__(self, database: Database, lease_s: float, points: Points) -> None:
        super().__init__(database, lease_s=lease_s)
        self._points = points

    async def claim(self, worker: str, lanes: Sequence[Lane]) -> Lease | None:
        lease = await super().claim(worker, lanes)
        if lease is not None:
            await self._points.reached("leased")
        return lease

    async def settle(self, lease: Lease, outcome: Outcome) -> None:
        await self._points.reached("settling")
        await super().settle(lease, outcome)
        await self._points.reached("settled")


async def main(orders: Orders) -> None:
    """Work until nothing is left to do, or until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    points = Points(orders)
    tenant, account = TenantId(UUID(orders.tenant)), AccountId(UUID(orders.account))
    async with (
        await Database.open(orders.url) as database,
        an_office(database, tenant, account, Path(orders.root), Path(orders.home)) as office,
    ):
        office.reached = points.reached
        office.lease_s = orders.lease_s
        office.store = WatchedStore(database, orders.lease_s, points)
        print(f"ready {os.getpid()}", flush=True)
        await office.work(stop, drain=orders.drain, concurrency=orders.concurrency, name=f"pid-{os.getpid()}")


def serve() -> None:
    """Make a worker of each line of orders."""
    configure("json")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio.run(main(Orders(**json.loads(line))))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}", flush=True)


if __name__ == "__main__":
    serve()
