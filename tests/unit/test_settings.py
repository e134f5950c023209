"""Settings: where each comes from, what is refused with which fix, and that no secret is shown."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from atom_backfill.errors import UsageError
from atom_backfill.settings import SETTINGS, Settings, Source, load_settings

NOWHERE = Path("/nowhere")
A_KEY = b64encode(bytes(32)).decode()


def load(**environment: str) -> Settings:
    return load_settings(environment, NOWHERE)[0]


def shown(**environment: str) -> dict[str, Source]:
    return {source.setting.variable: source for source in load_settings(environment, NOWHERE)[1]}


def refusal(folder: Path = NOWHERE, **environment: str) -> str:
    with pytest.raises(UsageError) as raised:
        load_settings(environment, folder)
    assert raised.value.exit_status == 2
    return raised.value.message


def test_every_default_works_and_is_listed_as_one() -> None:
    settings, sources = load_settings({}, NOWHERE)
    assert [source.setting for source in sources] == list(SETTINGS)
    assert {source.origin for source in sources} == {"default"}
    assert all(setting.meaning.endswith(".") for setting in SETTINGS)
    assert settings.database_url is None
    assert settings.graph_base_url == "https://graph.microsoft.com/v1.0"
    assert settings.memory_uri == str(settings.home / "memory")


def test_the_environment_comes_before_the_file_and_the_file_before_the_default(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ATOM_TENANT=from-file\nATOM_LOG=text\nATOM_PAGE_SIZE=\n")
    settings, sources = load_settings({"ATOM_TENANT": "from-environment", "ATOM_THREADS": ""}, tmp_path)
    assert (settings.tenant, settings.log, settings.page_size, settings.threads) == ("from-environment", "text", 100, 0)
    origins = {source.setting.variable: source.origin for source in sources}
    assert origins["ATOM_TENANT"] == "environment"
    assert origins["ATOM_LOG"] == ".env"
    assert origins["ATOM_PAGE_SIZE"] == origins["ATOM_THREADS"] == "default"


def test_every_mistake_is_found_at_once_and_none_repeats_a_secret() -> None:
    told = refusal(ATOM_PAGE_SIZE="0", ATOM_LOG="xml", DATABASE_URL="host=db password=hunter2", ATOM_LOG_LEVL="debug")
    for name in ("ATOM_PAGE_SIZE", "ATOM_LOG:", "DATABASE_URL", "ATOM_LOG_LEVL"):
        assert name in told
    assert "from 1 to 1000" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ATOM_GRAPH_CONCURENCY", "ATOM_GRAPH_CONCURRENCY"),
        ("ATOM_DATABASE_URL", "DATABASE_URL"),
        ("ATOM_OPENAI_KEY", "ATOM_OPENAI_API_KEY"),
        ("ATOM_LOGLEVEL", "ATOM_LOG_LEVEL"),
    ],
)
def test_a_mistyped_name_is_refused_with_the_one_that_was_meant(tmp_path: Path, typed: str, meant: str) -> None:
    assert f"did you mean {meant}?" in refusal(NOWHERE, **{typed: "1"})
    (tmp_path / ".env").write_text(f"{typed}=1\n")
    assert f"did you mean {meant}?" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["ATOM_SHELL_INTERNAL_RUN_AS_NODE", "ATOM_CORPUS", "ATOM_FLY_BASE_URL", "ATOMIC"])
def test_variables_of_other_programs_are_none_of_our_business(name: str) -> None:
    assert load(**{name: "1"}) == load()


@pytest.mark.parametrize("content", [b"ATOM_TENANT=M\xfcller\n", None], ids=["latin-1", "unreadable"])
def test_a_file_that_cannot_be_read_is_said(
    tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is None:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("atom_backfill.settings.dotenv_values", refuse)
    else:
        (tmp_path / ".env").write_bytes(content)
    assert ".env cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://me:hunter2@db.test/atom", "postgresql://me:•••@db.test/atom"),
        ("postgresql://me:hun/ter2@db.test/atom", "postgresql://me:•••@db.test/atom"),
        ("postgresql://me:hun#ter2@db.test/atom", "postgresql://me:•••@db.test/atom"),
        ("postgresql://me:hun@ter2@db.test/atom", "postgresql://me:•••@db.test/atom"),
        ("postgresql://db.test/atom?user=me&password=hunter2", "postgresql://db.test/atom?user=me&password=•••"),
        (
            "postgresql://db.test/?sslpassword=hunter2&sslmode=require",
            "postgresql://db.test/?sslpassword=•••&sslmode=require",
        ),
        ("postgresql://me@a.test:5432,b.test:5432/atom", "postgresql://me@a.test:5432,b.test:5432/atom"),
    ],
)
def test_a_password_in_a_url_is_masked_wherever_it_stands(url: str, masked: str) -> None:
    found = shown(DATABASE_URL=url)
    assert found["DATABASE_URL"].value == masked
    assert load(DATABASE_URL=url).database_url == url


def test_secrets_are_masked_and_in_no_repr() -> None:
    secrets = {"ATOM_MASTER_KEY": A_KEY, "ATOM_OPENAI_API_KEY": "hunter2"}
    found = shown(**secrets)
    assert {found[name].value for name in secrets} == {"•••"}
    urls = {"DATABASE_URL": "postgresql://me:hunter2@db.test/x", "ATOM_DIRECT_URL": "postgresql://me:hunter2@db.test/x"}
    assert "hunter2" not in repr(load(**secrets, **urls))


@pytest.mark.parametrize(
    "url",
    [
        "graph.test/v1.0",
        "ftp://graph.test",
        "http://graph.test/v1.0",
        "https://me:hunter2@graph.test/v1.0",
        "https://graph.test/v1.0?x=1",
        "https://",
    ],
)
def test_a_base_url_is_held_to_the_clients_own_rule_at_the_start(url: str) -> None:
    told = refusal(ATOM_GRAPH_BASE_URL=url)
    assert "ATOM_GRAPH_BASE_URL" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1.0/", "http://127.9.9.9/v1.0", "http://[::1]:80/v1.0"])
def test_plain_http_is_for_loopback(url: str) -> None:
    assert load(ATOM_GRAPH_BASE_URL=url).graph_base_url == url.rstrip("/")


def test_folders_are_absolute_whatever_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ines")
    assert load(ATOM_HOME="home").memory_uri == str(tmp_path / "home" / "memory")
    assert load(ATOM_MEMORY_URI="memory").memory_uri == str(tmp_path / "memory")
    assert load(ATOM_MEMORY_URI="~/memory").memory_uri == "/home/ines/memory"
    assert load(ATOM_MEMORY_URI="s3://bucket/memory/").memory_uri == "s3://bucket/memory"


@pytest.mark.parametrize("uri", ["s3:/bucket", "s3:bucket/x", "https://bucket/x", "file:///memory", "s3://"])
def test_a_memory_that_is_neither_a_folder_nor_s3_is_refused(uri: str) -> None:
    assert "s3://bucket/path" in refusal(ATOM_MEMORY_URI=uri)


def test_a_direct_url_alone_is_refused() -> None:
    assert "DATABASE_URL" in refusal(ATOM_DIRECT_URL="postgresql://db.test/atom")


@pytest.mark.parametrize("key", ["hunter2", A_KEY[4:], A_KEY + A_KEY, "ключ"])
def test_a_master_key_that_is_none_is_refused_at_start_and_not_repeated(key: str) -> None:
    told = refusal(ATOM_MASTER_KEY=key)
    assert "ATOM_MASTER_KEY: must be 32 bytes in base64" in told
    assert key not in told
    assert load(ATOM_MASTER_KEY=f" {A_KEY}\n").master_key


@pytest.mark.parametrize("key", ["sk-’hunter2", "sk-hunter2\nsk-other", "sk hunter2"])
def test_a_model_key_that_no_header_can_hold_is_refused_at_start_and_not_repeated(key: str) -> None:
    told = refusal(ATOM_OPENAI_API_KEY=key)
    assert "ATOM_OPENAI_API_KEY: must be a key" in told
    assert "hunter2" not in told
    assert load(ATOM_OPENAI_API_KEY=" sk-hunter2\n").openai_api_key == "sk-hunter2"


def test_what_was_left_to_the_product_is_shown_as_it_is() -> None:
    found = shown(ATOM_HOME="/srv/mail")
    assert (found["ATOM_HOME"].value, found["ATOM_MEMORY_URI"].value) == ("/srv/mail", "/srv/mail/memory")
    assert shown()["ATOM_HOME"].value.endswith("atom-backfill")
    assert shown()["DATABASE_URL"].value == shown()["ATOM_MASTER_KEY"].value == ""
    assert shown()["ATOM_THREADS"].value == "0"
