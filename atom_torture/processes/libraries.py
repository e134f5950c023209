"""What the program loads before it works, loaded in the process that programs are forked from. They are idle there.

`SAID`: what the product has said to its libraries in the environment meanwhile; a program that is forked keeps it.
"""

import os
import warnings

_before = dict(os.environ)

# It takes care of a fork itself, and warns of calls that are under way meanwhile; here there are none.
warnings.filterwarnings("ignore", message="lancedb fork support")

import rich.live  # noqa: E402, F401

import atom_backfill.app.core  # noqa: E402
import atom_backfill.app.work  # noqa: E402
import atom_backfill.cli.main  # noqa: E402
from atom_backfill.app.runtime import settle_in  # noqa: E402

# As in a worker, before Arrow and Lance are loaded, which read the environment then.
settle_in()

import atom_backfill.memory.lance  # noqa: E402, F401

SAID = {name: value for name, value in os.environ.items() if _before.get(name) != value}
