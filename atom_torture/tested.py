"""`python -m atom_torture.tested TEST`: runs one test of the suite and tells in its last line what came of it.

That is JSON: `failed`, and in `words` how. More than one test, or one that is not there, is skipped, or never gets to
its own lines, proves nothing: the process exits with 1.
"""

from __future__ import annotations

import json
import signal
import sys

import pytest

from atom_torture.campaign import ROOT


class _Witness:
    """Sees what becomes of each part of a test: its fixtures, itself, and what comes after."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.words = ""
        self.tests = set[str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tests.add(report.nodeid)
        self.outcomes[report.when] = report.outcome
        if report.when == "call" and report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.words = str(getattr(crash, "message", "")).partition("\n")[0][:200]


def main(test: str) -> str:
    """Run it; returns the line, or "" where nothing is proven."""
    # Told to end, pytest ends what its fixtures have begun, as it does at Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    witness = _Witness()
    place = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    pytest.main([*place, "--tb=no", str(ROOT / test)], plugins=[witness])
    failed = witness.outcomes.get("call") == "failed"
    if len(witness.tests) != 1 or (not failed and list(witness.outcomes.values()) != ["passed"] * 3):
        return ""
    return json.dumps({"failed": failed, "words": witness.words})


if __name__ == "__main__":
    print(told := main(sys.argv[1]))
    sys.exit(None if told else f"{sys.argv[1]} came to no end of its own")
