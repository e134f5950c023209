"""Environment → one frozen Settings, read once. All mistakes are found at once, each with its fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values
from platformdirs import user_data_path

from atom_backfill.errors import NeedsOwnerError, UsageError
from atom_backfill.http import parse_base

if TYPE_CHECKING:
    from atom_backfill.llm.prices import Price


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its variable, meaning and default as text, how to read it, and whether to mask it."""

    variable: str
    meaning: str
    default: str
    read: Callable[[str], Any]
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A setting's present value as text, masked if secret, and where it came from."""

    setting: Setting
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What the product is set to. Field names are the variables' names without ATOM_, in lower case."""

    home: Path
    database_url: str | None = field(repr=False)
    direct_url: str | None = field(repr=False)
    postgres_bin: Path | None
    memory_uri: str
    tenant: str
    log: str
    log_level: str
    master_key: str | None = field(repr=False)
    graph_base_url: str
    login_base_url: str
    graph_concurrency: int
    graph_concurrency_scope: str
    page_size: int
    embedder: str
    openai_base_url: str
    openai_model: str
    openai_embedding_model: str
    openai_api_key: str | None = field(repr=False)
    model_calls: int
    model_prices: Mapping[str, Price]
    model_cap_usd: Decimal | None
    threads: int
    body_characters: int
    parse_memory_mb: int


def load_settings(environment: Mapping[str, str], folder: Path) -> tuple[Settings, tuple[Source, ...]]:
    """Read the settings from the environment, then from `folder`/.env, then from defaults.

    Raises UsageError that names every mistake with its fix.
    """
    mistakes: list[str] = []
    dotenv = _read_dotenv(folder / ".env", mistakes)
    values: dict[str, Any] = {}
    found = {setting: _lookup(setting, environment, dotenv) for setting in SETTINGS}
    for setting, (text, origin) in found.items():
        try:
            values[_field(setting.variable)] = setting.read(text)
        except ValueError as error:
            mistakes.append(f"{setting.variable}: {error} (from {origin})")
    mistakes += _mistyped({*environment, *dotenv})
    if values.get("direct_url") and not values.get("database_url"):
        mistakes.append("ATOM_DIRECT_URL: it is of no use without DATABASE_URL; set both, or neither")
    if mistakes:
        raise UsageError("bad_settings", "The settings do not work:\n  " + "\n  ".join(mistakes))
    values["memory_uri"] = values["memory_uri"] or str(values["home"] / "memory")
    sources = (Source(each, _told(each, text, values), origin) for each, (text, origin) in found.items())
    return Settings(**{each.name: values[each.name] for each in fields(Settings)}), tuple(sources)


def _read_dotenv(path: Path, mistakes: list[str]) -> dict[str, str]:
    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        mistakes.append(f"the file {path.absolute()} cannot be read: {reason}")
        return {}


def _lookup(setting: Setting, environment: Mapping[str, str], dotenv: Mapping[str, str]) -> tuple[str, str]:
    # An empty variable is an unset one: that is how shells and compose files leave one out.
    if environment.get(setting.variable):
        return environment[setting.variable], "environment"
    if dotenv.get(setting.variable):
        return dotenv[setting.variable], ".env"
    return setting.default, "default"


def _told(setting: Setting, text: str, values: Mapping[str, Any]) -> str:
    """Write a setting's present value; where none was given, what that comes to, such as the home of this platform."""
    if setting.secret:
        return "•••" if text else ""
    return _without_password(text or str(values[_field(setting.variable)] or ""))


def _mistyped(names: Iterable[str]) -> list[str]:
    """Find names that must have been meant for ours. Others that begin with ATOM_ are another program's."""
    ours = {_field(setting.variable): setting.variable for setting in SETTINGS}
    strange = sorted(name for name in names if name.startswith("ATOM_") and name not in ours.values())
    meant = {name: get_close_matches(_field(name), ours, n=1, cutoff=0.8) for name in strange}
    return [f"{name}: there is no such setting; did you mean {ours[near[0]]}?" for name, near in meant.items() if near]


def _field(variable: str) -> str:
    return variable.removeprefix("ATOM_").lower()


def _without_password(text: str) -> str:
    """Mask a URL's password, also one that ought to have been percent-encoded, and one in the query."""
    # Up to the last @: a password that was not encoded may hold one, and its rest must not be shown.
    text = re.sub(r"(?<=://)([^:@/]*):.*@", r"\1:•••@", text)
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1•••", text)


def _path(text: str) -> Path:
    return _optional_path(text) or user_data_path("atom-backfill", appauthor=False)


def _optional_path(text: str) -> Path | None:
    try:
        return Path(text).expanduser().absolute() if text else None
    except RuntimeError:
        raise ValueError("there is no such user's home; write the whole path") from None


def _memory(text: str) -> str:
    if re.match(r"s3://[^/]", text):
        return text.rstrip("/")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text):
        raise ValueError("must be a folder or s3://bucket/path")
    return str(_optional_path(text) or "")


