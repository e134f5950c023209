"""The parent's side: pure functions run in child processes that can be limited, killed and replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from atom_backfill.errors import SkipItemError
from atom_backfill.sandbox.child import DONE, LENGTH

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What a child may use. `patience` is the wall time, in multiples of an item's CPU seconds, before it is killed.

    A child that has held more than `retire_bytes` or read `items_per_child` is replaced by a fresh one.
    """

    children: int = 1
    memory_bytes: int = 1_000_000_000
    retire_bytes: int = 400_000_000
    answer_bytes: int = 64_000_000
    items_per_child: int = 20_000
    patience: float = 6.0


class Sandbox:
    """A pool of children, started when first needed.

    An item that hangs, crashes, or takes too much memory costs its child, and becomes a SkipItemError (stage parse;
    code parse_timeout, parse_crash, parse_memory, parse_too_large or parse_failed); its neighbours are answered.
    """

    def __init__(self, limits: SandboxLimits | None = None) -> None:
        self._limits = limits or SandboxLimits()
        # A call waits for a place, not for a child: a dead one is replaced without queueing anew.
        self._places = asyncio.Semaphore(self._limits.children)
        self._idle: list[_Child] = []
        self._closed = False

    async def map(
        self, function: Callable[[P], R], payloads: Sequence[P], *, seconds_each: float = 5.0
    ) -> list[R | SkipItemError]:
        """Apply a picklable function to payloads, in order. `seconds_each`: CPU seconds that one item may take."""
        if not payloads:
            return []
        async with self._places:
            return await _Run(self, function, payloads, seconds_each).answers()

    async def aclose(self) -> None:
        """End every child; safe to repeat."""
        self._closed = True
        while self._idle:
            await self._idle.pop().end()

    async def take(self) -> _Child:
        """Take an idle child, or start one."""
        if self._closed:
            raise RuntimeError("the sandbox is closed")
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            await child.end()
        return await _Child.start(self._limits)

    async def give_back(self, child: _Child) -> None:
        """Keep a child for later, unless it has served its time."""
        if self._closed or child.items >= self._limits.items_per_child or child.used_bytes > self._limits.retire_bytes:
            await child.end()
        else:
            self._idle.append(child)


class _Run(Generic[P, R]):
    """One call of map: goes on after the guilty item when a child dies."""

    def __init__(self, sandbox: Sandbox, function: Callable[[P], R], payloads: Sequence[P], seconds: float) -> None:
        self._sandbox = sandbox
        self._function = function
        self._payloads = payloads
        self._seconds = seconds
        self._answers: list[R | SkipItemError] = []

    async def answers(self) -> list[R | SkipItemError]:
        suspect = -1
        while len(self._answers) < len(self._payloads):
            at = len(self._answers)
            # A child may die of what earlier items left behind, or get no CPU on a busy machine, so that its last item
            # is tried once more, alone.
            gone = await self._serve(at, at + 1 if suspect == at else len(self._payloads))
            if gone is None:
                continue
            at = len(self._answers)
            if gone.sure or suspect == at:
                self._answers.append(gone.verdict)
            else:
                suspect = at
        return self._answers

    async def _serve(self, start: int, end: int) -> _ChildGoneError | None:
        child = await self._sandbox.take()
        try:
            await child.ask(self._function, self._payloads[start:end], self._seconds)
            for _ in range(start, end):
                self._answers.append(cast("R | SkipItemError", await child.answer(self._seconds)))
            await child.finish(self._seconds)
        except _ChildGoneError as gone:
            await child.end()
            return gone if len(self._answers) < end else None
        except BaseException:
            await child.end()
            raise
        await self._sandbox.give_back(child)
        return None


class _ChildGoneError(Exception):
    """`sure`: the item that it was reading is the cause, whatever came before."""

    def __init__(self, verdict: SkipItemError, *, sure: bool = False) -> None:
        super().__init__(verdict.code)
        self.verdict = verdict
        self.sure = sure


class _Child:
    """One child process and its pipe."""

    def __init__(self, process: Process, limits: SandboxLimits) -> None:
        self._process = process
        self._limits = limits
        self.items = 0
        self.used_bytes = 0

    @classmethod
    async def start(cls, limits: SandboxLimits) -> _Child:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # or a module in the working folder would be run in place of one of Python's
            "-m",
            "atom_backfill.sandbox.child",
            str(os.getpid()),
            str(limits.memory_bytes),
            str(limits.answer_bytes),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=_environment(),
        )
        child = cls(process, limits)
        try:
            await child._send(sys.path)
        except BaseException:
            await child.end()
            raise
        return child

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, function: Callable[[Any], Any], payloads: Sequence[Any], seconds: float) -> None:
        try:
            async with self._patience(seconds):
                await self._send((function, list(payloads), seconds))
        except TimeoutError:
            # A child that is stopped takes nothing in, and its pipe would never have room again.
            raise _ChildGoneError(_verdict("parse_timeout")) from None

    async def answer(self, seconds: float) -> object:
        """Receive the answer to one item."""
        word, *rest = await self._receive(seconds)
        self.items += 1
        if word == DONE:
            return rest[0]
        code, message, stage, detail = rest
        return SkipItemError(code, message, stage=stage, detail=detail)

    async def finish(self, seconds: float) -> None:
        """Receive what stands after the last answer."""
        self.used_bytes = await self._receive(seconds)

    async def _receive(self, seconds: float) -> Any:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            async with self._patience(seconds):
                length = LENGTH.unpack(await stdout.readexactly(LENGTH.size))[0]
                if length > self._limits.answer_bytes + 1_000:
                    raise _ChildGoneError(_verdict("parse_too_large"))
                return pickle.loads(await stdout.readexactly(length))  # noqa: S301 - from our own child
        except TimeoutError:
            raise _ChildGoneError(_verdict("parse_timeout")) from None
        except asyncio.IncompleteReadError:
            cause = await self._cause()
            raise _ChildGoneError(_verdict(cause), sure=cause == "parse_timeout") from None

    def _patience(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds * self._limits.patience + 1.0)

    async def end(self) -> None:
        """Kill the child and free its pipes."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.close()
        # A paused pipe would never notice its end, and the transport would stay open.
        while await stdout.read(1 << 20):
            pass
        await self._process.wait()

    async def _send(self, message: object) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        stdin.write(LENGTH.pack(len(body)))
        stdin.write(body)
        with contextlib.suppress(ConnectionError):
            # A child that is gone is noticed when its answer is read.
            await stdin.drain()

    async def _cause(self) -> str:
        status = await self._process.wait()
        return "parse_timeout" if status == -getattr(signal, "SIGPROF", 0) else "parse_crash"


def _environment() -> dict[str, str]:
    """Give the child what an interpreter needs, and none of the secrets: it reads hostile input."""
    kept = {"PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT"}
    return {
        name: value for name, value in os.environ.items() if name in kept or name.startswith(("LC_", "LANG", "PYTHON"))
    }


def _verdict(code: str) -> SkipItemError:
    return SkipItemError(code, _MESSAGES[code], stage="parse")


_MESSAGES = {
    "parse_timeout": "Reading the item takes longer than it may.",
    "parse_crash": "Reading the item ended its process.",
    "parse_too_large": "What was read of the item is larger than the limit.",
}
