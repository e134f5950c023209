"""`python -m atom_simulators.llm`: run the model simulator until it is told to stop.

Prints one JSON line `{"url": …}` to stdout once it takes calls; everything else goes to stderr.
"""

import argparse
import asyncio
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import IO

from ..command import Parser, serve_until_told
from ..facts import FactsError, Stated, read_facts
from ..sample import everything
from ..scenario import ScenarioError, Script, read_script
from . import tokens
from .drawing import Drawing, drawn_by
from .faults import GRAMMAR
from .limits import Limits
from .models import Model
from .reading import read
from .recognising import Known
from .requests import Offers
from .server import serving
from .service import Clocks, Service, Settings


def main(arguments: list[str] | None = None) -> int:
    """Run the simulator. Returns 0 after a stop, 1 where it cannot listen or log, 2 for what cannot be run."""
    asked = _parser().parse_args(arguments)
    try:
        script = read_script(asked.faults, GRAMMAR) if asked.faults else Script()
        drawing, known = _facts(asked)
    except (ScenarioError, FactsError) as error:
        sys.stderr.write(f"simulate llm: {error}\n")
        return 2
    tokens.count("so that the vocabulary is there before the first call")
    try:
        with asked.log.open("a", encoding="utf-8") if asked.log else nullcontext() as log:
            service = _service(asked, script, drawing, known, log)
            asyncio.run(serve_until_told(serving(service, asked.host, asked.port)))
    except OSError as error:
        sys.stderr.write(f"simulate llm: {asked.log or f'{asked.host}:{asked.port}'}: {error.strerror}\n")
        return 1
    return 0


def _service(
    asked: argparse.Namespace, script: Script, drawing: Drawing | None, known: tuple[Stated, ...], log: IO[str] | None
) -> Service:
    settings = Settings(
        limits=Limits(asked.rpm, asked.tpm),
        offers=Offers(not (asked.no_schema or asked.no_json), not asked.no_json, not asked.no_pattern),
        latency_s=asked.latency,
        per_token_s=asked.per_token,
        keys=frozenset(asked.key),
        models={model.name: model for model in asked.model},
    )
    clocks = Clocks(time.time, time.monotonic, lambda: str(uuid.uuid4()))
    reader = drawn_by(drawing) if drawing else read
    return Service(settings, script, clocks, Known(known), reader=reader, log=log)


def _facts(asked: argparse.Namespace) -> tuple[Drawing | None, tuple[Stated, ...]]:
    """How many facts to draw, and the mails whose facts are known."""
    if asked.facts is None:
        return None, everything()
    try:
        number = float(asked.facts)
    except ValueError:
        return None, read_facts(Path(asked.facts))
    if not 0 < number < 1000:
        raise FactsError(f"--facts {asked.facts}: a number of facts a mail is more than 0")
    return Drawing(number, asked.facts_words), ()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="simulate llm", description="A strict stand-in for an OpenAI-compatible model server.")
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_between(int, 0, 65535), default=0, metavar="P", help="port to listen on (default: a free one)")
    add("--faults", type=Path, metavar="FILE", help="scripted faults, a JSON list")
    add("--rpm", type=_between(int, 0, 10**9), default=0, metavar="N", help="requests a minute, key and model (0: any)")
    add("--tpm", type=_between(int, 0, 10**12), default=0, metavar="N", help="tokens a minute, key and model (0: any)")
    add("--latency", type=_between(float, 0, 3600), default=0.0, metavar="BASE_S", help="time that each answer takes")
    add("--per-token", type=_between(float, 0, 60), default=0.0, metavar="S", help="time that each token of it takes")
    add("--no-schema", action="store_true", help="refuse response_format json_schema")
    add("--no-pattern", action="store_true", help="refuse schemas with a pattern")
    add("--no-json", action="store_true", help="refuse json_object too, and wrap answers in prose")
    add("--log", type=Path, metavar="FILE", help="append each call to FILE, a JSON object a line, no text in it")
    add("--facts", metavar="N|FILE", help="draw N facts a mail of usual length, or know those of FILE")
    add(
        "--facts-words",
        type=_between(float, 1, 10**6),
        default=75.0,
        metavar="N",
        help="words of a mail of usual length",
    )
    add("--key", action="append", default=[], metavar="K", help="a key that counts (default: all but `wrong`)")
    add("--model", action="append", default=[], type=_model, metavar="NAME[=IN/OUT]", help="another model, $ a million")
    return parser


def _between(kind: type[int] | type[float], least: float, greatest: float) -> Callable[[str], float]:
    def value(text: str) -> float:
        try:
            number = kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error
        if not least <= number <= greatest:
            raise argparse.ArgumentTypeError(f"{text} is not between {least:g} and {greatest:g}")
        return number

    return value


def _model(text: str) -> Model:
    name, _, prices = text.partition("=")
    try:
        inward, outward = (float(price) for price in prices.split("/")) if prices else (None, None)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME or NAME=IN/OUT") from error
    return Model(name, 128_000, 16_384, inward, outward)


if __name__ == "__main__":
    sys.exit(main())
