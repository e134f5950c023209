"""The planted bugs are where they were planted, and one of them is seen to be caught."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from atom_torture.campaign import ROOT, BrokenHarnessError, Outcome, run_campaign, running
from atom_torture.plants import PLANTS, Plant, WitheredError, planted
from atom_torture.tested_plants import PLANTS as TESTED_PLANTS
from atom_torture.tested_plants import Attested, caught_by_its_test, failure_of

IDENTITY = "tests/unit/test_identity.py"
ALL = (*PLANTS, *(each.plant for each in TESTED_PLANTS))


def test_there_are_enough_and_each_breaks_something_else() -> None:
    assert len(PLANTS) >= 20
    patches = {(plant.file, plant.query, plant.old, plant.new) for plant in ALL}
    assert len({plant.name for plant in ALL}) == len(patches) == len(ALL)


@pytest.mark.parametrize("plant", ALL, ids=lambda plant: plant.name)
def test_a_planted_product_still_is_python(plant: Plant) -> None:
    text = (ROOT / "src" / "atom_backfill" / plant.file).read_text()
    grown = plant.grown_in(text)
    assert plant.new in grown != text
    if plant.file.endswith(".py"):
        compile(grown, plant.file, "exec")


def test_a_plant_that_the_product_has_outgrown_is_no_plant() -> None:
    withered = Plant("withered", "jobs/retry.py", "what is not there", "anything")
    with (
        pytest.raises(WitheredError, match=r"withered: what it replaces in jobs/retry\.py is not there once"),
        planted(withered),
    ):
        pass


@pytest.mark.long
def test_a_bug_is_caught_and_the_sound_product_is_not_blamed() -> None:
    (bug,) = [plant for plant in PLANTS if plant.name == "the memory is not written"]
    blamed, sound = Outcome(), Outcome()
    with planted(bug) as product:
        run_campaign(0, 2, blamed, jobs=1, product=product, until_caught=True)
    assert blamed.failed
    assert "is in the record and not in the memory" in blamed.failed[0][1][0]
    run_campaign(0, 2, sound, jobs=1)
    assert sound.failed == []


@pytest.mark.parametrize("each", TESTED_PLANTS, ids=lambda each: each.plant.name)
def test_the_test_that_must_catch_a_bug_is_there(each: Attested) -> None:
    file, name = each.test.partition("[")[0].split("::")
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.long
@pytest.mark.parametrize(("takes_the_place", "caught"), [("message", True), ("failed", False)])
def test_a_bug_that_its_test_does_not_see_is_not_caught(takes_the_place: str, caught: bool) -> None:
    """Failures that have their messages' ids, and failures that merely have others than before."""
    bug = Plant("another id", "identity.py", '_derived("failure",', f'_derived("{takes_the_place}",')
    told = caught_by_its_test(Attested(bug, f"{IDENTITY}::test_the_same_source_id_in_two_accounts_is_two_messages"))
    assert (told.after is not None) is caught
    assert told.by.startswith(IDENTITY) is caught


@pytest.mark.parametrize("test", [f"{IDENTITY}::test_that_is_not_there", IDENTITY])
def test_a_test_that_cannot_be_run_is_a_broken_harness_and_no_success(test: str) -> None:
    with pytest.raises(BrokenHarnessError, match="came to no end of its own"):
        failure_of(test)


def test_a_process_that_ends_early_is_a_broken_harness_and_no_success(tmp_path: Path) -> None:
    (tmp_path / "atom_backfill").mkdir()
    (tmp_path / "atom_backfill" / "__init__.py").write_text("raise SystemExit('no product here')")
    with pytest.raises(BrokenHarnessError, match="no product here"):
        run_campaign(0, 2, Outcome(), jobs=1, product=tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("sound", "broken", "words"),
    [
        ("FROM messages message LEFT", "FROM mesages message LEFT", '"mesages" does not exist'),
        ("lancedb.connect(memory / str(tenant))", 'lancedb.connect(memory / "nobody")', "passages"),
    ],
)
def test_a_fault_in_the_checker_itself_is_loud(
    sound: str, broken: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = shutil.copytree(ROOT / "atom_torture", tmp_path / "atom_torture")
    (tmp_path / "atom_backfill").symlink_to(ROOT / "src" / "atom_backfill")
    checker = harness / "checker.py"
    assert checker.read_text().count(sound) == 1
    checker.write_text(checker.read_text().replace(sound, broken))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BrokenHarnessError, match=words):
        run_campaign(0, 1, Outcome(), jobs=1, product=tmp_path)


def test_the_checker_shares_no_code_with_the_product() -> None:
    program = (
        "import sys, types; sys.modules['lancedb'] = types.ModuleType('lancedb'); import atom_torture.checker;"
        "print([name for name in sys.modules if name.startswith('atom_backfill')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.long
def test_who_leaves_early_leaves_no_server_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def leave(_: Outcome) -> None:
        (home,) = tmp_path.glob("atom-torture-*")
        assert list(home.iterdir())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_campaign(0, 50, Outcome(), jobs=1, told=leave)
    assert list(tmp_path.glob("atom-torture-*")) == []


def test_a_process_that_ends_well_before_its_schedules_do_is_a_broken_harness(tmp_path: Path) -> None:
    (tmp_path / "atom_backfill").mkdir()
    (tmp_path / "atom_backfill" / "__init__.py").write_text("raise SystemExit(0)")
    with pytest.raises(BrokenHarnessError, match="0 of 2 schedules were told of"):
        run_campaign(0, 2, Outcome(), jobs=1, product=tmp_path)


def test_a_process_may_say_more_than_a_pipe_holds_before_it_ends(tmp_path: Path) -> None:
    (tmp_path / "atom_backfill").mkdir()
    (tmp_path / "atom_backfill" / "__init__.py").write_text(
        "import sys; sys.stderr.write('x' * 1_000_000); raise SystemExit('and no product here')"
    )
    with pytest.raises(BrokenHarnessError, match="and no product here"):
        run_campaign(0, 2, Outcome(), jobs=1, product=tmp_path)


@pytest.mark.long
def test_told_to_end_while_its_server_comes_up_a_process_leaves_no_server_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with running([["-m", "atom_torture.shard", "0", "1", "1"]]):
        while not any(tmp_path.glob("atom-torture-*/*")):
            pass
    assert list(tmp_path.iterdir()) == []
    assert not [each for each in Path("/proc").glob("[0-9]*/cmdline") if bytes(tmp_path) in _read(each)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # It has ended since.
        return b""
