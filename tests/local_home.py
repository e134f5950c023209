"""A home in which local mail has been read by the program itself, for tests of the command line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import mkdtemp

from atom_backfill.db.embedded import EmbeddedPostgres
from command_line import Done, call, run

ADDRESS = "ines@lumen.example"
FIRST = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)
BODIES = {
    "Inbox": ("Workshop lease", "The lease for the workshop costs 4,200 a month, number {n}."),
    "Projects/Atlas": ("Pump tests", "The pump leaks at nine bar, number {n}."),
}

JOB = {
    "job_id", "account_id", "address", "status", "phase", "ingest", "graph", "records_processed", "entities_extracted",
    "relationships_extracted", "failures", "created_at", "started_at", "completed_at", "last_heartbeat", "last_error",
}  # fmt: skip
INGEST = {
    "status", "messages_done", "messages_total", "percent", "rate_per_s", "eta_s", "limited_by", "throttled_s",
    "chunks_done", "chunks_total", "held_up",
}  # fmt: skip
GRAPH = {
    "status", "units_done", "units_total", "percent", "rate_per_s", "eta_s", "calls", "input_tokens", "output_tokens",
    "usd", "budget_usd",
}  # fmt: skip
"""Fields of a JOB, which scripts rely on."""


@dataclass(frozen=True)
class Home:
    """A home with local mail beside it: its account, the job that has read all of it, and what `init` said."""

    path: Path
    mail: Path
    account: str = ""
    job: str = ""
    made: str = ""

    def run(self, *arguments: str, **about: str) -> Done:
        """Run a command as the user does."""
        return run(*arguments, settings=self.settings, **about)

    def call(self, *arguments: str) -> Done:
        """Run a command in this process."""
        return call(*arguments, settings=self.settings)

    @property
    def settings(self) -> dict[str, str]:
        return {"ATOM_HOME": str(self.path), "ATOM_THREADS": "2"}


@contextmanager
def a_read_home(mail: Path) -> Iterator[Home]:
    """Make a home and read some mail, by the commands that a user types."""
    place = Path(mkdtemp(prefix="atom-e2e-"))  # as root the server's account has to reach it
    write_mail(mail)
    fresh = Home(place / "home", mail)
    try:
        made = fresh.run("init", "--json")
        assert fresh.run("db", "start").status == 0
        account = fresh.run("connect", "mbox", str(mail), "--address", ADDRESS, "--json").json["account_id"]
        job = fresh.run("start", ADDRESS, "--json").json["job_id"]
        done = fresh.run("run", job)
        assert done.status == 0, done
        yield Home(fresh.path, mail, account, job, made.out)
    finally:
        EmbeddedPostgres(fresh.path).destroy()
        shutil.rmtree(place)


def write_mail(root: Path) -> None:
    """Mails in two folders, ten each, one a day; a copy, and a file that holds no message."""
    for folder, (subject, body) in BODIES.items():
        for number in range(10):
            path = root / folder / f"{number}.eml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(a_mail(f"{subject} {number}", body.format(n=number), number))
    shutil.copy(root / "Inbox" / "0.eml", root / "Projects" / "Atlas" / "copy.eml")
    (root / "Inbox" / "broken.eml").write_text("\n\n")


def a_mail(subject: str, body: str, number: int) -> str:
    """A mail of a day."""
    return (
        f"From: Ines Halloran <{ADDRESS}>\nTo: Tomasz Reyl <tomasz@lumen.example>\nSubject: {subject}\n"
        f"Date: {format_datetime(FIRST + timedelta(days=number))}\n"
        f"Message-ID: <{subject.replace(' ', '.')}@x.example>\n\nDear Tomasz,\n\n{body}\n"
    )
