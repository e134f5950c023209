"""The report of a campaign: report.json for scripts and one HTML page for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from atom_torture.campaign import Caught, Outcome
from atom_torture.processes.bounds import BOUNDS, quantile
from atom_torture.processes.campaign import Runs
from atom_torture.processes.schedule import STRIKES
from atom_torture.schedule import CALLS, MOVES, POINTS

QUANTILES = {"p50": 0.5, "p95": 0.95, "max": 1.0}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Torture</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }} td, th {{ border: 1px solid #ccc; padding: .2rem .6rem; }}
td:not(:first-child) {{ text-align: right; }} .bad {{ background: #fdd; }} code {{ overflow-wrap: anywhere; }}
</style>
<h1>Torture</h1>
<p>{summary}</p>
<h2>What struck</h2>{fired}
<h2>Planted bugs</h2>{plants}
<h2>Processes</h2>{processes}
<h2>Failures</h2>{failures}
</html>
"""


@dataclass(slots=True)
class Report:
    """What is reported of a run, as far as it has come. `seconds`: what its schedules took."""

    first: int
    outcome: Outcome = field(default_factory=Outcome)
    caught: list[Caught] = field(default_factory=list)
    seconds: float = 0.0
    runs: Runs = field(default_factory=Runs)

    def as_json(self) -> dict[str, Any]:
        """Return it as a document."""
        recovered = sorted(self.outcome.recovered)
        return {
            "seeds": [self.first, self.first + self.outcome.schedules - 1],
            "schedules": self.outcome.schedules,
            "schedules_a_minute": round(60 * self.outcome.schedules / max(self.seconds, 1e-9)),
            "violations": [
                {"schedule": json.loads(schedule), "violations": violations}
                for schedule, violations in self.outcome.failed
            ],
            "fired": dict(sorted(self.outcome.fired.items())),
            "never_fired": sorted(every_kind() - self.outcome.fired.keys()),
            "recovery_s": {
                "deaths": len(recovered),
                **{name: quantile(recovered, share) for name, share in QUANTILES.items()},
            },
            "processes": _processes(self.first, self.runs),
            "plants": [{"name": each.name, "caught_after": each.after, "by": each.by} for each in self.caught],
        }

    def write(self, folder: Path) -> None:
        """Write both forms."""
        folder.mkdir(parents=True, exist_ok=True)
        document = self.as_json()
        (folder / "report.json").write_text(json.dumps(document, indent=2) + "\n")
        (folder / "report.html").write_text(_html(document))


def every_kind() -> set[str]:
    """Name everything that can strike, as `point/kind`."""
    points = {f"{point}/{kind}" for point, kinds in POINTS.items() for kind in kinds}
    calls = {f"{on}/{kind}" for on, kinds in CALLS.items() for kind in kinds}
    return points | calls | {f"person/{kind}" for kind in MOVES}


def _processes(first: int, runs: Runs) -> dict[str, Any]:
    """Return what runs with real processes have come to."""
    measured = {
        name: {
            "times": len(runs.measured.get(name, ())),
            **{part: quantile(runs.measured.get(name, ()), share) for part, share in QUANTILES.items()},
            "unjudged": len(runs.unjudged.get(name, ())),
            "unjudged_max": quantile(runs.unjudged.get(name, ()), 1.0),
            "allowed": bound.seconds,
            "share": bound.share,
            "meaning": bound.meaning,
        }
        for name, bound in BOUNDS.items()
    }
    return {
        "seeds": [first, first + runs.runs - 1] if runs.runs else [],
        "runs": runs.runs,
        "seconds_a_run": quantile(runs.seconds, 0.5),
        "measured_s": measured,
        "fired": dict(sorted(runs.fired.items())),
        "never_fired": sorted(
            {f"{where}/{kind}" for where, kinds in STRIKES.items() for kind in kinds} - runs.fired.keys()
        ),
        "exceeded": runs.together,
        "violations": [
            {"schedule": json.loads(schedule), "violations": violations} for schedule, violations in runs.failed
        ],
    }


def _html(document: dict[str, Any]) -> str:
    recovery = document["recovery_s"]
    summary = (
        f"{document['schedules']:,} schedules (seeds {document['seeds'][0]} to {document['seeds'][1]}), "
        f"{len(document['violations'])} with violations; after {recovery['deaths']:,} deaths, progress came within "
        f"{recovery['p50']} s (median), {recovery['p95']} s (95 of 100), {recovery['max']} s (all), in simulated time."
    )
    failures = _failures("replay", document["violations"])
    failures += _failures("replay-processes", document["processes"]["violations"])
    return _PAGE.format(
        summary=escape(summary),
        fired=_matrix(document["fired"]),
        plants=_plants(document["plants"]),
        processes=_html_of_processes(document["processes"]),
        failures=failures or "<p>None.</p>",
    )


def _failures(option: str, violations: Sequence[dict[str, Any]]) -> str:
    return "".join(
        f"<p class='bad'>{escape('; '.join(each['violations']))}<br>"
        f"<code>python -m atom_torture --{option} '{escape(json.dumps(each['schedule']))}'</code></p>"
        for each in violations
    )


def _html_of_processes(document: dict[str, Any]) -> str:
    if not document["runs"]:
        return "<p>Not run.</p>"
    first, last = document["seeds"]
    rows = "".join(
        f"<tr><td>{escape(each['meaning'])}</td><td>{each['times']}</td><td>{each['p50']}</td><td>{each['p95']}</td>"
        f"<td>{each['max']}</td><td>{each['allowed']:.0f} for {each['share']:.0%}</td>"
        f"<td>{each['unjudged']}</td><td>{each['unjudged_max']}</td></tr>"
        for each in document["measured_s"].values()
    )
    names = ("seconds", "times", "p50", "p95", "max", "allowed", "unjudged", "max")
    head = "<tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"
    fired = "".join(f"<tr><td>{escape(name)}</td><td>{count}</td></tr>" for name, count in document["fired"].items())
    return (
        f"<p>{document['runs']} runs (seeds {first} to {last}), {len(document['violations'])} with violations, "
        f"{document['seconds_a_run']} s each (median).</p><table>{head}{rows}</table><table>{fired}</table>"
        + "".join(f"<p class='bad'>{escape(words)}</p>" for words in document["exceeded"])
    )


def _matrix(fired: dict[str, int]) -> str:
    kinds = sorted({each.split("/")[1] for each in every_kind()})
    points = dict.fromkeys(each.split("/")[0] for each in sorted(every_kind()))
    head = "<tr><th></th>" + "".join(f"<th>{escape(kind)}</th>" for kind in kinds) + "</tr>"
    rows = "".join(
        f"<tr><td>{escape(point)}</td>" + "".join(_cell(f"{point}/{kind}", fired) for kind in kinds) + "</tr>"
        for point in points
    )
    return f"<table>{head}{rows}</table>"


def _cell(name: str, fired: dict[str, int]) -> str:
    if name not in every_kind():
        return "<td></td>"
    times = fired.get(name, 0)
    return f"<td>{times}</td>" if times else "<td class='bad'>0</td>"


def _plants(plants: Sequence[dict[str, Any]]) -> str:
    if not plants:
        return "<p>Not run.</p>"
    rows = "".join(
        f"<tr{'' if each['caught_after'] else ' class=bad'}><td>{escape(each['name'])}</td>"
        f"<td>{each['caught_after'] or 'not caught'}</td><td>{escape(each['by'])}</td></tr>"
        for each in plants
    )
    return f"<table><tr><th>bug</th><th>caught after schedules, runs or tests</th><th>by</th></tr>{rows}</table>"
