"""The program as its user types it, on local mail: what was read is shown, searched, balanced and checked."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from command_line import PROGRAM, call, environment
from local_home import ADDRESS, GRAPH, INGEST, JOB, Home, a_mail, write_mail


def test_init_makes_a_home_and_may_be_repeated(home: Home) -> None:
    first, second = json.loads(home.made), home.call("init")
    assert UUID(first["tenant_id"])
    assert first["tenant"] == "local"
    assert (second.status, first["tenant_id"] in second.out) == (0, True)
    assert stat.S_IMODE((home.path / "master.key").stat().st_mode) == 0o600


def test_no_other_account_can_read_what_the_home_holds_of_the_mail(home: Home) -> None:
    assert {"memory", "mbox-index", "database"} <= {each.name for each in home.path.iterdir()}
    assert _readable_by_others(home.path) == []


def test_the_job_is_shown_as_it_ended(home: Home) -> None:
    job = home.call("show", home.job, "--json").json
    assert job.keys() == JOB
    assert job["ingest"].keys() == INGEST
    assert job["graph"].keys() == GRAPH
    assert (job["status"], job["phase"], job["records_processed"], job["failures"]) == ("completed", "done", 20, 1)
    assert (job["ingest"]["percent"], job["ingest"]["messages_done"]) == (100, 21)
    assert job["completed_at"].endswith("Z")
    assert job in home.call("jobs", "--json").json["jobs"]
    assert "completed" in home.call("show", home.job).out
    listed, of_all = home.call("jobs").out, home.call("jobs", "--all-tenants").out
    assert all(word in listed for word in (home.job, ADDRESS))
    assert all(word in of_all for word in (home.job, ADDRESS, "TENANT", "local"))


def test_a_second_look_at_the_same_mail_is_the_same_account(home: Home) -> None:
    again = home.call("connect", "mbox", str(home.mail), "--address", ADDRESS, "--json").json
    assert again == {"account_id": home.account, "address": ADDRESS, "kind": "mbox"}
    (account,) = home.call("accounts", "--json").json["accounts"]
    assert account.keys() >= {"account_id", "kind", "address", "status", "messages"}
    assert (account["account_id"], account["status"], account["messages"]) == (home.account, "connected", 20)


def test_accounts_and_jobs_are_named_by_prefix_or_address(home: Home) -> None:
    for name in (home.account, home.account[:8], ADDRESS, ADDRESS.upper()):
        assert home.call("estimate", name, "--json").json["messages"] == 22
    for name in (home.job, home.job[:12], home.job[:12].upper()):
        assert home.call("show", name, "--json").json["job_id"] == home.job
    assert home.call("show", ADDRESS, "--json").json["account_id"] == home.account


def test_an_estimate_has_its_public_fields(home: Home) -> None:
    document = home.call("estimate", ADDRESS, "--json").json
    assert document.keys() >= {"messages", "by_folder", "by_year", "requests", "seconds", "llm"}
    assert document["seconds"].keys() == {"low", "high"}
    assert document["llm"].keys() >= {"calls", "input_tokens", "output_tokens", "usd"}
    half = home.call("estimate", ADDRESS, "--since", "2024-03-06", "--folder", "Inbox", "--json").json
    assert half["messages"] == 5
    assert half["by_folder"] == [{"folder": "Inbox", "messages": 5}]
    assert half["by_year"] == [{"year": 2024, "messages": 5}]


def test_a_search_shows_the_mail_that_answers(home: Home) -> None:
    done = home.run("search", "what does the workshop cost", "--limit", "2", "--json")
    found = done.json
    best = found["results"][0]
    assert done.status == 0
    assert best["subject"].startswith("Workshop lease")
    assert best["folders"] in (["Inbox"], ["Inbox", "Projects/Atlas"])
    assert "4,200 a month" in best["snippet"]
    assert best["web_link"] is None
    reach = {"from": "2024-03-01T09:00:00Z", "to": "2024-03-10T09:00:00Z"}
    assert found["coverage"] == {**reach, "complete": False, "missing": 0}
    people = home.call("search", "what does the workshop cost")
    assert best["subject"] in people.out
    assert "not everything is read yet" in people.err


def test_a_search_can_be_narrowed(home: Home) -> None:
    asked = ["search", "pump", "--mode", "text", "--group", "message", "--limit", "50", "--json"]
    assert len(home.call(*asked).json["results"]) == 10
    narrowed = [*asked, "--folder", "projects/atlas", "--after", "2024-03-03", "--before", "2024-03-05"]
    dates = {result["received_at"] for result in home.call(*narrowed, "--from", ADDRESS).json["results"]}
    assert dates == {"2024-03-03T09:00:00Z", "2024-03-04T09:00:00Z"}
    assert home.call(*narrowed, "--to", "nobody@lumen.example").json["results"] == []


def test_a_message_and_its_thread_are_shown(home: Home) -> None:
    (found,) = home.call("search", "pump number 7", "--mode", "text", "--limit", "1", "--json").json["results"]
    message = home.call("message", found["message_id"][:12], "--json").json
    assert message.keys() >= {
        "message_id", "source_id", "subject", "from", "to", "received_at", "folders", "text", "clean_text", "entities",
        "facts", "failures",
    }  # fmt: skip
    assert (message["from"], message["to"]) == (ADDRESS, ["tomasz@lumen.example"])
    assert message["clean_text"] in message["text"]
    assert {"person", "email"} & {entity["entity_type"] for entity in message["entities"]}
    thread = home.call("thread", found["thread_id"], "--json").json
    assert [each["message_id"] for each in thread["messages"]] == [message["message_id"]]
    people = home.call("message", message["message_id"])
    assert message["subject"] in people.out
    assert "The pump leaks" in people.out


def test_what_could_not_be_read_is_listed_and_can_be_retried(home: Home) -> None:
    (failure,) = home.call("failures", home.job, "--json").json["failures"]
    assert failure.keys() >= {
        "failure_id", "message_id", "source_id", "subject", "stage", "error_code", "error", "attempts", "first_at",
        "last_at",
    }  # fmt: skip
    assert (failure["stage"], failure["error_code"]) == ("parse", "empty")
    assert failure["folder"]
    assert failure["folder"] in home.call("failures", home.job).out
    dry = home.call("retry", home.job, "--dry-run", "--json").json
    assert (dry["dry_run"], [each["failure_id"] for each in dry["failures"]]) == (True, [failure["failure_id"]])
    assert home.call("retry", home.job, "--failure", failure["failure_id"][:8]).status == 0
    assert home.run("worker", "--drain").status == 0
    (after,) = home.call("failures", home.job, "--json").json["failures"]
    assert (after["failure_id"], after["attempts"]) == (failure["failure_id"], failure["attempts"] + 1)
    assert home.call("show", home.job, "--json").json["status"] == "completed"


def test_the_ledger_balances(home: Home) -> None:
    ledger = home.call("balance", "--json").json
    assert ledger.keys() == {"balanced", "as_of", "folders", "memory", "graph"}
    assert ledger["balanced"]
    folders = {row["folder"]: row for row in ledger["folders"]}
    assert (folders["Inbox"]["at_source"], folders["Inbox"]["failed"]) == (11, 1)
    assert folders["Inbox"].keys() >= {"folder", "at_source", "stored", "failed", "excluded", "difference"}
    assert sum(row["excluded"]["duplicate"] for row in ledger["folders"]) == 1
    assert ledger["memory"] == {"messages": 20, "with_passages": 20, "passages": 20, "orphans": 0, "missing": 0}
    assert ledger["graph"].keys() == {"units", "done", "failed", "waiting"}
    assert "It balances." in home.call("balance", ADDRESS).out


def test_the_operator_s_statements_work_as_they_stand(home: Home) -> None:
    url = home.run("db", "url").out.strip()
    assert home.call("db", "url", "--json").json == {"url": url}
    with psycopg.connect(url) as operator:
        rows = operator.execute(
            "SELECT id, status, records_processed, entities_extracted, relationships_extracted, created_at,"
            " completed_at FROM historical_sync_jobs WHERE created_at > NOW() - INTERVAL '1 hour'"
            " ORDER BY created_at DESC LIMIT 5;"
        ).fetchall()
        assert (home.job, "completed", 20) in [(str(row[0]), row[1], row[2]) for row in rows] or len(rows) == 5
        nodes = operator.execute(
            "SELECT COUNT(*) FROM graph_nodes\n"
            "WHERE tenant_id = '31c06fc4-db22-4740-83ea-48ac14f25810' AND created_at > NOW() - INTERVAL '1 hour';"
        ).fetchall()
        assert nodes == [(0,)]
        for forbidden in ("SELECT text FROM message_bodies", "SELECT sealed FROM secrets", "DELETE FROM messages"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                operator.execute(forbidden)  # type: ignore[arg-type]
            operator.rollback()
    assert stat.S_IMODE((home.path / "operator.password").stat().st_mode) == 0o600


def test_doctor_finds_everything_in_order(home: Home) -> None:
    endpoints = {"ATOM_GRAPH_BASE_URL": "http://127.0.0.1:9", "ATOM_LOGIN_BASE_URL": "http://127.0.0.1:9"}
    done = call("doctor", "--json", settings=home.settings | endpoints)
    checks = {check["name"]: check for check in done.json["checks"]}
    assert done.status == 0
    assert checks.keys() >= {
        "home", "disk", "database", "schema", "roles", "clock", "vault", "memory", "embedder", "graph", "sign-in",
        f"account {ADDRESS}",
    }  # fmt: skip
    assert {name for name, check in checks.items() if check["status"] != "ok"} == {"graph", "sign-in"}
    assert all(check.keys() == {"name", "status", "detail", "fix"} for check in checks.values())


def test_doctor_fails_with_what_is_to_be_mended(home: Home, tmp_path: Path) -> None:
    endpoints = {"ATOM_GRAPH_BASE_URL": "http://127.0.0.1:9", "ATOM_LOGIN_BASE_URL": "http://127.0.0.1:9"}
    key = home.path / "master.key"
    key.chmod(0o644)
    try:
        done = call("doctor", settings=home.settings | endpoints)
        assert done.status == 1
        assert f"chmod 600 {key}" in done.out
    finally:
        key.chmod(0o600)
    done = call("doctor", "--json", settings=endpoints | {"ATOM_HOME": str(tmp_path / "nothing")})
    failed = {check["name"]: check["fix"] for check in done.json["checks"] if check["status"] == "fail"}
    assert done.status == 1
    assert "atom-backfill init" in failed["database"]
    assert not (tmp_path / "nothing").exists()


def test_local_mail_without_an_address_is_named_by_its_file(home: Home, tmp_path: Path) -> None:
    place = tmp_path / "Ines' old mail"
    write_mail(place)
    home.call("tenant", "create", "attic")
    connected = home.call("connect", "mbox", str(place), "--tenant", "attic")
    assert (connected.status, home.call("connect", "mbox", str(place), "--tenant", "attic").status) == (0, 0)
    _, advised = connected.err.strip().split("Next: ")
    assert shlex.split(advised)[:3] == ["atom-backfill", "estimate", "Ines' old mail,"]
    job = home.call("start", place.name, "--tenant", "attic", "--json").json["job_id"]
    assert home.call("show", place.name.upper(), "--tenant", "attic", "--json").json["job_id"] == job
    assert home.call("cancel", place.name, "--tenant", "attic", "--json").json["status"] == "cancelled"


def test_the_same_path_keeps_its_address_unless_another_is_given(home: Home) -> None:
    again = home.call("connect", "mbox", str(home.mail), "--json").json
    assert (again["account_id"], again["address"]) == (home.account, ADDRESS)


@pytest.mark.long
def test_another_file_under_the_same_address_goes_to_the_same_account(home: Home, tmp_path: Path) -> None:
    old, new, tenant = tmp_path / "old", tmp_path / "new", ("--tenant", "movers")
    write_mail(old)
    shutil.copytree(old, new)
    (new / "Inbox" / "1.eml").unlink()
    (new / "Inbox" / "11.eml").write_text(a_mail("Workshop keys", "The keys are new.", 11))
    home.call("tenant", "create", "movers")
    account = home.call("connect", "mbox", str(old), "--address", "me@mine.example", *tenant, "--json").json
    for place in (old, new):
        connected = home.call("connect", "mbox", str(place), "--address", "Me@mine.example", *tenant)
        assert (f"; it now reads {new}." in connected.out) == (place == new)
        assert account["account_id"] in connected.out
        job = home.call("start", "me@mine.example", *tenant, "--json").json["job_id"]
        assert home.run("run", job, *tenant).status == 0
    (one,) = home.call("accounts", *tenant, "--json").json["accounts"]
    assert (one["address"], one["messages"]) == ("Me@mine.example", 21)
    assert home.run("balance", *tenant, "--json").json["balanced"]
    other = home.call("connect", "mbox", str(home.mail), *tenant, "--json").json["account_id"]
    refused = home.call("connect", "mbox", str(home.mail), "--address", "me@mine.example", *tenant)
    assert (refused.status, other in refused.err) == (5, True)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([""], 2, "Name the file or folder"),
        ([os.fsdecode(b"\xff mail")], 2, "is not UTF-8"),
        (["{mail}", "--address", "ines\x1b[31m@lumen.example"], 2, "none of them invisible"),
        (["{mail}", "--address", os.fsdecode(b"\xff@lumen.example")], 2, "none of them invisible"),
        (["{mail}", "--address", "a" * 321], 2, "at most 320 characters"),
    ],
    ids=["no path", "path of bytes", "control characters", "address of bytes", "too long"],
)
def test_a_mailbox_has_names_that_can_be_kept(home: Home, arguments: list[str], status: int, says: str) -> None:
    done = home.call("connect", "mbox", *(each.format(mail=home.mail) for each in arguments))
    assert (done.status, done.out, len(done.lines)) == (status, "", 1)
    assert says in done.err


def test_a_local_folder_without_mail_is_said(home: Home, tmp_path: Path) -> None:
    done = home.call("connect", "mbox", str(tmp_path))
    assert (done.status, done.out, len(done.lines)) == (1, "", 1)


@pytest.mark.long
def test_words_that_are_no_text_are_searched_all_the_same(home: Home) -> None:
    done = subprocess.run(
        [*PROGRAM, "search", os.fsdecode(b"pump \xff\xfe"), "--mode", "text", "--json"],
        capture_output=True, text=True, env=environment(**home.settings), check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["results"]


def _readable_by_others(folder: Path) -> list[Path]:
    """Files that others may read, and folders that they may list, as far as they can get there."""
    found = [folder] if folder.stat().st_mode & 0o044 else []
    if not folder.stat().st_mode & 0o011:
        return found
    for path in folder.iterdir():
        if path.is_dir():
            found += [] if path.name.startswith("programs-") else _readable_by_others(path)
        elif path.is_file() and path.stat().st_mode & 0o044:
            found.append(path)
    return found
