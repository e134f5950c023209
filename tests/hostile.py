"""Functions that misbehave, for the sandbox to run: importable by name in a child process."""

from __future__ import annotations

import os
import re
import time

from atom_backfill.errors import SkipItemError


def behave(payload: str) -> str:
    """Do what the payload says; anything else is echoed in capitals."""
    match payload:
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(600)
        case "spin":
            while True:
                pass
        case "regex":
            re.match(r"(a+)+$", "a" * 64 + "b")
        case "memory":
            return "x" * 8_000_000_000
        case "hoard":
            return "y" * 50_000_000
        case "raise":
            raise ValueError("a secret line of mail")
        case "recurse":
            return behave(payload) + "deeper"
        case "skip":
            raise SkipItemError("not_a_message", "This is no message.", stage="parse", detail="d")
        case "print":
            print("noise on the answers' pipe", flush=True)
            os.write(1, b"more noise")
    return payload.upper()


def scaled(factor: int, payload: int) -> int:
    return factor * payload


def whereabouts(payload: object) -> int:
    return os.getpid()


def variable(name: str) -> str | None:
    return os.environ.get(name)
