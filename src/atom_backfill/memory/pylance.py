"""What pylance does to a table's files and LanceDB does not. Blocking; imported late, since it takes 50 MB."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa

from atom_backfill.errors import NeedsOwnerError
from atom_backfill.memory.faults import translated
from atom_backfill.memory.upkeep import segments_to_merge

OLD_VERSIONS_LIVE = timedelta(hours=1)
"""Longer than any reader or writer holds a version."""
FRAGMENT_ROWS = 5_000
"""Small commits are merged into files of this many rows, and those are left alone: upkeep's cost follows what is new,
not what is there. (LanceDB's own `optimize` rewrites everything each time: 2 s at 30,000 rows, and rising.) Merging
takes memory with the rows of a file: 46 MB at most with these, 118 MB with files of 20,000."""
COPIED_ROWS = 1000


def keep_up(table: str, step: str, words_index: str) -> None:
    """Do one of an upkeep's steps, as LanceDB's `optimize` does without limits."""
    import lance

    dataset = lance.dataset(table)
    if step == "compact":
        dataset.optimize.compact_files(target_rows_per_fragment=FRAGMENT_ROWS, num_threads=1)
    elif step == "index":
        rows = dataset.stats.index_stats(words_index)["num_indexed_rows_per_delta"]
        dataset.optimize.optimize_indices(num_indices_to_merge=segments_to_merge(rows))
    else:
        dataset.cleanup_old_versions(older_than=OLD_VERSIONS_LIVE)


def schema_at(table: str) -> pa.Schema:
    """Return a table's columns and metadata."""
    import lance

    return lance.dataset(table).schema


def latest_version(table: str) -> int:
    """Return the number of a table's latest version."""
    import lance

    return int(lance.dataset(table).latest_version)


def begin_version(table: str) -> None:
    """Make a version that has nothing new, so that what is to follow the one before cannot."""
    import lance

    dataset = lance.dataset(table)
    dataset.update_config({"atom.settled": str(dataset.version)})


def is_readable(table: str) -> bool:
    """Tell whether there is a table that can be opened. Raises where it may be only the store that does not answer."""
    try:
        with translated():
            latest_version(table)
    except (NeedsOwnerError, OSError, RuntimeError, ValueError):
        return False
    return True


def copy(source: str, target: str) -> list[Any]:
    """Write a dataset's rows into another's files, a bounded number at a time; as yet they belong to no version."""
    import lance

    dataset = lance.dataset(source)
    rows = dataset.scanner(batch_size=COPIED_ROWS, batch_readahead=2).to_reader()
    return lance.fragment.write_fragments(
        rows, target, schema=dataset.schema, mode="overwrite", max_rows_per_file=FRAGMENT_ROWS
    )


def overwrite(table: str, version: int, schema: pa.Schema, files: list[Any]) -> None:
    """Make files all that a table has; fails where that version is not the latest."""
    import lance

    made = lance.LanceOperation.Overwrite(schema, files)
    lance.LanceDataset.commit(table, made, read_version=version, max_retries=0)
