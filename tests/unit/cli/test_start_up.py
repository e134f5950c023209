"""Help comes at once: nothing slow is imported for it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import PROGRAM, environment

SLOW = ("asyncio", "rich", "psycopg", "structlog", "lancedb", "numpy", "httpx", "onnxruntime", "cryptography", "dotenv")


@pytest.mark.parametrize("line", ["--help", "search --help", "db --help", "db url --help"])
def test_help_imports_nothing_slow(line: str) -> None:
    code = f"import sys; from atom_backfill.cli.main import main; main({line.split()!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded.isdisjoint(SLOW)


def test_help_takes_less_than_three_tenths_of_a_second() -> None:
    # Processor time: what the same takes on a machine that has nothing else to do.
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([*PROGRAM, "--help"], stdout=subprocess.DEVNULL, env=environment(), check=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) < 0.3


def test_the_version_is_the_distribution_s() -> None:
    done = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("atom-backfill 0.")


def test_a_reader_of_stdout_that_has_had_enough_is_no_error() -> None:
    with subprocess.Popen([*PROGRAM, "settings"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("closed", "status", "out", "err"),
    [
        ("2>&-", 0, "atom-backfill", ""),
        (">&-", 1, "", "atom-backfill: The answer could not be written: stdout is closed."),
    ],
)
def test_a_closed_stream_is_no_mistake_of_the_product(closed: str, status: int, out: str, err: str) -> None:
    line = f"{shlex.join(PROGRAM)} settings {closed}"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode, done.stderr.strip()) == (status, err)
    assert out in done.stdout


def test_a_full_disk_behind_stdout_is_said_in_a_sentence() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([*PROGRAM, "settings"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["atom-backfill: The answer could not be written: No space left on device."]


@pytest.mark.parametrize("module", ["click", "atom_backfill.cli.accounts"])
def test_an_interrupt_while_the_program_is_loaded_ends_with_130(tmp_path: Path, module: str) -> None:
    # Where a module of the program is looked for, Ctrl-C comes instead.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
    )
    done = subprocess.run(
        [*PROGRAM, "jobs"], capture_output=True, text=True, env=environment(PYTHONPATH=str(tmp_path)), check=False
    )
    assert (done.returncode, done.stderr) == (130, "atom-backfill: interrupted\n")
