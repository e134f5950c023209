"""Keeps a process near what it uses: memory that libraries have freed goes back to the system.

With LanceDB's many threads, glibc holds on to freed memory in as many pools: 718 MB with its default, 420 MB with two
pools while 33,000 passages were written, at the same speed. What pools keep grows with the mailbox: with two, a worker
took 21 % more for 119,000 passages than for 12,000, with one 10 %. Arrow's own allocator gives little back either: a
worker had grown to 600 MB after 43,000 mails, and to 411 MB with the system's.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable

_M_ARENA_MAX = -8
"""mallopt(3); the same as starting the process with MALLOC_ARENA_MAX."""


def bound_allocator() -> bool:
    """Limit glibc to one pool and let Arrow use the system's allocator; before threads and the import of Arrow.

    Elsewhere than on Linux there are no pools to limit. Tells whether there were.
    """
    # Arrow reads it when it is imported; importing it here to tell it would cost every start 0.2 s.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    mallopt = _glibc("mallopt")
    return mallopt is not None and mallopt(_M_ARENA_MAX, 1) == 1


def give_back() -> None:
    """Return to the system what is free within the pool, too: some 20 MB after an upkeep; takes milliseconds."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
