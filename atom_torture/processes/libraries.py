"""What the program loads before it works, loaded in the process that programs are forked from. They are idle there."""

import warnings

# It takes care of a fork itself, and warns of calls that are under way meanwhile; here there are none.
warnings.filterwarnings("ignore", message="lancedb fork support")

import lancedb  # noqa: E402, F401
import rich.live  # noqa: E402, F401

import atom_backfill.app.core  # noqa: E402
import atom_backfill.app.work  # noqa: E402
import atom_backfill.cli.main  # noqa: E402, F401
