"""Every error that PostgreSQL or psycopg can raise has its verdict."""

from __future__ import annotations

import inspect
import re

import psycopg
import psycopg_pool
import pytest
from psycopg import errors

from atom_backfill.db.faults import RowRefusedError, translate, translate_connecting, translated
from atom_backfill.errors import AtomError, BugError, NeedsOperatorError, RetryLaterError

ALL = [
    each
    for module in (errors, psycopg_pool)
    for _, each in inspect.getmembers(module, inspect.isclass)
    if issubclass(each, psycopg.Error)
]


def test_psycopg_still_has_the_errors_that_this_suite_walks_through() -> None:
    assert len(ALL) > 250


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: str(kind.__name__))
def test_every_error_has_a_verdict(kind: type[psycopg.Error]) -> None:
    assert translate(kind()).code != "database_unknown_error"


@pytest.mark.parametrize(
    ("kind", "expected", "code"),
    [
        (errors.ConnectionFailure, RetryLaterError, "database_unavailable"),
        (errors.AdminShutdown, RetryLaterError, "database_unavailable"),
        (errors.CrashShutdown, RetryLaterError, "database_unavailable"),
        (errors.CannotConnectNow, RetryLaterError, "database_unavailable"),
        (errors.IdleInTransactionSessionTimeout, RetryLaterError, "database_unavailable"),
        (psycopg.OperationalError, RetryLaterError, "database_unavailable"),
        (errors.DeadlockDetected, RetryLaterError, "database_conflict"),
        (errors.SerializationFailure, RetryLaterError, "database_conflict"),
        (errors.LockNotAvailable, RetryLaterError, "database_conflict"),
        (errors.QueryCanceled, RetryLaterError, "database_slow"),
        (errors.TooManyConnections, RetryLaterError, "database_connections_exhausted"),
        (errors.UniqueViolation, RowRefusedError, "row_refused"),
        (errors.CheckViolation, RowRefusedError, "row_refused"),
        (errors.NotNullViolation, RowRefusedError, "row_refused"),
        (errors.ForeignKeyViolation, RowRefusedError, "row_refused"),
        (errors.CharacterNotInRepertoire, RowRefusedError, "row_refused"),
        (errors.UntranslatableCharacter, RowRefusedError, "row_refused"),
        (errors.StringDataRightTruncation, RowRefusedError, "row_refused"),
        (errors.ProgramLimitExceeded, RowRefusedError, "row_too_big"),
        (psycopg.DataError, RowRefusedError, "row_refused"),
        (errors.DiskFull, NeedsOperatorError, "disk_full"),
        (errors.OutOfMemory, NeedsOperatorError, "database_resources"),
        (errors.ReadOnlySqlTransaction, NeedsOperatorError, "database_read_only"),
        (errors.InsufficientPrivilege, NeedsOperatorError, "database_privilege"),
        (errors.InvalidPassword, NeedsOperatorError, "database_login_refused"),
        (errors.InvalidCatalogName, NeedsOperatorError, "database_missing"),
        (errors.DatabaseDropped, NeedsOperatorError, "database_missing"),
        (errors.DataCorrupted, NeedsOperatorError, "database_corrupted"),
        (errors.IoError, NeedsOperatorError, "database_storage"),
        (errors.DuplicatePreparedStatement, NeedsOperatorError, "database_pooler"),
        (errors.UndefinedTable, BugError, "database_misused"),
        (errors.SyntaxError, BugError, "database_misused"),
        (errors.InFailedSqlTransaction, BugError, "database_misused"),
        (psycopg.InterfaceError, BugError, "database_misused"),
    ],
)
def test_errors_are_sorted_by_what_to_do_next(kind: type[psycopg.Error], expected: type[AtomError], code: str) -> None:
    verdict = translate(kind())
    assert (type(verdict), verdict.code) == (expected, code)


def test_an_error_of_a_class_that_does_not_exist_yet_is_a_bug() -> None:
    class Unheard(psycopg.Error):
        sqlstate = "ZZ123"

    verdict = translate(Unheard("mail text"))
    assert (type(verdict), verdict.code) == (BugError, "database_unknown_error")
    assert "mail text" not in f"{verdict} {verdict.detail}"


def test_a_lone_surrogate_is_a_refused_row_and_other_errors_pass() -> None:
    with pytest.raises(RowRefusedError), translated():
        "\ud800".encode()
    with pytest.raises(ValueError, match="ours"), translated():
        raise ValueError("ours")


@pytest.mark.parametrize(
    ("text", "expected", "code"),
    [
        ('FATAL:  password authentication failed for user "x"', NeedsOperatorError, "database_login_refused"),
        ('FATAL:  role "x" does not exist', NeedsOperatorError, "database_login_refused"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', NeedsOperatorError, "database_login_refused"),
        ('FATAL:  database "x" does not exist', NeedsOperatorError, "database_missing"),
        ('FATAL:  database "x" is not currently accepting connections', RetryLaterError, "database_unavailable"),
        ("failed to resolve host 'db.test': Name or service not known", NeedsOperatorError, "database_host_unknown"),
        (
            "failed to resolve host 'db.test': Temporary failure in name resolution",
            RetryLaterError,
            "database_unavailable",
        ),
        ("FATAL:  sorry, too many clients already", RetryLaterError, "database_connections_exhausted"),
        ("FATAL:  remaining connection slots are reserved for", RetryLaterError, "database_connections_exhausted"),
        ("connection refused", RetryLaterError, "database_unavailable"),
        ("FATAL:  das Datenbanksystem startet", RetryLaterError, "database_unavailable"),
    ],
)
def test_errors_while_connecting_are_told_apart_by_their_text(text: str, expected: type[AtomError], code: str) -> None:
    verdict = translate_connecting(psycopg.OperationalError(f"connection failed: {text}"))
    assert (type(verdict), verdict.code) == (expected, code)


def test_a_malformed_url_is_never_repeated() -> None:
    verdict = translate_connecting(psycopg.ProgrammingError('invalid port in "postgresql://me:secret@host:x/"'))
    assert verdict.code == "database_url_invalid"
    assert "secret" not in f"{verdict} {verdict.detail}"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://me:secret@db.test:5433/atom", "at db.test:5433 "),
        ("postgresql://me:secret@db.test/atom", "at db.test:5432 "),
        ("postgresql://me:secret@a.test:1,b.test:2/atom", "at a.test:1, b.test:2 "),
        ("postgresql://me:secret@[::1]/atom", "at ::1:5432 "),
        ("postgresql://me:secret@/atom?host=/run/sockets&port=5432", ""),
        ("postgresql://me:secret@1@db.test/atom", ""),
        ("postgresql://me:1/secret@db.test/atom", ""),
    ],
)
def test_a_database_that_is_away_is_named_by_host_and_port_alone(url: str, place: str) -> None:
    verdict = translate_connecting(psycopg.OperationalError("connection refused"), url)
    assert f"The database {place}cannot be reached" in verdict.message
    assert ("DATABASE_URL" in verdict.message) is bool(place)
    assert not {"me", "secret"} & set(re.split(r"\W", verdict.message))
