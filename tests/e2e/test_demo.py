"""The demo, small: it reads, answers and balances, and leaves nothing behind, however it ends."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from command_line import PROGRAM, environment, running
from forked import Forked


@dataclass(frozen=True)
class Demo:
    """A demo at work, and what it has got as far as."""

    process: Forked
    scratch: Path

    @property
    def home(self) -> Path | None:
        return next(self.scratch.glob("atom-demo-*"), None)

    def is_writing_the_sample(self) -> bool:
        return bool(self._processes("atom_simulators.sample"))

    def is_starting_the_simulator(self) -> bool:
        return bool(self._processes("atom_simulators.graph"))

    def is_making_the_database(self) -> bool:
        return bool(self._processes("initdb"))

    def has_just_spawned_the_server(self) -> bool:
        return bool(self.home and any(" -k " in line for line in self._processes("postgres")))

    def is_cleaning_up(self) -> bool:
        return bool(self._processes("pg_ctl"))

    def _processes(self, program: str) -> list[str]:
        return [line for line in processes_of(self.home) if program in line] if self.home else []


def processes_of(home: Path) -> list[str]:
    """Command lines of living processes that name a home, or the place outside it where root keeps its server."""
    names = str(home), "atom-backfill-" + hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(name in line for name in names):
            found.append(line)
    return found


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder for temporary files that an account without rights can reach."""
    place = tmp_path / "t"
    place.mkdir()
    return place


def assert_nothing_is_left(scratch: Path, home: Path | None = None) -> None:
    assert list(scratch.iterdir()) == []
    assert processes_of(scratch) == []
    assert not home or processes_of(home) == []


@pytest.mark.long
def test_the_demo_as_a_document(scratch: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "demo", "--mails", "60", "--json"], stdout=subprocess.PIPE, env=environment(TMPDIR=str(scratch)),
        timeout=120, check=True,
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert (document["job"]["status"], document["balance"]["balanced"]) == ("completed", True)
    assert all(search["query"] and search["results"] for search in document["searches"])
    assert_nothing_is_left(scratch)


def test_the_demo_reads_answers_and_balances_and_what_it_keeps_is_gone_after_ctrl_c(scratch: Path) -> None:
    with running("demo", "--mails", "60", "--keep", settings={"TMPDIR": str(scratch)}, new_session=True) as demo:
        said = _until(demo.err, "export ATOM_LOGIN_BASE_URL")
        os.killpg(demo.process.pid, signal.SIGINT)  # as a terminal does
        done = demo.end()
    said += done.err
    assert done.status == 0, said
    assert "completed: " in said
    assert "$ atom-backfill search" in done.out
    assert "by meaning #1" in done.out
    assert "It balances." in done.out
    assert ("Traceback" in said, "To go on" in said) == (False, False)
    assert_nothing_is_left(scratch)


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "waits_for"),
    [(signal.SIGINT, "planning: "), (signal.SIGTERM, "Connected ")],
    ids=["Ctrl-C while reading", "SIGTERM"],
)
def test_a_demo_that_is_stopped_leaves_nothing_behind(scratch: Path, number: signal.Signals, waits_for: str) -> None:
    with running("demo", "--mails", "60", settings={"TMPDIR": str(scratch)}, new_session=True) as demo:
        said = _until(demo.err, waits_for)
        os.killpg(demo.process.pid, number)
        done = demo.end()
    said += done.err
    assert done.status == 130, said
    assert "Traceback" not in said
    assert "To go on" not in said, "its home is gone"
    assert_nothing_is_left(scratch)


def _until(lines: Iterable[str], found: str) -> str:
    """Read lines to one in which something is found; returns all of them."""
    said = ""
    for line in lines:
        said += line
        if found in line:
            break
    return said


@pytest.mark.long
@pytest.mark.parametrize(
    "moment",
    [
        Demo.is_writing_the_sample,
        Demo.is_starting_the_simulator,
        Demo.is_making_the_database,
        Demo.has_just_spawned_the_server,
        Demo.is_cleaning_up,
    ],
    ids=lambda moment: moment.__name__,
)
def test_a_demo_that_is_interrupted_at_any_moment_leaves_nothing_running(
    scratch: Path, moment: Callable[[Demo], bool]
) -> None:
    with running("demo", "--mails", "50", settings={"TMPDIR": str(scratch)}, new_session=True) as program:
        demo = Demo(program.process, scratch)
        while not moment(demo):
            assert program.process.returncode is None, "it ended before that moment"
            time.sleep(0.02)  # looking is work, too
        home = demo.home
        os.killpg(program.process.pid, signal.SIGINT)
        done = program.end()
    assert (done.status, "Traceback" in done.err) == (130, False), done
    assert home
    assert_nothing_is_left(scratch, home)
