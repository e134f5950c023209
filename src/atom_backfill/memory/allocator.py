"""Keeps a process near what it uses: with LanceDB's many threads, glibc holds on to freed memory in as many pools.

Measured while 33,000 passages were written: 718 MB with the default, 420 MB with two pools, at the same speed.
"""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8
"""mallopt(3); the same as starting the process with MALLOC_ARENA_MAX."""


def bound_allocator(pools: int = 2) -> bool:
    """Limit glibc's pools, before threads are started; elsewhere there is nothing to do. Tells whether it was done."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_ARENA_MAX, pools) == 1
