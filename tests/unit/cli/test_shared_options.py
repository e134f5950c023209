"""--tenant, --json and --debug are understood before and after a command's name; help ends with examples."""

from __future__ import annotations

import shlex

import click
import pytest

from atom_backfill.cli.command import Command, Group, Invocation, command, group
from atom_backfill.cli.main import cli
from command_line import call


def said(*words: str, data: bool = True) -> Invocation:
    """What a command learns from a command line."""
    learned: list[Invocation] = []

    @group("program", "program inner probe")
    def program() -> None:
        """Do things."""

    @program.group("inner")
    def inner() -> None:
        """Do some things."""

    @command("probe", "probe", data=data)
    @click.argument("thing", required=False)
    @click.pass_obj
    def probe(call: Invocation, thing: str | None) -> None:
        """Do one thing."""
        learned.append(call)

    inner.add_command(probe)
    with program.make_context("program", list(words), obj=Invocation()) as context:
        program.invoke(context)
    return learned[0]


@pytest.mark.parametrize(
    "line",
    [
        "--tenant acme inner probe",
        "inner --tenant acme probe",
        "inner probe --tenant acme",
        "inner probe thing --tenant=acme",
        "--tenant other inner probe --tenant acme",
    ],
)
def test_a_tenant_may_be_named_anywhere_and_the_last_word_wins(line: str) -> None:
    assert said(*shlex.split(line)) == Invocation(tenant="acme")


@pytest.mark.parametrize(
    "line", ["--json --debug inner probe", "inner probe --debug --json", "--json inner --debug probe"]
)
def test_json_and_debug_may_stand_anywhere(line: str) -> None:
    assert said(*shlex.split(line)) == Invocation(debug=True, json=True)


def test_a_command_that_prints_no_data_takes_no_json() -> None:
    with pytest.raises(click.NoSuchOption):
        said("inner", "probe", "--json", data=False)


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, each in group.commands.items():
        found.append((" ".join((*path, name)), each))
        if isinstance(each, click.Group):
            found += every_command(each, (*path, name))
    return found


COMMANDS = every_command(cli)


@pytest.mark.parametrize(("name", "each"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_has_help_with_an_example_that_it_understands(name: str, each: click.Command) -> None:
    assert isinstance(each, Command | Group)
    assert each.help
    assert each.examples
    for example in each.examples:
        words = example_words(example)
        assert " ".join(words).startswith(name), example
        understood(cli, words)


def test_an_example_is_shown_as_it_is_typed() -> None:
    for name, example in (("db url", 'psql "$(atom-backfill db url)"'), ("jobs", "atom-backfill jobs")):
        assert f"\n  {example}\n" in call(*name.split(), "--help").out


def example_words(example: str) -> list[str]:
    """The words of an example, of the inner command where it stands inside another program's; the shell takes `<`."""
    inner = example.partition("$(atom-backfill ")[2].partition(")")[0]
    return shlex.split((inner or example).partition(" < ")[0])


def understood(program: click.Group, words: list[str]) -> None:
    """Parse a command line without running it."""
    context = program.make_context("atom-backfill", list(words), obj=Invocation())
    while isinstance(context.command, click.Group):
        group = context.command
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        name, each, rest = group.resolve_command(context, rest)
        assert each is not None, name
        context = each.make_context(name, rest, parent=context)


def test_every_option_says_what_it_is_for() -> None:
    options = [(name, option) for name, each in COMMANDS for option in each.params if isinstance(option, click.Option)]
    assert [f"{name} {option.opts[0]}" for name, option in options if not option.help] == []
