"""The demo, small: it reads, answers and balances, and leaves nothing behind, however it ends."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from command_line import PROGRAM, Done, environment, run


@dataclass(frozen=True)
class Running:
    """A demo at work, and what it has got as far as."""

    process: subprocess.Popen[str]
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


def demo(scratch: Path, *arguments: str) -> Done:
    return run("demo", "--mails", "60", *arguments, settings={"TMPDIR": str(scratch)}, seconds=120)


def assert_nothing_is_left(scratch: Path, home: Path | None = None) -> None:
    assert list(scratch.iterdir()) == []
    assert processes_of(scratch) == []
    assert not home or processes_of(home) == []


def test_the_demo_reads_answers_and_balances(scratch: Path) -> None:
    done = demo(scratch)
    assert done.status == 0, done
    assert "completed: " in done.err
    assert "$ atom-backfill search" in done.out
    assert "by meaning #1" in done.out
    assert "It balances." in done.out
    assert_nothing_is_left(scratch)


def test_the_demo_as_a_document(scratch: Path) -> None:
    document = json.loads(demo(scratch, "--json").out)
    assert (document["job"]["status"], document["balance"]["balanced"]) == ("completed", True)
    assert all(search["query"] and search["results"] for search in document["searches"])
    assert_nothing_is_left(scratch)


@pytest.mark.parametrize(
    ("number", "arguments", "waits_for", "status"),
    [
        (signal.SIGINT, (), "planning: ", 130),
        (signal.SIGTERM, (), "Connected ", 130),
        (signal.SIGINT, ("--keep",), "export ATOM_LOGIN_BASE_URL", 0),
    ],
    ids=["Ctrl-C while reading", "SIGTERM", "Ctrl-C after --keep"],
)
def test_a_demo_that_is_stopped_leaves_nothing_behind(
    scratch: Path, number: signal.Signals, arguments: Sequence[str], waits_for: str, status: int
) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "demo", "--mails", "60", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(TMPDIR=str(scratch)),
        start_new_session=True,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if waits_for in line:
            os.killpg(process.pid, number)  # as a terminal does
            break
    said += process.communicate(timeout=60)[1].splitlines(keepends=True)
    assert process.returncode == status, said
    assert "Traceback" not in "".join(said)
    assert "To go on" not in "".join(said), "its home is gone"
    assert_nothing_is_left(scratch)


@pytest.mark.parametrize(
    "moment",
    [
        Running.is_writing_the_sample,
        Running.is_starting_the_simulator,
        Running.is_making_the_database,
        Running.has_just_spawned_the_server,
        Running.is_cleaning_up,
    ],
    ids=lambda moment: moment.__name__,
)
def test_a_demo_that_is_interrupted_at_any_moment_leaves_nothing_running(
    scratch: Path, moment: Callable[[Running], bool]
) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "demo", "--mails", "50"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(TMPDIR=str(scratch)),
        start_new_session=True,
    )
    running = Running(process, scratch)
    while not moment(running):
        assert process.poll() is None, "it ended before that moment"
    home = running.home
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert home
    assert_nothing_is_left(scratch, home)
