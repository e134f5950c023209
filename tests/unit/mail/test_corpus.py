"""The development mail, where it is there: every odd message ends as a digest or a failure with a code."""

from __future__ import annotations

import gzip
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atom_backfill.errors import SkipItemError
from atom_backfill.mail.clean import clean
from atom_backfill.mail.digest import Digest
from atom_backfill.mail.door import Limits
from atom_backfill.mail.message import FolderId, SourceId
from atom_backfill.mail.mime import read_mime
from atom_backfill.sources.outlook.parse import read_graph
from digests import assert_sound

pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def corpus() -> Path:
    folder = os.environ.get("ATOM_CORPUS")
    if not folder:
        pytest.skip("ATOM_CORPUS does not name the folder of the development mail")
    return Path(folder)


def outcome(read: Callable[[], Digest]) -> str:
    """Read within 5 s of CPU; "" for a digest, else the failure's code."""
    started = time.process_time()
    try:
        assert_sound(read())
        code = ""
    except SkipItemError as error:
        assert error.stage == "parse"
        code = error.code
    assert time.process_time() - started < 5
    return code


def weird(corpus: Path) -> Iterator[tuple[str, bytes]]:
    with gzip.open(corpus / "robustness" / "weird_graph.jsonl.gz", "rt") as file:
        for line in file:
            item = json.loads(line)
            yield item["case"], json.dumps(item["message"]).encode()


def test_every_odd_graph_message_is_read_or_skipped_with_a_code(corpus: Path) -> None:
    outcomes = {
        case: outcome(lambda payload=payload: clean(read_graph(payload, limits=Limits()), Limits()))  # type: ignore[misc]
        for case, payload in weird(corpus)
    }
    assert {case: code for case, code in outcomes.items() if code} == {"removed_delta": "removed"}


def test_every_broken_json_body_is_read_or_skipped_with_a_code(corpus: Path) -> None:
    for path in sorted((corpus / "robustness" / "invalid_json").iterdir()):
        payload = path.read_bytes()
        assert outcome(lambda payload=payload: clean(read_graph(payload, limits=Limits()), Limits()))  # type: ignore[misc]


def test_every_odd_mail_file_is_read_or_skipped_with_a_code(corpus: Path) -> None:
    for folder in ("eml", "reply_fixtures"):
        for path in sorted((corpus / "robustness" / folder).iterdir()):
            payload = path.read_bytes()
            code = outcome(
                lambda payload=payload: clean(  # type: ignore[misc]
                    read_mime(payload, source_id=SourceId("s"), folder_id=FolderId("f"), limits=Limits()), Limits()
                )
            )
            assert code in ("", "empty"), path.name
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 500_000
