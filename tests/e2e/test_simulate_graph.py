"""`python -m atom_simulators.graph` as a user starts it: flags, the ready line, signals, refusals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from graph_simulator import a_graph_message, write_data

COMMAND = [sys.executable, "-m", "atom_simulators.graph"]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield json.loads(line)["url"], process
    finally:
        process.kill()
        process.communicate()


def refused(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def app_only(url: str) -> dict[str, str]:
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "s", "scope": "x/.default"}
    token = httpx.post(f"{url}/lumen.example/oauth2/v2.0/token", data=form).json()
    return {"Authorization": f"Bearer {token['access_token']}"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path, "ines", [a_graph_message(number) for number in range(5)])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_a_folder_and_ends_cleanly_when_told(data: Path, number: int) -> None:
    with running("--data", str(data)) as (url, process):
        found = httpx.get(f"{url}/v1.0/users/ines@example.com/messages/$count", headers=app_only(url))
        assert found.text == "5"
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (0, "", "")


def test_it_ends_though_a_call_hangs(data: Path, tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"on": "messages", "kind": "hang", "seconds": 60}]))
    with running("--data", str(data), "--faults", str(faults)) as (url, process):
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{url}/v1.0/users/ines@example.com/messages", headers=app_only(url), timeout=0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_every_flag_reaches_the_service(data: Path, tmp_path: Path) -> None:
    quirks = tmp_path / "quirks.json"
    quirks.write_text(json.dumps({"count_bom": True}))
    numbers = {
        "latency": "0.01",
        "page-latency": "0",
        "concurrency": "2",
        "requests": "3",
        "window": "60",
        "token-seconds": "77",
        "device-seconds": "88",
        "device-interval": "2",
    }
    flags = [part for name, value in numbers.items() for part in (f"--{name}", value)]
    flags += ["--user", "extra", "--generate", "extra=40", "--quirk", 'count_off_by={"*": 2}']
    with running("--data", str(data), "--quirks", str(quirks), *flags) as (url, _):
        form = {"client_id": "a", "scope": "Mail.Read"}
        started = httpx.post(f"{url}/common/oauth2/v2.0/devicecode", data=form).json()
        assert (started["expires_in"], started["interval"]) == (88, 2)
        headers = app_only(url)
        count = f"{url}/v1.0/users/extra@example.com/messages/$count"
        assert httpx.get(count, headers=headers).content == "\ufeff42".encode()
        assert [httpx.get(count, headers=headers).status_code for _ in range(3)] == [200, 200, 429]
        boxes = httpx.get(f"{url}/_sim/mailboxes").json()["mailboxes"]
        assert {box["name"]: box["messages"] for box in boxes} == {"ines": 5, "extra": 40}


def test_without_data_it_serves_the_sample_mailbox() -> None:
    with running() as (url, _):
        found = httpx.get(f"{url}/v1.0/users/sample@example.com/messages/$count", headers=app_only(url))
        assert int(found.text) > 500


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "nowhere"], "holds no mailbox"),
        (["--faults", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--quirks", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--quirk", "colour=1"], 'there is no switch "colour"'),
        (["--generate", "big"], "must be NAME=COUNT"),
        (["--generate", "big=1", "--user", "nobody"], "there is no such mailbox, only big"),
        (["--latency", "-1"], "must not be negative"),
        (["--port", "70000"], "must be a number from 0 to 65535"),
        (["--port", "x"], "must be a number from 0 to 65535"),
    ],
)
def test_what_cannot_be_run_is_wrong_usage(arguments: list[str], sentence: str) -> None:
    status, stderr = refused(*arguments)
    assert status == 2
    assert sentence in stderr
    assert len(stderr.splitlines()) == 1


def test_a_bad_fault_file_is_named_at_start(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('[{"on": "messages", "kind": "explode"}]')
    status, stderr = refused("--generate", "a=1", "--faults", str(path))
    assert status == 2
    assert f'{path}: rule 1: "kind" is "explode"' in stderr


def test_a_port_that_is_taken_is_said(data: Path) -> None:
    with running("--data", str(data)) as (url, _):
        status, stderr = refused("--data", str(data), "--port", str(httpx.URL(url).port))
        assert status == 1
        assert "cannot listen on 127.0.0.1" in stderr
