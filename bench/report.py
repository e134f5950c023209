"""The report: what was measured, beside what was asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must reach. `path` leads to it through the benchmark's document; `*` stands for every key.

    `idle`: the figure is wall time, and holds on a machine that has nothing else to do.
    """

    benchmark: str
    path: str
    words: str
    least: float | None = None
    most: float | None = None
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one benchmark: its figures, or why there are none; and how long it took, in seconds."""

    benchmark: str
    figures: dict[str, Any] | None
    reason: str
    seconds: float


TARGETS = (
    Target("startup", "help_s", "`atom-backfill --help`, seconds", most=0.3, idle=True),
    Target("startup", "demo_s", "`demo` after installation, seconds", most=60, idle=True),
    Target("ingest", "wall.seconds_per_100", "100 mails after the first page came, seconds", most=4, idle=True),
    Target("ingest", "without_embedder.*.cpu_ms_a_mail", "CPU a mail without the embedder, ms", most=4),
    Target("ingest", "first_result.seconds", "first result after `start`, seconds", most=15, idle=True),
    Target("memory_use", "largest_peak_mb", "peak memory of a worker with its children, MB", most=1000),
    Target("memory_use", "ten_times_over_once", "peak of a mailbox ten times the size, over once", least=0.9, most=1.1),
    Target("verify_memory", "ten_times_over_once", "peak of `verify` of ten times as much, over once", most=1.2),
    Target("claims", "many.claims_per_s", "claims a second, 24 workers and 200 jobs", least=200, idle=True),
    Target("claims", "many.least_share", "share of the tenant served least, over an equal one", least=0.9),
    Target("claims", "many.most_share", "share of the tenant served most, over an equal one", most=1.1),
    Target("claims", "many.deadlocks", "deadlocks", most=0),
    Target("embedding", "over_fp32", "int8 over fp32, one text at a time", least=1.5),
    Target("embedding", "over_best_shape", "the product's way over the best of the shapes", least=0.97),
    Target("embedding", "second_core", "two cores over one", least=1.6, idle=True),
    Target("identity_scale", "100000.cpu_s", "who is who among 100,000 addresses, CPU seconds", most=20),
    Target("identity_scale", "growth", "CPU an address, ten times as many over once", most=2),
    Target(
        "graph_walks",
        "steps_2.p95_ms",
        "what is within two steps, 100,000 nodes and 1,000,000 edges, p95, ms",
        most=30,
        idle=True,
    ),
    Target("graph_walks", "communities_s", "their communities, seconds", most=60, idle=True),
    Target("graph_walks", "communities_peak_mb", "memory for that, MB", most=1_000),
    Target("quality_identity", "addresses.test.precision", "addresses of one person, precision", least=0.98),
    Target("quality_identity", "addresses.test.recall", "addresses of one person, recall", least=0.85),
    Target("quality_identity", "names.all.test.precision", "whom a name means, precision", least=0.99),
    Target("quality_identity", "names.all.test.recall", "whom a name means, recall", least=0.85),
    Target("quality_cleaning", "quoted.test.f1", "quoted lines, F1", least=0.95),
    Target("quality_cleaning", "signatures.test.f1", "signature lines, F1", least=0.85),
    Target("quality_cleaning", "quoted.test.emptied", "mails emptied that have new text", most=0),
    Target("quality_search", "hybrid.test.known_items", "known items, recall@10", least=0.97),
    Target("quality_search", "hybrid.test.question", "questions, hit@10", least=0.70),
    Target("quality_search", "hybrid.test.reply", "reply queries, hit@10", least=0.48),
)


def render(document: dict[str, Any], outcomes: Sequence[Outcome]) -> str:
    """Write the report in Markdown: machine, targets beside figures, then each benchmark's document."""
    lines = ["# Benchmarks", "", *_machine(document), "", "| figure | asked for | measured | |", "|---|---|---|---|"]
    found = {outcome.benchmark: outcome for outcome in outcomes}
    for target in TARGETS:
        if target.benchmark in found:
            lines += _rows(target, found[target.benchmark])
    lines += ["", "Wall times marked ° were asked for on a machine with nothing else to do."]
    for outcome in outcomes:
        lines += ["", f"## {outcome.benchmark}", "", f"{outcome.seconds:.0f} s.", ""]
        lines += list(_tree(outcome.figures)) if outcome.figures is not None else [outcome.reason]
    return "\n".join(lines) + "\n"


def _machine(document: dict[str, Any]) -> list[str]:
    machine = document["machine"]
    before, after = machine["calibration_s"]
    return [
        f"{machine['cores']} cores, Python {machine['python']}, {machine['platform']}. A fixed loop of numbers, hashes"
        f" and JSON took {before:.3f} s of CPU before and {after:.3f} s after; "
        f"{machine['load']} processes were runnable on average when it began.",
    ]


def _rows(target: Target, outcome: Outcome) -> Iterator[str]:
    asked = " and ".join(
        f"{sign} {limit:g}" for sign, limit in (("≥", target.least), ("≤", target.most)) if limit is not None
    )
    mark = " °" if target.idle else ""
    if outcome.figures is None:
        yield f"| {target.words}{mark} | {asked} | – | {outcome.reason} |"
        return
    for name, value in _found(outcome.figures, target.path.split(".")):
        about = f" ({name})" if name else ""
        number = _number(value)
        verdict = str(value) if number is None else "" if _holds(target, number) else "missed"
        yield f"| {target.words}{about}{mark} | {asked} | {'–' if number is None else f'{number:g}'} | {verdict} |"


def _found(figures: Any, path: Sequence[str], name: str = "") -> Iterator[tuple[str, Any]]:
    if not path:
        yield name, figures
    elif not isinstance(figures, dict):
        yield name, "not measured"
    elif path[0] == "*":
        for key, value in figures.items():
            yield from _found(value, path[1:], key)
    else:
        yield from _found(figures.get(path[0], "not measured"), path[1:], name)


def _number(value: Any) -> float | None:
    """Read a figure: a number, or a text like `31/32 0.969` that ends in one; None for a reason."""
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(str(value).split()[-1])
    except (ValueError, IndexError):
        return None


def _holds(target: Target, number: float) -> bool:
    return (target.least is None or number >= target.least) and (target.most is None or number <= target.most)


def _tree(figures: Any, depth: int = 0) -> Iterator[str]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield f"{'  ' * depth}- {name}"
            yield from _tree(value, depth + 1)
        else:
            yield f"{'  ' * depth}- {name}: {value}"
