"""The child's side: `python -m atom_backfill.sandbox.child PARENT_PID MEMORY_BYTES ANSWER_BYTES`.

Reads requests (function, payloads, CPU seconds each) from stdin and writes one answer an item to stdout, and after
the last the memory it has used; all of them pickles with an eight-byte length before them. Ends with its parent, even
when that is killed. Errors travel as words: a traceback could hold mail text, so only the kind of an unexpected error
and the place in the code are told.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

from atom_backfill.errors import SkipItemError

LENGTH = struct.Struct(">Q")
DONE, SKIPPED = "done", "skipped"


def main(arguments: list[str]) -> None:
    """Serve requests until the parent closes the pipe."""
    parent, memory_bytes, answer_bytes = (int(argument) for argument in arguments)
    die_with(parent)
    limit_memory(memory_bytes)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a parsed library prints must not fall between answers.
    os.dup2(2, 1)
    # The parent's, since functions are sent by name: what it can import, the child can too.
    sys.path[:] = _receive(requests)
    with contextlib.suppress(EOFError):
        while True:
            function, payloads, seconds = _receive(requests)
            for payload in payloads:
                answers.write(_answer(function, payload, seconds, answer_bytes))
                # One by one: whatever the next item does, this answer has left.
                answers.flush()
            answers.write(_frame(used_bytes()))
            answers.flush()


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies (Linux); elsewhere the closed pipe ends it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(0)


def limit_memory(memory_bytes: int) -> None:
    """Bound the address space where the platform can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def used_bytes() -> int:
    """Return the most memory that this process has held, 0 where the platform does not tell."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/status", "rb") as status:  # noqa: PTH123
        # Not getrusage's figure: on Linux a child begins with the one of the process that started it.
        return next((int(line.split()[1]) * 1_024 for line in status if line.startswith(b"VmHWM:")), 0)
    with contextlib.suppress(ImportError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1_024
    return 0


def _answer(function: Callable[[Any], Any], payload: object, seconds: float, answer_bytes: int) -> bytes:
    _arm(seconds)
    try:
        answer = _frame((DONE, function(payload)))
        if len(answer) > answer_bytes:
            answer = _skip("parse_too_large", "What was read of the item is larger than the limit.")
    except SkipItemError as error:
        answer = _frame((SKIPPED, error.code, error.message, error.stage, error.detail))
    except MemoryError:
        answer = _skip("parse_memory", "Reading the item takes more memory than it may.")
    except Exception as error:  # noqa: BLE001 - the child's edge: one item's error is that item's alone
        answer = _skip("parse_failed", "The item cannot be read.", _place(error))
    finally:
        _arm(0)
    return answer


def _arm(seconds: float) -> None:
    # The default action of SIGPROF ends the process even while a regular expression holds the interpreter.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _skip(code: str, message: str, detail: str = "") -> bytes:
    return _frame((SKIPPED, code, message, "parse", detail))


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119
    return type(error).__name__ + where


def _frame(answer: object) -> bytes:
    body = pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def _receive(stream: BinaryIO) -> Any:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return pickle.loads(stream.read(LENGTH.unpack(head)[0]))  # noqa: S301 - from our own parent


_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    main(sys.argv[1:])
