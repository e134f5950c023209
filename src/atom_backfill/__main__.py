"""The program: `python -m atom_backfill`, and where its command starts. It can be interrupted at any moment."""

import sys


def run() -> int:
    """Run the program; returns its exit status."""
    try:
        # Inside, since importing takes a tenth of a second, in which Ctrl-C is no reason for a traceback either.
        from atom_backfill.cli.main import main

        return main()
    except KeyboardInterrupt:
        exec("")  # noqa: S102 - as cli/main.py says
        sys.stderr.write("atom-backfill: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(run())
