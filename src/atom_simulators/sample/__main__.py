"""`python -m atom_simulators.sample DIR [--mails N] [--seed S] [--truth FILE]` writes the sample mailbox."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..facts import as_json
from .mailbox import write_mailbox
from .truth import truth


def main() -> int:
    """Write the mailbox the command line asks for; the folder's name goes to stdout."""
    parser = argparse.ArgumentParser(prog="python -m atom_simulators.sample", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="gets DIR/mailboxes/<name>.jsonl.gz")
    parser.add_argument("--name", default="sample", help="the mailbox's name (default: sample)")
    parser.add_argument("--mails", type=int, default=800, help="how many messages (default: 800)")
    parser.add_argument("--seed", type=int, default=1, help="another seed draws other everyday mail")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="gets what its mails state, with quotes, as JSON")
    wanted = parser.parse_args()
    directory = write_mailbox(wanted.directory, name=wanted.name, mails=wanted.mails, seed=wanted.seed)
    if wanted.truth:
        known = truth(name=wanted.name, mails=wanted.mails)
        document = {**as_json(known.stated), "source_ids": known.source_ids}
        wanted.truth.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{directory}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