def _model_key(text: str) -> str | None:
    from atom_backfill.access.keys import checked_value  # it loads a client of HTTP

    try:
        return checked_value(text) if text else None
    except UsageError:
        raise ValueError("must be a key, without spaces or letters that no key has") from None


def _prices(text: str) -> Mapping[str, Price]:
    from atom_backfill.llm.prices import parse_prices

    path = _optional_path(text)
    if path is None:
        return {}
    try:
        return parse_prices(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"the file {path} cannot be read: {reason}") from None
    except UsageError as error:
        raise ValueError(error.message) from None


def _usd(text: str) -> Decimal | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", text):
        raise ValueError("must be an amount in dollars, such as 20 or 12.50")
    return Decimal(text)


def _master_key(text: str) -> str | None:
    if not text:
        return None
    from atom_backfill.access.vault import parse_master_key  # it loads a library of ciphers

    try:
        parse_master_key(text)
    except NeedsOwnerError:
        raise ValueError("must be 32 bytes in base64, as `head -c 32 /dev/urandom | base64` makes them") from None
    return text


def _database(text: str) -> str | None:
    if text and not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must begin with postgresql://, or be unset for the embedded database")
    return text or None


def _endpoint(text: str) -> str:
    try:
        parse_base(text)
    except UsageError as error:
        raise ValueError(error.message) from None
    return text.rstrip("/")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        # "²" is a digit to Python, and "１２" a number.
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text.lower()

    return read


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "ATOM_HOME",
        "Folder that holds everything: database, memory, key; unset: the user's data folder for programs, on Linux "
        "~/.local/share/atom-backfill.",
        "",
        _path,
    ),
    Setting("DATABASE_URL", "PostgreSQL to use; unset: the embedded one in the home folder.", "", _database),
    Setting("ATOM_DIRECT_URL", "The same database without a pooler, for LISTEN; unset: DATABASE_URL.", "", _database),
    Setting("ATOM_POSTGRES_BIN", "Programs of another PostgreSQL for the embedded server.", "", _optional_path),
    Setting(
        "ATOM_MEMORY_URI",
        "Where the LanceDB datasets lie: a folder or s3://…; unset: memory/ in the home.",
        "",
        _memory,
    ),
    Setting("ATOM_TENANT", "Tenant that commands act for.", "local", str),
    Setting("ATOM_LOG", "Log form: json or text.", "json", _one_of("json", "text")),
    Setting("ATOM_LOG_LEVEL", "Least severe level logged.", "info", _one_of("debug", "info", "warning", "error")),
    Setting(
        "ATOM_MASTER_KEY",
        "Key of the vault, 32 bytes in base64; unset: a file in the home.",
        "",
        _master_key,
        secret=True,
    ),
    Setting("ATOM_GRAPH_BASE_URL", "Microsoft Graph.", "https://graph.microsoft.com/v1.0", _endpoint),
    Setting("ATOM_LOGIN_BASE_URL", "Microsoft sign-in.", "https://login.microsoftonline.com", _endpoint),
    Setting("ATOM_GRAPH_CONCURRENCY", "Requests in flight to a mailbox, over all workers.", "4", _whole(1, 16)),
    Setting(
        "ATOM_GRAPH_CONCURRENCY_SCOPE",
        "What that limit counts for: mailbox or app.",
        "mailbox",
        _one_of("mailbox", "app"),
    ),
    Setting("ATOM_PAGE_SIZE", "Messages in a page.", "100", _whole(1, 1000)),
    Setting(
        "ATOM_EMBEDDER", "What makes vectors: minilm (shipped, local) or openai.", "minilm", _one_of("minilm", "openai")
    ),
    Setting("ATOM_OPENAI_BASE_URL", "OpenAI or any compatible server.", "https://api.openai.com/v1", _endpoint),
    Setting("ATOM_OPENAI_MODEL", "Model for the graph lane.", "gpt-4o-mini", str),
    Setting(
        "ATOM_OPENAI_EMBEDDING_MODEL", "Model for vectors with ATOM_EMBEDDER=openai.", "text-embedding-3-small", str
    ),
    Setting(
        "ATOM_OPENAI_API_KEY",
        "Key for vectors with ATOM_EMBEDDER=openai; nothing else uses it.",
        "",
        _model_key,
        secret=True,
    ),
    Setting("ATOM_MODEL_CALLS", "Calls to models that one worker has in flight.", "8", _whole(1, 64)),
    Setting(
        "ATOM_MODEL_PRICES",
        "File with prices of models, in TOML, that go before those built in: docs/howto/graph.md.",
        "",
        _prices,
    ),
    Setting("ATOM_MODEL_CAP_USD", "Most that a tenant's graph lanes may spend in all; unset: no limit.", "", _usd),
    Setting("ATOM_THREADS", "Cores that embedding may use; 0: all.", "0", _whole(0, 256)),
    Setting(
        "ATOM_BODY_CHARACTERS",
        "Characters of a body that are kept; a cut is noted.",
        "400000",
        _whole(1000, 10_000_000),
    ),
    Setting("ATOM_PARSE_MEMORY_MB", "Memory that reading one page may take.", "1024", _whole(128, 65536)),
)
