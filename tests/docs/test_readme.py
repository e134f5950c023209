"""README's terminal session, run as it stands against a local export in a home of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, STDOUT
from tempfile import mkdtemp

import pytest

from atom_backfill.db.embedded import EmbeddedPostgres
from local_export import write_export

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
SESSION = re.search(r"```console\n(.*?)```", README, re.DOTALL)
PROGRAM = "atom-backfill"


@pytest.fixture
def person(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody with an export in ~/export and nothing of ours yet."""
    export = tmp_path / "export"
    write_export(export, mails=100)
    # Below a short path: as root the server's account has to reach it.
    home = Path(mkdtemp(prefix="atom-readme-"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ATOM_", "DATABASE_URL", "XDG_"))}
    yield kept | {"HOME": str(tmp_path), "ATOM_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    EmbeddedPostgres(home).destroy()
    shutil.rmtree(home)


def test_the_session_goes_as_it_stands(person: dict[str, str]) -> None:
    assert SESSION is not None
    for command, shown in _steps(SESSION[1]):
        assert command.startswith(f"{PROGRAM} ")
        ours = command.replace(PROGRAM, f"{shlex.quote(sys.executable)} -m atom_backfill", 1)
        ran = subprocess.run(["/bin/sh", "-c", ours], env=person, check=False, stdout=PIPE, stderr=STDOUT, text=True)
        assert ran.returncode == 0, f"{command}: {ran.stdout}"
        assert _pattern(shown).fullmatch(_tidy(ran.stdout)), f"{command} printed:\n{ran.stdout}\nnot:\n{shown}"


def _steps(session: str) -> Iterator[tuple[str, str]]:
    for step in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        yield command, _tidy(shown)


def _pattern(shown: str) -> re.Pattern[str]:
    """Match what differs from run to run: ids, ranks, milliseconds; `…` stands for anything that is left out."""
    text = ".*".join(map(re.escape, shown.split("…")))
    text = re.sub(r"\b[0-9a-f]{8}\b", "[0-9a-f]{8}", text)
    text = re.sub(r"(\\#)\d+|\d+(?=\\ ms)", lambda number: f"{number[1] or ''}\\d+", text)
    return re.compile(text, re.DOTALL)


def _tidy(text: str) -> str:
    """Forget how wide columns are."""
    text = re.sub(r"(?<=\S) {2,}", "  ", text)
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())
