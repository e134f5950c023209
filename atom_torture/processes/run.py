"""One run from its start to its rest, and what is looked at then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psycopg

from atom_torture.checker import Watcher, at_rest
from atom_torture.processes.disk import Disk
from atom_torture.processes.fleet import Fleet, faults_of_log
from atom_torture.processes.mailbox import ADDRESS
from atom_torture.processes.observer import observing, truth_of
from atom_torture.processes.schedule import Schedule
from atom_torture.processes.strikes import Result, Striker
from atom_torture.processes.world import Template, World, a_world
from atom_torture.truth import DOMAIN, Mail

REST_S = 240.0
"""In which every run comes to rest: chunks that have failed some times wait a minute, and more."""
TEND_S = 0.1
STORM_S = 2.0
CALM_S = 30.0
"""After a connection was broken, in which leases may lapse."""


async def run_schedule(template: Template, schedule: Schedule) -> Result:
    """Run it. Whatever is wrong is in the result; only a mistake of the harness raises."""
    result = Result(schedule.as_line())
    began = asyncio.get_running_loop().time()
    async with a_world(template, schedule) as world, AsyncExitStack() as stack:
        fleet = Fleet(world.environment, world.base, schedule.concurrency, schedule.workers)
        disk = _disk(world, fleet)
        if disk is not None:
            stack.callback(disk.close)
        stack.push_async_callback(fleet.bury)
        stack.callback(fleet.kill)
        observer = await stack.enter_async_context(observing(world.admin_url, world.mails, lambda: _healthy(striker)))
        striker = Striker(world, fleet, observer, disk, result)
        async with _tending(striker):
            await _drive(striker)
        await _end(striker)
        await _check(striker)
        result.violations += [*observer.violations, *fleet.violations]
    result.seconds = round(asyncio.get_running_loop().time() - began, 1)
    return result


async def _drive(striker: Striker) -> None:
    """Start a job, let everything strike, and wait for the end."""
    started = await striker.world.command("start", ADDRESS)
    if started.status:
        raise RuntimeError(f"start: {started.err}")
    for strike in striker.world.schedule.strikes:
        await _come_to(striker, strike.after)
        if striker.observer.seen and striker.observer.seen.ended:
            break
        await striker.strike(strike)
    if not await striker.observer.until(lambda seen: seen.ended, REST_S):
        seen = striker.observer.seen
        striker.result.violations.append(f"the run does not come to rest ({seen and seen.status})")


async def _come_to(striker: Striker, records: int) -> None:
    """Wait for so many records; while a connection is broken not for long, so that the next strike comes on top."""
    for _ in range(int(REST_S / STORM_S)):
        if await striker.observer.until(lambda seen: seen.ended or seen.records >= records, STORM_S):
            return
        if not striker.world.calm:
            return


async def _end(striker: Striker) -> None:
    """Tell everybody to go, and see that nobody is left."""
    await striker.dismiss_all()
    await striker.fleet.leave_nobody()
    for proxy in striker.world.proxies.values():
        proxy.heal()


async def _check(striker: Striker) -> None:
    """Compare everything with the truth, and let the program do so too."""
    world, found = striker.world, striker.result.violations
    if not found:
        async with await psycopg.AsyncConnection.connect(world.admin_url, autocommit=True) as admin:
            found += await at_rest(admin, world.memory, await truth_of(admin, world.mails), swept=False)
            found += await _left_over(admin)
        found += await _swept(world)
        found += [words for part in await asyncio.gather(_verified(world), _balanced(world)) for words in part]
    private = _private(world.mails)
    for worker in striker.fleet.workers:
        found += [words for words in faults_of_log(worker, private) if words not in found]


async def _left_over(admin: psycopg.AsyncConnection[Any]) -> list[str]:
    """Look at counters a last time, and for leases that nobody has any more."""
    watcher = Watcher(admin)
    await watcher.look(())
    row = await (
        await admin.execute(
            "SELECT count(*) FROM sync_chunks WHERE state = 'leased' AND lease_until >= atom_now()"
            " AND job_id = (SELECT id FROM historical_sync_jobs ORDER BY created_at DESC LIMIT 1)"
        )
    ).fetchone()
    leases = row[0] if row else 0
    return watcher.violations + ([f"{leases} leases are left at rest"] if leases else [])


async def _swept(world: World) -> list[str]:
    """Do what sweepers do, and more; there may be rows of what the database refuses in the memory, and nothing else."""
    done = await world.command("verify", "--repair", "--json")
    if done.status:
        return [f"verify --repair has ended with status {done.status}: {done.out[:300]}"]
    told = json.loads(done.out)
    found = {**told["counts"], **told["swept"]}
    if "refused" in world.schedule.poison:
        del found["foreign"]
    return [f"a sweep has found {count} times {kind}" for kind, count in found.items() if count]


async def _verified(world: World) -> list[str]:
    done = await world.command("verify", "--json")
    return [f"verify has ended with status {done.status}: {done.out[:300]}"] if done.status else []


async def _balanced(world: World) -> list[str]:
    done = await world.command("balance", "--json")
    if done.status:
        return [f"balance has ended with status {done.status}: {done.out[:300]}"]
    return [] if json.loads(done.out)["balanced"] else ["balance has ended with 0 and is not balanced"]


@asynccontextmanager
async def _tending(striker: Striker) -> AsyncIterator[None]:
    """Keep the fleet up, and know when it was last stormy."""

    async def tend() -> None:
        while True:
            await striker.fleet.tend()
            if not striker.world.calm:
                striker.stormy_at = asyncio.get_running_loop().time()
            await asyncio.sleep(TEND_S)

    task = asyncio.create_task(tend())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _healthy(striker: Striker) -> set[int]:
    """Name the workers whose leases must stand: never struck, and with a connection that has been whole for a while."""
    if asyncio.get_running_loop().time() - striker.stormy_at < CALM_S:
        return set()
    return {worker.pid for worker in striker.fleet.running if not worker.touched}


def _disk(world: World, fleet: Fleet) -> Disk | None:
    """Give the memory a disk of its own, where it will be filled."""
    if not any(strike.where == "memory" for strike in world.schedule.strikes):
        return None
    return Disk(world.memory, lambda: [worker.pid for worker in fleet.running])


def _private(mails: Sequence[Mail]) -> frozenset[str]:
    """Name words that are the mailbox's alone."""
    people = {mail.address(name) for mail in mails for name in (mail.sender, *mail.recipients)}
    subjects = {mail.subject for mail in mails if len(mail.subject.split()) > 2}
    return frozenset({ADDRESS, DOMAIN, *people, *subjects, *(mail.body.splitlines()[0] for mail in mails)})
