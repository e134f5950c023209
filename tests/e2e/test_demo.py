"""The demo, small: it reads, answers and balances, and leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from command_line import PROGRAM, Done, environment, run


def processes_of(place: Path) -> list[str]:
    """Command lines of living processes that name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(place) in line:
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


def assert_nothing_is_left(scratch: Path) -> None:
    assert list(scratch.iterdir()) == []
    assert processes_of(scratch) == []


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
