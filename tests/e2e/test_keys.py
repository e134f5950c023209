"""A key from `key set` to what its endpoint says of it, by the commands that a user types."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.product import Product
from local_home import Home


@contextmanager
def a_model(*flags: str) -> Iterator[str]:
    """Run the model simulator; yields its base URL."""
    command = [sys.executable, "-m", "atom_simulators.llm", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"{json.loads(process.stdout.readline())['url']}/v1"
        finally:
            process.terminate()


@pytest.fixture
def product(home: Home) -> Iterator[Product]:
    product = Product(home.path, {})
    yield product
    for key in product.json("key", "list")["keys"]:
        product.run("key", "delete", key["name"])


def set_key(product: Product, value: str, url: str, model: str = "gpt-4o-mini", status: int = 0) -> None:
    product.run("key", "set", "openai_api_key", "--base-url", url, "--model", model, stdin=f"{value}\n", status=status)


@pytest.mark.parametrize(
    ("flags", "form"), [((), "schema"), (("--no-schema",), "json"), (("--no-schema", "--no-json"), "text")]
)
def test_a_key_is_set_tested_listed_and_deleted_and_never_printed(
    product: Product, flags: tuple[str, ...], form: str
) -> None:
    with a_model(*flags) as url:
        set_key(product, "sk-right", url)
        tested = product.json("key", "test", "OpenAI_API_Key")
        assert (tested["name"], tested["status"], tested["form"]) == ("OPENAI_API_KEY", "works", form)
        [listed] = product.json("key", "list")["keys"]
        assert (listed["base_url"], listed["model"], listed["form"]) == (url, "gpt-4o-mini", form)
        said = [product.run("key", *words) for words in (["list"], ["test", "openai_api_key"])]
        assert not any("sk-right" in f"{done.out}{done.err}" for done in said)
    assert product.json("key", "delete", "OPENAI_API_KEY") == {"name": "OPENAI_API_KEY", "deleted": True}
    assert product.json("key", "list") == {"keys": []}


@pytest.mark.parametrize(
    ("value", "model", "status", "words", "noted"),
    [
        ("wrong", "gpt-4o-mini", 4, "key set OPENAI_API_KEY", "rejected"),
        ("exhausted", "gpt-4o-mini", 1, "no credit", "quota_used_up"),
        ("sk-right", "no-such-model", 1, "check the base URL and the model", "untested"),
    ],
)
def test_what_is_wrong_with_a_key_is_said_with_the_way_out(
    product: Product, value: str, model: str, status: int, words: str, noted: str
) -> None:
    with a_model("--model", "other-model") as url:
        set_key(product, value, url, model)
        done = product.run("key", "test", "OPENAI_API_KEY", status=status)
        assert words in done.err
        assert value == "sk-right" or f" {value}" not in done.err
        assert product.json("key", "list")["keys"][0]["status"] == noted


def test_nothing_is_stored_of_what_cannot_be_a_key(product: Product, tmp_path: Path) -> None:
    url = "https://models.example/v1"
    for value in ("", "two words"):
        set_key(product, value, url, status=2)
    set_key(product, "sk-right", "http://models.example/v1", status=2)
    set_key(product, "sk-right", "models.example", status=2)
    for words in (["key", "test"], ["key", "delete"]):
        assert "key list" in product.run(*words, "OPENAI_API_KEY", status=3).err
    assert product.json("key", "list") == {"keys": []}
