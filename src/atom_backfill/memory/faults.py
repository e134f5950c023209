"""LanceDB's errors, which are told apart by their words alone, as ours. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from atom_backfill.errors import AtomError, NeedsOperatorError, NeedsOwnerError, RetryLaterError


@contextmanager
def translated() -> Iterator[None]:
    """Turn LanceDB's errors into ours; what is not known stays a bug."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        known = _known(str(error))
        if known is None:
            raise
        raise known from error


def is_conflict(error: Exception) -> bool:
    """Tell whether a commit has failed only because another came first."""
    words = str(error).lower()
    return any(
        sign in words
        for sign in ("commit conflict", "incompatible transaction", "too many concurrent writers", "preempted")
    )


def _known(words: str) -> AtomError | None:
    lower = words.lower()

    def says(*signs: str) -> bool:
        return any(sign in lower for sign in signs)

    if says("no space left", "os error 28", "quota exceeded", "os error 122"):
        return NeedsOperatorError("disk_full", "The disk of the memory folder is full; free some space and resume.")
    if says("nosuchbucket", "accessdenied", "invalidaccesskeyid", "signaturedoesnotmatch", "expiredtoken") or (
        says("bucket '") and says("not found")
    ):
        return NeedsOperatorError(
            "memory_refused",
            "The object store refuses the memory: check the bucket in ATOM_MEMORY_URI, and the credentials (AWS_…).",
        )
    if says("permission denied", "read-only file system", "not a directory", "file exists", "access denied"):
        return NeedsOperatorError(
            "memory_unwritable", "The memory folder cannot be written; check ATOM_MEMORY_URI and its permissions."
        )
    # Whatever else its client cannot do: with no network, it does not even find out where the bucket lies.
    if says("generic s3 error", "error sending request", "timed out", "retryerror", "connection"):
        return RetryLaterError(
            "memory_unreachable",
            "The object store of the memory does not answer: check the network, the bucket in ATOM_MEMORY_URI, and "
            "where it lies (AWS_REGION, AWS_ENDPOINT).",
        )
    if says("not found", "no such file"):
        return NeedsOwnerError(
            "memory_lost",
            "Files of this memory are missing: restore its folder from a backup, or make it anew with `rebuild`.",
        )
    return None
