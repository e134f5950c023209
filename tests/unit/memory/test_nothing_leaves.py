"""The libraries that the memory stands on neither report anything nor leave anything outside the home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, uuid
from atom_backfill.memory.lance import open_index
from atom_backfill.memory.minilm import MiniLM

async def main():
    embedder = MiniLM(threads=1)
    await embedder.embed(["The lease is signed."])
    await open_index("home/memory", uuid.uuid4(), embedder.identity, embedder.dim)
    embedder.close()

asyncio.run(main())
"""


ROOT = Path(__file__).parents[3]
USERS = [
    path
    for path in (*(ROOT / "src").rglob("*.py"), *(ROOT / "bench").rglob("*.py"))
    if "import onnxruntime" in path.read_text("utf-8")
]


@pytest.mark.parametrize("path", USERS, ids=lambda path: path.name)
def test_the_runtime_of_the_model_is_told_to_report_nothing_before_it_is_imported(path: Path) -> None:
    """It reads ORT_DISABLE_TELEMETRY once; set later it has told of its start already."""
    text = path.read_text("utf-8")
    assert 0 < text.find('os.environ["ORT_DISABLE_TELEMETRY"] = "1"') < text.rfind("import onnxruntime")


def test_embedding_and_remembering_write_nothing_outside_the_home(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")}
    places = {"HOME": "user", "TMPDIR": "temporary", "XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "data"}
    for place in ("home", *places.values()):
        (tmp_path / place).mkdir()
    environment = kept | {name: str(tmp_path / place) for name, place in places.items()}
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, check=True)
    outside = [path for place in places.values() for path in (tmp_path / place).rglob("*")]
    assert outside == []
