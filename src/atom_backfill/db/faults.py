"""PostgreSQL's and psycopg's errors, each turned into what to do next. A test goes through all of them.

Texts of rows never pass: an error names constraints, columns and states, not values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from atom_backfill.errors import AtomError, BugError, NeedsOperatorError, RetryLaterError


class RowRefusedError(AtomError):
    """The database refused a row for what is in it; its neighbours may still go in. `constraint` names the rule."""

    def __init__(self, code: str, message: str, *, constraint: str = "", detail: str = "") -> None:
        super().__init__(code, message, detail=detail)
        self.constraint = constraint


@dataclass(frozen=True, slots=True)
class _Verdict:
    kind: type[AtomError]
    code: str
    message: str


_GONE = _Verdict(RetryLaterError, "database_unavailable", "The database cannot be reached.")
_BUSY = _Verdict(RetryLaterError, "database_conflict", "Another transaction was in the way; the same may work again.")
_SLOW = _Verdict(RetryLaterError, "database_slow", "The database did not answer within the time limit.")
_FULL_HOUSE = _Verdict(
    RetryLaterError,
    "database_connections_exhausted",
    "The database has no connection left: raise its max_connections, or run fewer workers.",
)
_ROW = _Verdict(RowRefusedError, "row_refused", "The database refused a row")
_TOO_BIG = _Verdict(RowRefusedError, "row_too_big", "The database refused a row, since a value is too big")
_BUG = _Verdict(BugError, "database_misused", "The database refused a statement; this is a mistake in the product.")
_LOGIN = _Verdict(
    NeedsOperatorError,
    "database_login_refused",
    "The database refused the login: check user and password in DATABASE_URL.",
)
_MISSING = _Verdict(
    NeedsOperatorError,
    "database_missing",
    "The database named in DATABASE_URL does not exist: create it, or correct the name.",
)
_DISK = _Verdict(NeedsOperatorError, "disk_full", "The database's disk is full: free some space there.")
_RESOURCES = _Verdict(
    NeedsOperatorError,
    "database_resources",
    "The database server lacks memory or another resource; its log says which.",
)
_STORAGE = _Verdict(
    NeedsOperatorError, "database_storage", "The database server cannot read or write its files; see its log."
)
_CORRUPT = _Verdict(
    NeedsOperatorError,
    "database_corrupted",
    "The database is damaged; restore it from a backup. Its log says what is damaged.",
)
_READ_ONLY = _Verdict(
    NeedsOperatorError,
    "database_read_only",
    "The database accepts no writes (a standby?): let DATABASE_URL name the primary.",
)
_PRIVILEGE = _Verdict(
    NeedsOperatorError,
    "database_privilege",
    "The database account lacks a privilege; atom-backfill doctor says which to grant.",
)
_POOLER = _Verdict(
    NeedsOperatorError,
    "database_pooler",
    "A connection pooler loses prepared statements: set ATOM_DIRECT_URL to the database itself; then none are used.",
)
_URL = _Verdict(
    NeedsOperatorError, "database_url_invalid", "DATABASE_URL is not a PostgreSQL URL (postgresql://user@host/name)."
)
_HOST = _Verdict(
    NeedsOperatorError, "database_host_unknown", "The host named in DATABASE_URL is not known: correct it."
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html: a state where it differs from its class.
_BY_STATE = {
    "22P06": _BUG,  # nonstandard_use_of_escape_character
    "25006": _READ_ONLY,
    "25P03": _GONE,  # idle_in_transaction_session_timeout: the server hung up
    "25P04": _SLOW,  # transaction_timeout
    "26000": _POOLER,  # unknown prepared statement
    "42P05": _POOLER,  # duplicate prepared statement
    "42501": _PRIVILEGE,
    "53100": _DISK,
    "53300": _FULL_HOUSE,
    "54000": _TOO_BIG,  # an index entry, a tsvector
    "55006": _BUSY,
    "55P03": _BUSY,
    "57014": _SLOW,  # statement_timeout
    "57P04": _MISSING,  # database_dropped
    "08P01": _BUG,
    "0A000": _BUSY,  # "cached plan must not change result type", after a migration
    "XX001": _CORRUPT,
    "XX002": _CORRUPT,
}
_BY_CLASS = {
    "02": _BUG, "03": _BUG, "08": _GONE, "09": _BUG, "0A": _BUG, "0B": _BUG, "0F": _BUG, "0L": _BUG, "0P": _BUG,
    "0Z": _BUG, "10": _BUG, "20": _BUG, "21": _ROW, "22": _ROW, "23": _ROW, "24": _BUG, "25": _BUG, "26": _BUG,
    "27": _BUG, "28": _LOGIN, "2B": _BUG, "2D": _BUG, "2F": _BUG, "34": _BUG, "38": _BUG, "39": _BUG, "3B": _BUG,
    "3D": _MISSING, "3F": _BUG, "40": _BUSY, "42": _BUG, "44": _ROW, "53": _RESOURCES, "54": _BUG, "55": _BUG,
    "57": _GONE, "58": _STORAGE, "72": _BUSY, "F0": _STORAGE, "HV": _BUG, "P0": _BUG, "XX": _BUG,
}  # fmt: skip
# Errors that psycopg itself raises have no state; the first that fits counts.
_BY_TYPE: tuple[tuple[type[BaseException], _Verdict], ...] = (
    (errors.ConnectionTimeout, _GONE),
    (errors.CancellationTimeout, _SLOW),
    (errors.PipelineAborted, _BUG),
    (psycopg.DataError, _ROW),  # a NUL in a text, a date out of range
    (psycopg.IntegrityError, _ROW),
    (psycopg.NotSupportedError, _BUG),
    (psycopg.ProgrammingError, _BUG),
    (psycopg.InternalError, _BUG),
    (psycopg.InterfaceError, _BUG),
    (psycopg.OperationalError, _GONE),
    (psycopg.DatabaseError, _BUG),
    (psycopg.Error, _BUG),
    (UnicodeEncodeError, _ROW),  # a lone surrogate
)
# libpq reports a failed connection as text only, in the server's language: English here, else `database_unavailable`.
_WHILE_CONNECTING = (
    ("Temporary failure in name resolution", _GONE),
    ("Servname not supported", _URL),  # the port is no number
    ("failed to resolve host", _HOST),
    ("could not translate host name", _HOST),
    ("too many clients", _FULL_HOUSE),
    ("too many connections", _FULL_HOUSE),
    ("connection slots are reserved", _FULL_HOUSE),
    ("is not currently accepting connections", _GONE),
    ('FATAL:  database "', _MISSING),
    ("password authentication failed", _LOGIN),
    ("no password supplied", _LOGIN),
    ("authentication failed", _LOGIN),
    ("pg_hba.conf", _LOGIN),
    ("is not permitted to log in", _LOGIN),
    ('FATAL:  role "', _LOGIN),
)


def translate(error: BaseException) -> AtomError:
    """Return what to raise instead of an error of psycopg or, for text that cannot be encoded, of Python."""
    verdict = _verdict(error)
    if verdict is None:
        return BugError("database_unknown_error", "The database answered with an unknown error.", detail=_detail(error))
    if verdict.kind is not RowRefusedError:
        return verdict.kind(verdict.code, verdict.message, detail=_detail(error))
    diagnosis = error.diag if isinstance(error, psycopg.Error) else None
    rule = (diagnosis and (diagnosis.constraint_name or diagnosis.column_name)) or ""
    reason = f" ({rule})." if rule else f" ({type(error).__name__})."
    return RowRefusedError(verdict.code, verdict.message + reason, constraint=rule, detail=_detail(error))


def translate_connecting(error: BaseException, url: str = "") -> AtomError:
    """Return what to raise instead of an error met while connecting. Of `url`, host and port may be told."""
    if isinstance(error, psycopg.ProgrammingError):
        return _URL.kind(_URL.code, _URL.message)
    text = str(error)
    verdict = next((verdict for sign, verdict in _WHILE_CONNECTING if sign in text), _GONE)
    message = verdict.message
    if verdict is _GONE and (place := _place(url)):
        message = (
            f"The database at {place} cannot be reached: start it there, or correct host and port in DATABASE_URL."
        )
    return verdict.kind(verdict.code, message, detail=text.strip())


@contextmanager
def translated() -> Iterator[None]:
    """Raise errors of psycopg as ours."""
    try:
        yield
    except (psycopg.Error, UnicodeEncodeError) as error:
        # `from None`: the original's text may quote a row.
        raise translate(error) from None


def _place(url: str) -> str:
    """Return host and port of a database's URL, "" where it names none, or a socket's folder, as the embedded one does.

    So too where an @ or / in a password has not been encoded, and parts of it would pass for the host.
    """
    told = conninfo_to_dict(url) if url else {}
    host, port, rest = (str(told.get(name) or "") for name in ("host", "port", "dbname"))
    if not host or "@" in host + port + rest or "/" in host:
        return ""
    ports = (port or "5432").split(",")
    hosts = host.split(",")
    return ", ".join(f"{each}:{ports[min(n, len(ports) - 1)]}" for n, each in enumerate(hosts))


def _verdict(error: BaseException) -> _Verdict | None:
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state:
        return _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
    return next((verdict for kind, verdict in _BY_TYPE if isinstance(error, kind)), None)


def _detail(error: BaseException) -> str:
    if not isinstance(error, psycopg.Error):
        return type(error).__name__
    where = error.diag.table_name
    return " ".join(filter(None, (type(error).__name__, error.sqlstate, where and f"table {where}")))
