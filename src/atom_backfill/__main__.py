"""`python -m atom_backfill`: the command line."""

import sys

from atom_backfill.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
