"""What every command takes (--tenant, --debug, and --json where it prints data), and help that ends with examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

PROGRAM = "atom-backfill"


@dataclass(slots=True)
class Invocation:
    """What was asked for beside the command's own arguments, before or after its name; the last word wins."""

    tenant: str | None = None
    debug: bool = False
    json: bool = False


class _TenantName(click.ParamType[str]):
    """A tenant by name or id. Nothing is refused: `--tenant "$UNSET"` must not act for the default tenant."""

    name = "tenant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take the name as it is."""
        if not str(value).strip():
            self.fail("name the tenant, or leave the option out.", param, ctx)
        return str(value)


TENANT = _TenantName()


class Command(click.Command):
    """A command with the shared options and with examples; `data`: it prints data, so it takes --json."""

    def __init__(self, name: str, *, examples: Sequence[str] = (), data: bool = True, **about: Any) -> None:
        super().__init__(name, **about)
        self.params += _shared(data=data)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each on its line."""
        with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{as_typed(example)}\n")


class Group(click.Group):
    """A group of commands with the shared options."""

    command_class = Command
    group_class = type  # Click's word for "groups inside are of this class too"

    def __init__(self, name: str, *, examples: Sequence[str] = (), **about: Any) -> None:
        super().__init__(name, **about)
        self.params += _shared(data=True)
        self.examples = tuple(examples)

    format_epilog = Command.format_epilog

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Keep the order in which commands were added: that of a mailbox's life."""
        return list(self.commands)


def command(name: str, *examples: str, data: bool = True, **about: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command, with examples of how it is called, without the program's name."""
    return click.command(name, cls=Command, examples=examples, data=data, **about)


def group(name: str, *examples: str) -> Callable[[Callable[..., Any]], Group]:
    """Make a function a group of commands."""
    return click.group(name, cls=Group, examples=examples)


def as_typed(example: str) -> str:
    """Return the line that an example is typed as; one that names the program itself stands as it is."""
    return example if PROGRAM in example else f"{PROGRAM} {example}"


def _shared(*, data: bool) -> list[click.Parameter]:
    tenant = _option(
        "--tenant", metavar="NAME", type=TENANT, help="Tenant by name or id (or ATOM_TENANT; default: local)."
    )
    debug = _option("--debug", is_flag=True, is_eager=True, help="Show logs and tracebacks.")
    json = _option("--json", is_flag=True, help="Print one JSON document.")
    return [*([json] if data else []), tenant, debug]


def _option(name: str, **about: Any) -> click.Option:
    # Noted by a callback instead of passed on: the same option may stand at the program, a group and a command, and no
    # function has to take it.
    def note(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            setattr(ctx.ensure_object(Invocation), str(parameter.name), value)

    return click.Option([name], expose_value=False, callback=note, **about)
