"""Every error becomes one sentence on stderr and the exit status that the contract gives it; stdout stays clean."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from atom_backfill.cli.command import command
from atom_backfill.cli.main import cli
from atom_backfill.errors import (
    AtomError,
    BugError,
    KeyNeededError,
    NeedsOperatorError,
    NeedsOwnerError,
    NotFoundError,
    RefusedError,
    RetryLaterError,
    SignInNeededError,
    SkipItemError,
    ThrottledError,
    UsageError,
)
from command_line import call


@contextmanager
def a_command_that(act: Callable[[], int | None]) -> Iterator[None]:
    @command("probe", "probe", data=False)
    def probe() -> int | None:
        """Do it."""
        return act()

    cli.add_command(probe)
    try:
        yield
    finally:
        del cli.commands["probe"]


def raising(error: BaseException) -> Callable[[], int | None]:
    def act() -> int | None:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SkipItemError("code", "Say it."), 1),
        (NeedsOwnerError("code", "Say it."), 1),
        (NeedsOperatorError("code", "Say it."), 1),
        (UsageError("code", "Say it."), 2),
        (NotFoundError("code", "Say it."), 3),
        (SignInNeededError("code", "Say it."), 4),
        (KeyNeededError("code", "Say it."), 4),
        (RefusedError("code", "Say it."), 5),
        (ExceptionGroup("group", [NotFoundError("code", "Say it.")]), 3),
        (ExceptionGroup("group", [KeyError("what"), RefusedError("code", "Say it.")]), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_said_once_with_its_status(error: Exception, status: int) -> None:
    with a_command_that(raising(error)):
        done = call("probe")
    assert (done.status, done.out, done.err) == (status, "", "atom-backfill: Say it.\n")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            RetryLaterError("code", "It is away."),
            "It is away. Try again; if it stays, `atom-backfill doctor` looks at each part.",
        ),
        (ThrottledError("code", "It asked to wait.", after=75), "It asked to wait. Try again in 1 min 15 s."),
        (
            BugError("code", "It broke."),
            "It broke. This is a mistake in atom-backfill: run it again with --debug, and report where it happened.",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_worker_would_deal_with_says_what_a_person_can_do(error: Exception, sentence: str) -> None:
    with a_command_that(raising(error)):
        done = call("probe")
    assert (done.status, done.out, done.err) == (1, "", f"atom-backfill: {sentence}\n")


def test_every_class_of_errors_has_a_row_above() -> None:
    def below(parent: type[AtomError]) -> set[type[AtomError]]:
        return {parent}.union(*(below(child) for child in parent.__subclasses__()))

    known = {
        RetryLaterError, ThrottledError, SkipItemError, NeedsOwnerError, NeedsOperatorError, SignInNeededError,
        KeyNeededError, NotFoundError, RefusedError, UsageError, BugError,
    }  # fmt: skip
    ours = {each for each in below(AtomError) if each.__module__ == "atom_backfill.errors"}
    assert ours - {AtomError} == known


def test_a_sentence_has_nothing_that_a_terminal_obeys() -> None:
    with a_command_that(raising(RefusedError("code", "\x1b]0;title\x07is disconnected."))):
        done = call("probe")
    assert done.err == "atom-backfill: ]0;titleis disconnected.\n"


@pytest.mark.parametrize("error", [KeyError("a subject of a mail"), OSError(5, "secret"), RecursionError()])
def test_an_unexpected_error_tells_its_kind_and_nothing_of_what_it_choked_on(error: Exception) -> None:
    with a_command_that(raising(error)):
        done = call("probe")
    sentence = f"atom-backfill: unexpected {type(error).__name__}; run again with --debug to see where\n"
    assert (done.status, done.out, done.err) == (1, "", sentence)


def test_debug_shows_where_an_error_came_from() -> None:
    with a_command_that(raising(NotFoundError("code", "Say it.", detail="more for the operator"))):
        done = call("probe", "--debug")
    assert done.status == 3
    assert "Traceback" in done.err
    assert "more for the operator" in done.err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()], ids=["Ctrl-C", "abort"])
def test_an_interrupted_command_ends_with_130(error: BaseException) -> None:
    with a_command_that(raising(error)):
        done = call("probe")
    assert (done.status, done.err) == (130, "atom-backfill: interrupted\n")


def test_an_interrupt_inside_any_library_ends_with_130_too(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "import sys, atom_backfill.cli.main as program\n"
        "program.cli.invoke = lambda _: exec('raise KeyboardInterrupt')\n"
        "sys.exit(program.main(['jobs']))\n"
    )
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "atom-backfill: interrupted\n")


def test_a_command_gives_its_own_status() -> None:
    with a_command_that(lambda: 1):
        assert call("probe").status == 1
    with a_command_that(lambda: None):
        assert call("probe").status == 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "No such command 'nonsense'. See `atom-backfill --help`."),
        ("tenant nonsense", "No such command 'nonsense'. See `atom-backfill tenant --help`."),
        ("jobs --nonsense", "No such option '--nonsense'. See `atom-backfill jobs --help`."),
        ("show", "Missing argument 'JOB'. See `atom-backfill show --help`."),
        ("jobs --limit many", "'many' is not a valid integer"),
        ("jobs --limit 0", "0 is not in the range"),
        ("jobs --status asleep", "'asleep' is not one of"),
        ("start a --since soon", "'soon' is no date"),
        ("start a --since 2024-01-01 --days 3", "--since and --days say the same"),
        ("jobs --tenant=", "name the tenant, or leave the option out"),
        ("--tenant= jobs", "name the tenant, or leave the option out"),
        ("start", "Name one account, or give --all."),
        ("start a --all", "Name one account, or give --all."),
        ("start --all --watch", "--watch follows one job"),
        ("start a --budget-usd lots", "'lots' is no amount"),
        ("start a --graph maybe", "'maybe' is not one of"),
        ("estimate a --since 2024-02-01 --until 2024-01-01", "--since must be earlier than --until"),
        ("pause a --lane third", "'third' is not one of"),
        ("worker --lanes ingest,third", "is no list of lanes"),
        ("worker --concurrency 0", "0 is not in the range"),
        ("search", "Missing argument 'QUERY'"),
        ("search lease --mode magic", "'magic' is not one of"),
        ("search lease --limit 0", "0 is not in the range"),
        ("connect outlook", "Missing option '--client-id'"),
        ("connect outlook --client-id 1 --client-secret-file /dev/null", "is empty"),
        ("connect outlook --client-id 1 --client-secret-file /", "cannot be read: Is a directory"),
    ],
)
def test_wrong_usage_is_said_in_a_sentence_before_anything_is_opened(line: str, says: str) -> None:
    done = call(*line.split(), settings={"ATOM_HOME": "/nowhere/at/all"})
    assert (done.status, done.out) == (2, "")
    assert says in done.err
    assert len(done.lines) == 1


def test_a_secret_s_file_that_is_not_there_is_no_such_thing() -> None:
    done = call("connect", "outlook", "--client-id", "1", "--client-secret-file", "/nowhere/at/all")
    assert (done.status, done.out) == (3, "")
    assert done.lines == ["atom-backfill: There is no file /nowhere/at/all with a secret."]


def test_a_secret_needs_a_directory_and_a_mailbox(tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("secret") / "secret.txt"
    secret.write_text("s3cret\n")
    asked = ["connect", "outlook", "--client-id", "1", "--client-secret-file", str(secret)]
    assert "--app-tenant" in call(*asked).err
    assert "--user" in call(*asked, "--app-tenant", "lumen.example").err
    assert "s3cret" not in call(*asked).err


def test_a_group_without_a_command_shows_what_there_is() -> None:
    done = call("tenant")
    assert (done.status, done.out) == (2, "")
    assert "create" in done.err


def test_wrong_settings_are_said_all_at_once() -> None:
    done = call("jobs", settings={"ATOM_PAGE_SIZE": "many", "ATOM_GRAPH_BASE_URL": "ftp://x"})
    assert (done.status, done.out) == (2, "")
    assert all(name in done.err for name in ("ATOM_PAGE_SIZE", "ATOM_GRAPH_BASE_URL"))


def test_a_demo_without_a_place_for_its_files_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    done = call("demo")
    assert (done.status, done.out, len(done.lines)) == (1, "", 1)
    assert "set TMPDIR" in done.err


def test_a_demo_whose_mailbox_cannot_be_written_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    done = call("demo")
    assert (done.status, done.out, len(done.lines)) == (1, "", 1)
    assert "sample mailbox could not be written" in done.err


def test_a_home_that_cannot_be_made_is_said_in_a_sentence() -> None:
    done = call("jobs", settings={"ATOM_HOME": "/proc/nowhere"})
    assert (done.status, done.out, len(done.lines)) == (1, "", 1)
    assert "ATOM_HOME" in done.err
