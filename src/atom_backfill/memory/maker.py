"""What a passage table's metadata say of its maker: the embedder, the form of its rows, and the rebuild. Pure."""

from __future__ import annotations

import pyarrow as pa

from atom_backfill.errors import NeedsOwnerError

SCHEMA_VERSION = 1
_EMBEDDER, _VERSION, _REBUILD = b"atom.embedder", b"atom.schema", b"atom.made"
_ANEW = "make the memory anew with `rebuild`"


def made_by(schema: pa.Schema, embedder: str, rebuild: str = "") -> pa.Schema:
    """Return the schema of a table that is made by an embedder, and by a rebuild or none."""
    version = str(SCHEMA_VERSION).encode()
    return schema.with_metadata({_EMBEDDER: embedder.encode(), _VERSION: version, _REBUILD: rebuild.encode()})


def rebuild_of(schema: pa.Schema) -> str:
    """Name the rebuild that has made a table, "" if none has."""
    return _said(schema, _REBUILD)


def embedder_of(schema: pa.Schema) -> str:
    """Name the embedder that has made a table's vectors."""
    return _said(schema, _EMBEDDER)


def is_alike(schema: pa.Schema, other: pa.Schema) -> bool:
    """Tell whether rows of one table can be among those of the other."""
    return all(_said(schema, key) == _said(other, key) for key in (_EMBEDDER, _VERSION))


def refuse_mismatch(found: pa.Schema, embedder_identity: str, dim: int) -> None:
    """Raise NeedsOwnerError where a table is not what this embedder and this version make."""
    made_by = embedder_of(found)
    if _said(found, _VERSION) != str(SCHEMA_VERSION):
        raise NeedsOwnerError(
            "memory_version",
            f"This memory was made by another version of atom-backfill: install that again, or {_ANEW}.",
        )
    if made_by != embedder_identity or found.field("vector").type.list_size != dim:
        raise NeedsOwnerError(
            "embedder_mismatch",
            f"This memory was made by the embedder {made_by}, but {embedder_identity} is set: "
            f"set the former again, or {_ANEW}.",
        )


def _said(schema: pa.Schema, key: bytes) -> str:
    value: bytes = (schema.metadata or {}).get(key, b"")
    return value.decode(errors="replace")
