"""`python -m atom_simulators.graph`: run the Graph simulator until it is told to stop.

Prints one JSON line `{"url": …}` to stdout once it takes calls; everything else goes to stderr.
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import time
import uuid
from pathlib import Path

from ..command import Parser, serve_until_told
from ..scenario import ScenarioError, Script, read_script
from .data import DataError, read_mailboxes
from .faults import GRAMMAR
from .generated import generated_mailbox
from .limits import Limits
from .mailbox import Mailbox
from .quirks import Quirks, QuirksError, read_quirks, with_quirks
from .server import serving
from .service import Clocks, Service, Settings, real_sleep


def main(arguments: list[str] | None = None) -> int:
    """Run the simulator. Returns 0 after a stop, 2 for what cannot be run."""
    asked = _parser().parse_args(arguments)
    # What is loaded stays, and the collector would walk all of it again and again.
    gc.disable()
    try:
        quirks = _quirks(asked)
        script = read_script(asked.faults, GRAMMAR) if asked.faults else Script()
        with tempfile.TemporaryDirectory(prefix="atom-graph-") as scratch:
            mailboxes = _mailboxes(asked, Path(scratch))
        _check_user(asked.user, mailboxes)
    except (QuirksError, ScenarioError, DataError) as error:
        sys.stderr.write(f"simulate graph: {error}\n")
        return 2
    clocks = Clocks(time.time, time.monotonic, real_sleep, lambda: str(uuid.uuid4()))
    service = Service(mailboxes, _settings(asked, quirks), script, clocks)
    gc.freeze()
    gc.enable()
    try:
        asyncio.run(serve_until_told(serving(service, asked.host, asked.port)))
    except OSError as error:
        sys.stderr.write(f"simulate graph: cannot listen on {asked.host}:{asked.port} ({error.strerror})\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="simulate graph",
        description="A strict stand-in for Microsoft Graph mail and its sign-in.",
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="mailboxes in DIR/mailboxes (default: the sample mailbox)")
    add("--generate", action="append", default=[], metavar="NAME=COUNT", help="a made-up mailbox of that size")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=0, metavar="P", help="port to listen on (default: a free one)")
    add("--faults", type=Path, metavar="FILE", help="scripted faults, a JSON list")
    add("--quirks", type=Path, metavar="FILE", help="switches, a JSON object")
    add("--quirk", action="append", default=[], metavar="NAME=VALUE", help="one switch, its value as JSON or text")
    add("--latency", type=_seconds, default=0.0, metavar="SECONDS", help="time that each Graph call takes")
    add("--page-latency", type=_seconds, metavar="SECONDS", help="the same for lists of messages and delta alone")
    add("--concurrency", type=int, default=4, metavar="N", help="calls at once per app and mailbox (0: any)")
    add("--requests", type=int, default=10_000, metavar="N", help="calls per window, app and mailbox (0: any)")
    add("--window", type=_seconds, default=600.0, metavar="SECONDS", help="length of that window")
    add("--token-seconds", type=int, default=3599, metavar="N", help="life of an access token")
    add("--device-seconds", type=int, default=900, metavar="N", help="life of a device code")
    add("--device-interval", type=int, default=5, metavar="N", help="polling interval of a device code")
    add("--user", default="", metavar="NAME", help="mailbox that signs in where nobody says so (default: the first)")
    return parser


def _settings(asked: argparse.Namespace, quirks: Quirks) -> Settings:
    return Settings(
        quirks=quirks,
        limits=Limits(asked.concurrency, asked.requests, asked.window),
        latency_s=asked.latency,
        page_latency_s=asked.page_latency,
        token_life_s=asked.token_seconds,
        user=asked.user.removesuffix("@example.com"),
        device_life_s=asked.device_seconds,
        device_interval_s=asked.device_interval,
    )


def _quirks(asked: argparse.Namespace) -> Quirks:
    quirks = read_quirks(asked.quirks, Quirks()) if asked.quirks else Quirks()
    for pair in asked.quirk:
        name, _, text = pair.partition("=")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        quirks = with_quirks(quirks, {name: value})
    return quirks


def _mailboxes(asked: argparse.Namespace, scratch: Path) -> dict[str, Mailbox]:
    made = dict(_made(text) for text in asked.generate)
    if asked.data:
        return {**read_mailboxes(asked.data), **made}
    return made or _sample(scratch)


def _made(text: str) -> tuple[str, Mailbox]:
    name, _, count = text.partition("=")
    if not name or not count.isdecimal():
        raise DataError(f"--generate {text}: must be NAME=COUNT")
    return name, generated_mailbox(name, int(count))


def _sample(scratch: Path) -> dict[str, Mailbox]:
    from atom_simulators.sample import write_mailbox

    return read_mailboxes(write_mailbox(scratch))


def _check_user(user: str, mailboxes: dict[str, Mailbox]) -> None:
    if user and user.removesuffix("@example.com") not in mailboxes:
        raise DataError(f"--user {user}: there is no such mailbox, only {', '.join(sorted(mailboxes))}")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


if __name__ == "__main__":
    sys.exit(main())
