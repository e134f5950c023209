"""What a demo stands on: a home, a simulated Outlook and a database of its own, all gone when it ends."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atom_backfill.app.core import embedded_server
from atom_backfill.cli.signals import Stopping, stopping
from atom_backfill.errors import NeedsOwnerError
from atom_backfill.settings import Settings, load_settings

SIMULATOR_STARTS_S = 60.0
_KEPT = ("ATOM_POSTGRES_BIN", "ATOM_THREADS")
"""Settings of the user's that also hold for the demo."""


@contextmanager
def stage(mails: int) -> Iterator[tuple[Settings, Stopping]]:
    """Set everything up, with a sample mailbox of that many mails; yields the settings that lead to it.

    And with them the signals that stop it: SIGTERM and a closed terminal clean up like Ctrl-C.
    Raises NeedsOwnerError where its parts do not start, KeyboardInterrupt where a signal came.
    """
    with stopping() as signals, _temporary_home() as home, _simulator(home, mails, signals) as url:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        here = {"ATOM_HOME": str(home), "ATOM_GRAPH_BASE_URL": f"{url}/v1.0", "ATOM_LOGIN_BASE_URL": url}
        settings, _ = load_settings(kept | here, home)  # from there, so that no .env of the user's has a say
        try:
            yield settings, signals
        finally:
            # Its files may lie outside the home, where the account that runs it can reach them. Whoever still uses it
            # loses it, since its home will be gone.
            embedded_server(settings).destroy(even_if_used=True)


@contextmanager
def _temporary_home() -> Iterator[Path]:
    try:
        home = Path(tempfile.mkdtemp(prefix="atom-demo-"))
    except OSError as error:
        sentence = f"No temporary folder can be made ({error.strerror}): set TMPDIR to one that can be written."
        raise NeedsOwnerError("no_temporary_folder", sentence) from error
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _simulator(home: Path, mails: int, signals: Stopping) -> Iterator[str]:
    """Run the Graph simulator over a sample mailbox, as a child in a group of its own, which no Ctrl-C reaches."""
    data = home / "mailbox"
    with (
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "atom_simulators.sample", str(data), "--mails", str(mails)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as writer,
        signals.calling(writer.terminate),
    ):
        failed = writer.wait()
    if failed:
        raise NeedsOwnerError(
            "sample_failed", f"The sample mailbox could not be written below {home.parent}: is there space, and memory?"
        )
    # In a session of its own, since a terminal's Ctrl-C goes to the whole group: the worker still needs it to drain.
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "atom_simulators.graph", "--data", str(data)],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as child:
        try:
            with signals.calling(child.terminate):
                url = _url_of(child)
            yield url
        finally:
            child.terminate()


def _url_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    # A child that hangs would keep `readline` waiting for ever.
    ready, _, _ = select.select([child.stdout], [], [], SIMULATOR_STARTS_S)
    said = child.stdout.readline() if ready else ""
    if not said:
        raise NeedsOwnerError(
            "simulator_failed", "The simulated Outlook did not start: try `atom-backfill simulate graph`."
        )
    return str(json.loads(said)["url"])
