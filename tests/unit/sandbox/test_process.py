from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

import hostile
from atom_backfill.errors import SkipItemError
from atom_backfill.sandbox.process import Sandbox, SandboxLimits


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    box = Sandbox(SandboxLimits(memory_bytes=600_000_000, answer_bytes=10_000_000, patience=2.0))
    yield box
    await box.aclose()


async def codes(box: Sandbox, payloads: list[str], seconds_each: float = 0.4) -> list[str]:
    answers = await box.map(hostile.behave, payloads, seconds_each=seconds_each)
    return [a.code if isinstance(a, SkipItemError) else a for a in answers]


async def test_answers_come_in_the_order_of_the_payloads(sandbox: Sandbox) -> None:
    numbers = list(range(500))
    assert await sandbox.map(partial(hostile.scaled, 3), numbers) == [3 * number for number in numbers]


@pytest.mark.parametrize(
    ("evil", "code"),
    [
        ("exit", "parse_crash"),
        ("spin", "parse_timeout"),
        ("regex", "parse_timeout"),
        ("memory", "parse_memory"),
        ("hoard", "parse_too_large"),
        ("raise", "parse_failed"),
        ("recurse", "parse_failed"),
        ("skip", "not_a_message"),
    ],
)
async def test_only_the_guilty_item_is_lost(sandbox: Sandbox, evil: str, code: str) -> None:
    assert await codes(sandbox, ["a", evil, "b"]) == ["A", code, "B"]


async def test_a_sleeping_item_is_killed_by_the_wall_clock() -> None:
    box = Sandbox(SandboxLimits(patience=0.5))
    assert await codes(box, ["a", "hang", "b"]) == ["A", "parse_timeout", "B"]
    await box.aclose()


async def test_two_guilty_items_in_a_row_are_told_apart(sandbox: Sandbox) -> None:
    assert await codes(sandbox, ["exit", "exit", "a", "spin", "b"]) == [
        "parse_crash",
        "parse_crash",
        "A",
        "parse_timeout",
        "B",
    ]


async def test_an_error_tells_its_kind_and_place_but_not_its_words(sandbox: Sandbox) -> None:
    (answer,) = await sandbox.map(hostile.behave, ["raise"])
    assert isinstance(answer, SkipItemError)
    assert answer.stage == "parse"
    assert "secret" not in answer.detail + answer.message
    assert answer.detail.startswith("ValueError at hostile.py:")


async def test_what_an_item_prints_does_not_spoil_the_answers(sandbox: Sandbox) -> None:
    assert await codes(sandbox, ["print", "a"]) == ["PRINT", "A"]


async def test_the_child_is_kept_between_calls_and_replaced_after_its_items() -> None:
    box = Sandbox(SandboxLimits(items_per_child=4))
    first = await box.map(hostile.whereabouts, [0, 0])
    second = await box.map(hostile.whereabouts, [0, 0])
    third = await box.map(hostile.whereabouts, [0])
    await box.aclose()
    assert first == second
    assert third[0] not in first


async def test_a_child_that_has_grown_is_replaced() -> None:
    box = Sandbox(SandboxLimits(retire_bytes=1))
    first = await box.map(hostile.whereabouts, [0, 0])
    second = await box.map(hostile.whereabouts, [0])
    await box.aclose()
    assert first[0] == first[1]
    assert second[0] not in first


async def test_a_child_does_not_answer_for_the_size_of_its_parent() -> None:
    box = Sandbox(SandboxLimits(retire_bytes=300_000_000))
    large = bytearray(os.urandom(1)) * 350_000_000
    first = await box.map(hostile.whereabouts, [0])
    second = await box.map(hostile.whereabouts, [0])
    await box.aclose()
    assert len(large) > 300_000_000
    assert first == second


async def test_a_child_killed_from_outside_costs_no_item(sandbox: Sandbox) -> None:
    (pid,) = await sandbox.map(hostile.whereabouts, [0])
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    assert await codes(sandbox, ["a", "b"]) == ["A", "B"]


@pytest.mark.parametrize("size", [1, 5_000_000], ids=["small", "more than the pipe holds"])
async def test_a_stopped_child_is_replaced_and_costs_no_item(size: int) -> None:
    box = Sandbox(SandboxLimits(patience=0.5))
    (pid,) = await box.map(hostile.whereabouts, [0])
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGSTOP)
    assert await codes(box, ["a" * size, "b"], seconds_each=0.2) == ["A" * size, "B"]
    await box.aclose()


async def test_calls_at_once_share_the_children(sandbox: Sandbox) -> None:
    answers = await asyncio.gather(*(sandbox.map(hostile.behave, [f"p{n}"]) for n in range(5)))
    assert answers == [[f"P{n}"] for n in range(5)]


async def test_a_cancelled_call_leaves_a_sandbox_that_works(sandbox: Sandbox) -> None:
    call = asyncio.create_task(sandbox.map(hostile.behave, ["spin"], seconds_each=30))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await codes(sandbox, ["a"]) == ["A"]


async def test_a_closed_sandbox_leaves_no_child() -> None:
    box = Sandbox()
    (pid,) = await box.map(hostile.whereabouts, [0])
    await box.aclose()
    await box.aclose()
    assert isinstance(pid, int)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_module_in_the_working_folder_does_not_run_in_the_child(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "struct.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.chdir(tmp_path)
    assert await codes(sandbox, ["a"]) == ["A"]


async def test_the_child_is_given_no_secret(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ["ATOM_MASTER_KEY", "ATOM_OPENAI_API_KEY", "DATABASE_URL", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"]
    for name in secrets:
        monkeypatch.setenv(name, "secret")
    assert await sandbox.map(hostile.variable, [*secrets, "PATH"]) == [*(None for _ in secrets), os.environ["PATH"]]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_child_dies_with_its_killed_parent() -> None:
    script = (
        "import asyncio, hostile, sys\n"
        "from atom_backfill.sandbox.process import Sandbox\n"
        "async def main():\n"
        "    box = Sandbox()\n"
        "    print((await box.map(hostile.whereabouts, [0]))[0], flush=True)\n"
        "    await box.map(hostile.behave, ['hang'], seconds_each=60)\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    try:
        handle = os.pidfd_open(child)
    except ProcessLookupError:
        return
    died, _, _ = select.select([handle], [], [], 5)
    os.close(handle)
    assert died
