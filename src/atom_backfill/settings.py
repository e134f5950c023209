"""Environment → one frozen Settings, read once. All mistakes are found at once, each with its fix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from platformdirs import user_data_path

from atom_backfill.errors import UsageError


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
    database_url: str | None
    direct_url: str | None
    postgres_bin: Path | None
    memory_uri: str
    tenant: str
    log: str
    log_level: str
    master_key: str | None
    graph_base_url: str
    login_base_url: str
    graph_concurrency: int
    graph_concurrency_scope: str
    page_size: int
    embedder: str
    openai_base_url: str
    openai_model: str
    openai_embedding_model: str
    openai_api_key: str | None
    threads: int
    body_characters: int
    parse_memory_mb: int


def load_settings(environment: Mapping[str, str], folder: Path) -> tuple[Settings, tuple[Source, ...]]:
    """Read the settings from the environment, then from `folder`/.env, then from defaults.

    Raises UsageError that names every mistake with its fix.
    """
    dotenv = {name: value for name, value in dotenv_values(folder / ".env").items() if value is not None}
    values: dict[str, Any] = {}
    sources: list[Source] = []
    mistakes: list[str] = []
    for setting in SETTINGS:
        text, origin = _lookup(setting, environment, dotenv)
        try:
            values[_field(setting)] = setting.read(text)
        except ValueError as error:
            mistakes.append(f"{setting.variable}: {error} (from {origin})")
        shown = "•••" if setting.secret and text else _without_password(text)
        sources.append(Source(setting, shown, origin))
    unknown = [name for name in environment if name.startswith("ATOM_") and name not in _KNOWN]
    mistakes += [f"{name}: there is no such setting; `atom-backfill settings` lists them" for name in sorted(unknown)]
    if mistakes:
        raise UsageError("bad_settings", "The settings do not work:\n  " + "\n  ".join(mistakes))
    if not values["memory_uri"]:
        values["memory_uri"] = str(values["home"] / "memory")
    return Settings(**{field.name: values[field.name] for field in fields(Settings)}), tuple(sources)


def _lookup(setting: Setting, environment: Mapping[str, str], dotenv: Mapping[str, str]) -> tuple[str, str]:
    if environment.get(setting.variable):
        return environment[setting.variable], "environment"
    if dotenv.get(setting.variable):
        return dotenv[setting.variable], ".env"
    return setting.default, "default"


def _field(setting: Setting) -> str:
    return setting.variable.removeprefix("ATOM_").lower()


def _without_password(text: str) -> str:
    """Mask the password of a URL."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    return text.replace(f":{parts.password}@", ":•••@") if parts.password else text


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute() if text else user_data_path("atom-backfill", appauthor=False)


def _optional_path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


def _optional(text: str) -> str | None:
    return text or None


def _database(text: str) -> str | None:
    if text and not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must begin with postgresql://, or be unset for the embedded database")
    return text or None


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address like https://host/path")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("plain http is accepted for loopback addresses only; use https")
    return text.rstrip("/")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
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
    Setting("ATOM_HOME", "Folder that holds everything: database, memory, key.", "", _path),
    Setting("DATABASE_URL", "PostgreSQL to use; unset: the embedded one in the home folder.", "", _database),
    Setting("ATOM_DIRECT_URL", "The same database without a pooler, for LISTEN; unset: DATABASE_URL.", "", _database),
    Setting("ATOM_POSTGRES_BIN", "Programs of another PostgreSQL for the embedded server.", "", _optional_path),
    Setting(
        "ATOM_MEMORY_URI", "Where the LanceDB datasets lie: a folder or s3://…; unset: memory/ in the home.", "", str
    ),
    Setting("ATOM_TENANT", "Tenant that commands act for.", "local", str),
    Setting("ATOM_LOG", "Log form: json or text.", "json", _one_of("json", "text")),
    Setting("ATOM_LOG_LEVEL", "Least severe level logged.", "info", _one_of("debug", "info", "warning", "error")),
    Setting(
        "ATOM_MASTER_KEY",
        "Key of the vault, 32 bytes in base64; unset: a file in the home.",
        "",
        _optional,
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
        _optional,
        secret=True,
    ),
    Setting("ATOM_THREADS", "Cores that embedding may use; 0: all.", "0", _whole(0, 256)),
    Setting(
        "ATOM_BODY_CHARACTERS",
        "Characters of a body that are kept; a cut is noted.",
        "400000",
        _whole(1000, 10_000_000),
    ),
    Setting("ATOM_PARSE_MEMORY_MB", "Memory that reading one page may take.", "1024", _whole(128, 65536)),
)
_KNOWN = {setting.variable for setting in SETTINGS}
