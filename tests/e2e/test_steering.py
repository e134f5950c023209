"""The program as its user types it: jobs are started, steered, run and watched, and what cannot be is said."""

from __future__ import annotations

import json
import signal
from subprocess import TimeoutExpired

import pytest

from command_line import running
from local_home import ADDRESS, JOB, Home


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ("search lease --tenant nobody", 3, "no such tenant"),
        ("show 00000000", 3, "no job '00000000'"),
        ("watch nobody@lumen.example", 3, "no job"),
        ("failures zz", 3, "no job"),
        ("estimate nobody@lumen.example", 3, "no account 'nobody@lumen.example'"),
        ("start nobody@lumen.example", 3, "no account"),
        ("disconnect nobody@lumen.example", 3, "no account"),
        ("balance nobody@lumen.example", 3, "no account"),
        (f"start {ADDRESS} --folder Nowhere", 3, "no folder 'Nowhere'"),
        (f"estimate {ADDRESS} --folder Nowhere", 3, "no folder 'Nowhere'"),
        ("search lease --folder Nowhere", 3, "no folder 'Nowhere'"),
        ("search lease --account nobody@lumen.example", 3, "no account"),
        ("message 00000000", 3, "no message"),
        ("message nonsense", 3, "is not the id of a message"),
        ("thread 00000000", 3, "no thread"),
        (f"retry {ADDRESS} --failure 00000000", 3, "no failure"),
        ("connect mbox /nowhere/at/all", 3, "no file or folder"),
        ("search  ", 2, "Missing argument"),
        (f"start {ADDRESS} --since 2024-02-01 --until 2024-01-01", 2, "--since"),
        (f"start {ADDRESS} --since 2999-01-01", 2, "--since must lie in the past"),
        ("resume {job}", 5, "Cannot resume"),
        ("pause {job}", 5, "Cannot pause"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_with_its_status(
    home: Home, line: str, status: int, says: str
) -> None:
    if "{job}" in line:
        home.call("cancel", home.job, "--lane", "graph")
    done = home.call(*line.format(job=home.job).split())
    assert (done.status, done.out) == (status, ""), done
    assert len(done.lines) == 1
    assert says in done.err


def test_nobody_is_signed_in_to_a_disconnected_mailbox(home: Home) -> None:
    job = home.call("start", ADDRESS, "--again", "--json").json["job_id"]
    try:
        assert home.call("disconnect", ADDRESS, "--json").json["status"] == "disconnected"
        waiting = home.run("run", job)
        assert (waiting.status, "is disconnected" in waiting.err) == (5, True), "nobody would ever claim it"
        assert home.call("start", ADDRESS).status == 5
        every = home.call("start", "--all", "--json")
        assert (every.status, every.out) == (2, "")
        assert "No mailbox is connected" in every.err
        balance = home.call("balance", "--json")
        assert (balance.status, balance.json["folders"]) == (0, []), "of no mailbox, nothing is missing"
        assert "No mailbox is connected" in balance.err
        assert home.call("estimate", ADDRESS).status == 5
        assert home.call("search", "pump", "--mode", "text", "--json").json["results"], "the memory stays"
    finally:
        home.call("connect", "mbox", str(home.mail), "--address", ADDRESS)
        home.call("cancel", job)


def test_tenants_see_nothing_of_each_other(home: Home) -> None:
    made = home.call("tenant", "create", "harbour", "--json").json
    assert made.keys() == {"tenant_id", "name"}
    assert home.call("tenant", "create", "Harbour").status == 5
    assert {each["name"] for each in home.call("tenant", "list", "--json").json["tenants"]} >= {"local", "harbour"}
    assert home.call("--tenant", "harbour", "accounts", "--json").json == {"accounts": []}
    assert home.call("accounts", "--tenant", made["tenant_id"], "--json").json == {"accounts": []}
    assert home.call("search", "pump", "--tenant", "harbour", "--json").json["results"] == []
    assert home.call("show", home.job, "--tenant", "harbour").status == 3
    everybody = home.call("accounts", "--all-tenants", "--json").json["accounts"]
    assert (ADDRESS, "local") in [(each["address"], each["tenant"]) for each in everybody]
    jobs = home.call("--tenant", "harbour", "jobs", "--all-tenants", "--json").json["jobs"]
    assert home.job in [job["job_id"] for job in jobs if job["tenant"] == "local"]
    failures = home.call("failures", "--all-tenants", "--json").json["failures"]
    # Other tests give other tenants failures in this home.
    assert {failure["tenant"] for failure in failures if failure["job_id"] == home.job} == {"local"}
    assert "harbour" not in {failure["tenant"] for failure in failures}


def test_a_job_can_be_paused_resumed_and_cancelled(home: Home) -> None:
    started = home.call("start", ADDRESS, "--again", "--graph", "off", "--json").json
    job = started["job_id"]
    assert (started.keys(), started["status"]) == ({"job_id", "status"}, "pending")
    second = home.call("start", ADDRESS)
    assert (second.status, job in second.err) == (5, True)
    assert home.call("pause", job, "--json").json["status"] == "paused"
    assert home.call("run", job).status == 5
    assert home.call("resume", job, "--budget-usd", "2.50", "--json").json["graph"]["budget_usd"] == 2.5
    cancelled = home.call("cancel", job, "--json").json
    assert (cancelled.keys(), cancelled["status"]) == (JOB, "cancelled")
    watched = home.call("watch", job, "--json")
    assert (watched.status, json.loads(watched.out)["status"]) == (1, "cancelled")
    assert home.call("resume", job).status == 5


def test_every_account_can_be_started_at_once(home: Home) -> None:
    document = home.call("start", "--all", "--days", "3000", "--json").json
    assert [job.keys() for job in document["jobs"]] == [{"job_id", "account_id", "status", "address"}]
    again = home.call("start", "--all", "--json")
    assert (again.status, again.json) == (5, {"jobs": []})
    with running("watch", ADDRESS, "--json", settings=home.settings) as watch:
        assert home.run("worker", "--drain").status == 0
        watched = watch.end()
    states = [json.loads(line)["status"] for line in watched.out.splitlines()]
    assert (watched.status, states[-1]) == (0, "completed")
    assert states[0] in ("pending", "running")
    assert "completed" in home.call("watch", ADDRESS).err


def test_run_tells_its_progress_line_by_line_and_ends_with_the_job(home: Home) -> None:
    job = home.call("start", ADDRESS, "--again", "--json").json["job_id"]
    done = home.run("run", job)
    assert (done.status, done.out) == (0, "")
    assert done.lines[-1] == "completed: 21 of 21 · 100 % · 1 failure"
    as_objects = home.run("run", job, "--json")
    assert (as_objects.status, as_objects.json["status"]) == (0, "completed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_run_that_is_stopped_keeps_what_it_has_and_says_how_to_go_on(home: Home, number: signal.Signals) -> None:
    job = home.call("start", ADDRESS, "--again", "--json").json["job_id"]
    with running("run", job, settings=home.settings) as run:
        first = run.err.readline()
        run.process.send_signal(number)
        done = run.end(20)
    home.call("cancel", job)
    assert "pending" in first or "running" in first
    assert done.status == 130
    assert f"atom-backfill run {job[:8]}" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", ["watch", "start --again --watch"])
def test_a_watch_that_is_interrupted_says_that_the_job_goes_on(home: Home, command: str) -> None:
    if command == "watch":
        home.call("start", ADDRESS, "--again")
    with running(*command.split(), ADDRESS, settings=home.settings) as watch:
        for line in watch.err:
            if "pending" in line:
                break
        watch.process.send_signal(signal.SIGINT)
        done = watch.end(20)
    home.call("cancel", ADDRESS)
    assert (done.status, done.lines) == (130, ["The job goes on without being watched.", "atom-backfill: interrupted"])


def test_a_worker_logs_the_operators_words_and_drains_when_told(home: Home) -> None:
    job = home.call("start", ADDRESS, "--again", "--json").json["job_id"]
    events: list[str] = []
    with running("worker", settings=home.settings) as worker:
        for line in worker.err:
            events.append(json.loads(line)["event"])
            if home.call("show", job, "--json").json["status"] == "completed":
                break
        worker.process.send_signal(signal.SIGTERM)
        done = worker.end(15)
    events += [json.loads(line)["event"] for line in done.lines]
    assert done.status == 0
    for words in ("ROLE=worker Starting", "Loaded service", "dequeue", "Fetched ", "Persisting ", " entities",
                  " relationships", "LanceDB upserted "):  # fmt: skip
        assert any(words in event for event in events), words


def test_an_idle_worker_stays(home: Home) -> None:
    with running("worker", settings=home.settings | {"ATOM_LOG": "text"}) as worker:
        assert "ROLE=worker Starting" in worker.err.readline()
        with pytest.raises(TimeoutExpired):
            worker.process.wait(2)
        worker.process.send_signal(signal.SIGINT)
        assert worker.end(15).status == 130
