"""`simulate llm` as a process: it says where it is, plays its files, and says what is wrong with its arguments."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from llm_simulator import PROMPT, SCHEMA, a_call, a_unit, authorised, by_schema

MODULE = [sys.executable, "-m", "atom_simulators.llm"]
PRODUCT = [sys.executable, "-m", "atom_backfill", "simulate", "llm"]
TEXT = "We will order forty lenses from Corvane Optics before the summer."


@contextmanager
def running(*arguments: str, command: list[str] = MODULE) -> Iterator[str]:
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
        assert process.wait(10) == 0


def ask(url: str, text: str = TEXT, key: str = "sk-any") -> httpx.Response:
    messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": a_call(a_unit(text))}]
    body = {"model": "my-model", "messages": messages, "response_format": by_schema(SCHEMA)}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=authorised(key), timeout=20)


def test_the_product_s_command_becomes_the_simulator(tmp_path: Path) -> None:
    script, log = tmp_path / "faults.json", tmp_path / "calls.jsonl"
    script.write_text('[{"on": "chat", "kind": "503", "at": [2]}]')
    arguments = ["--faults", str(script), "--log", str(log), "--model", "my-model=1/10", "--key", "sk-mine"]
    with running(*arguments, command=PRODUCT) as url:
        assert ask(url).status_code == 401
        assert [ask(url, key="sk-mine").status_code for _ in range(2)] == [200, 503]
        totals = httpx.get(f"{url}/_simulator/calls").json()["totals"]
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert [call["status"] for call in logged] == [401, 200, 503]
    assert totals["usd"] == pytest.approx(logged[1]["prompt_tokens"] / 1e6 + logged[1]["completion_tokens"] / 1e5)
    assert "lenses" not in log.read_text()


def test_facts_come_from_a_file_or_in_a_number(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    entity = {"type": "product", "name": "forty lenses", "quote": "order forty lenses from Corvane Optics"}
    file.write_text(json.dumps({"mails": [{"text": TEXT, "entities": [entity]}]}))
    with running("--model", "my-model", "--facts", str(file)) as url:
        content = json.loads(ask(url).json()["choices"][0]["message"]["content"])
        assert content["u"][0]["e"] == ["product|forty lenses|order forty lenses from Corvane Optics"]
    with running("--model", "my-model", "--facts", "10", "--facts-words", "11") as url:
        content = json.loads(ask(url).json()["choices"][0]["message"]["content"])
        assert len(content["u"][0]["e"]) + len(content["u"][0]["r"]) >= 8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "x"], "'x' is not a number"),
        (["--rpm", "-1"], "-1 is not between 0 and"),
        (["--latency", "nan"], "nan is not between"),
        (["--model", "m=cheap"], "is not NAME or NAME=IN/OUT"),
        (["--faults", "none.json"], "none.json: cannot be read"),
        (["--facts", "none.json"], "none.json: cannot be read"),
        (["--facts", "-3"], "more than 0"),
        (["--colour"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments_end_it_with_status_2_and_a_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = subprocess.run([*MODULE, *arguments], check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
