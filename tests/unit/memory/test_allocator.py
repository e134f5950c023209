from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import re, threading
from atom_backfill.memory.allocator import bound_allocator
assert bound_allocator()
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
threads = [threading.Thread(target=libc.malloc, args=(100_000,)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have no pools to limit")
def test_threads_share_one_pool() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30)
    assert "Arena 0:" in done.stderr
    assert "Arena 1:" not in done.stderr


def test_arrow_gives_freed_memory_back_to_the_system() -> None:
    program = (
        "from atom_backfill.memory.allocator import bound_allocator; bound_allocator()\n"
        "import pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "system"
