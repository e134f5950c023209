"""Reads story files: mails written by hand, with what is true in them beside them.

A file begins with `title:`, `folder:` and `decision:` lines. Each mail begins with a line of fields::

    @ ID [< PARENT | > FORWARDED] | date and time, UTC | sender > to, to / cc, cc | subject | option=value …

Without `>` the sender answers all; without a subject the parent's is used. Below it, until the first empty
line, `? kind | query` says what a search should find here, and `= end | relation | end | quote` and
`+ entity | quote` what this mail states. An entity is `type:Name`, a person's may add whom the name means
(`person:Bea=beatriz`); an end is an entity or `@key`, one of the mail's own people. The rest, up to the next `@ `, is
the new text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import get_args

from ..facts import Stated
from .cast import Cast, Person
from .mail import Mail, Relation, Sign
from .notes import read_notes
from .quoting import answer_subject


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and by which mail; a reversed one names the mail that took it back, and why."""

    text: str
    mail_key: str
    reversed_by: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search that should find the mails of `mail_keys`; `kind` is sentence, keyword, sender or question."""

    text: str
    kind: str
    mail_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """One story line: its mails in order of time, and its truth."""

    name: str
    title: str
    folder: str
    mails: tuple[Mail, ...]
    stated: tuple[Stated, ...]
    decisions: tuple[Decision, ...]
    wanted: tuple[Wanted, ...]


def load_stories(cast: Cast) -> tuple[Story, ...]:
    """Every story of the package, by file name. Raises ValueError naming the file and line that is wrong."""
    folder = files("atom_simulators.sample") / "stories"
    texts = sorted((f.name, f.read_text(encoding="utf-8")) for f in folder.iterdir() if f.name.endswith(".txt"))
    return tuple(parse_story(name.removesuffix(".txt"), text, cast) for name, text in texts)


def parse_story(name: str, text: str, cast: Cast) -> Story:
    """Read one story file. Raises ValueError naming the entry that is wrong."""
    head, *entries = ("\n" + text).split("\n@ ")
    about: dict[str, list[str]] = {"title": [], "folder": [], "decision": []}
    for line in head.strip().splitlines():
        key, _, value = line.partition(":")
        about[key].append(value.strip())
    mails: dict[str, Mail] = {}
    stated: list[Stated] = []
    wanted: list[Wanted] = []
    for entry in entries:
        try:
            mail, notes = _entry(name, about["folder"][0], entry, mails, cast)
        except (KeyError, ValueError, IndexError) as wrong:
            raise ValueError(f"{name}: @ {entry.splitlines()[0]}: {wrong!r}") from wrong
        mails[mail.key] = mail
        stated.append(read_notes(mail, notes, cast))
        wanted += [_wanted(name, mail, fields) for mark, *fields in notes if mark == "?"]
    decisions = tuple(_decision(name, line) for line in about["decision"])
    ordered = tuple(sorted(mails.values(), key=lambda mail: mail.sent))
    return Story(name, about["title"][0], about["folder"][0], ordered, tuple(stated), decisions, tuple(wanted))


def _decision(story: str, line: str) -> Decision:
    mail, text, *rest = (part.strip() for part in line.split("|"))
    taken_back = f"{story}/{rest[0]}" if rest else None
    return Decision(text, f"{story}/{mail}", taken_back, rest[1] if rest else "")


def _wanted(story: str, mail: Mail, fields: list[str]) -> Wanted:
    kind, text, *more = fields
    others = (f"{story}/{key}" for key in (more[0].split() if more else ()))
    return Wanted(text, kind, (mail.key, *others))


def _entry(story: str, folder: str, entry: str, mails: Mapping[str, Mail], cast: Cast) -> tuple[Mail, list[list[str]]]:
    first, _, rest = entry.partition("\n")
    notes, text = _notes(rest)
    identity, date, who, *more = (part.strip() for part in first.split("|"))
    key, relation, parent = _identity(story, identity, mails)
    subject, options = (*more, "", "")[:2]
    sent = datetime.strptime(date, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    sender, to, cc = _people(who, parent, cast)
    if not subject and parent is not None:
        subject = answer_subject(parent, sender, forward=relation == "forward")
    received = cast.owner in (*to, *cc)
    mail = Mail(
        key, sent, sender, to, subject, text.strip("\n"), cc, parent, relation,
        sign=_sign(sender, parent),
        folder=folder if received else "Sent Items" if sender is cast.owner else "",
        quoted_only=not received and sender is not cast.owner,
    )  # fmt: skip
    return _with_options(mail, options), notes


def _notes(rest: str) -> tuple[list[list[str]], str]:
    notes: list[list[str]] = []
    lines = rest.split("\n")
    while lines and lines[0][:2] in ("? ", "= ", "+ "):
        line = lines.pop(0)
        notes.append([line[0], *(part.strip() for part in line[2:].split("|"))])
    return notes, "\n".join(lines)


def _identity(story: str, text: str, mails: Mapping[str, Mail]) -> tuple[str, Relation, Mail | None]:
    key, *link = text.split()
    if not link:
        return f"{story}/{key}", "new", None
    relation: Relation = "reply" if link[0] == "<" else "forward"
    return f"{story}/{key}", relation, mails[f"{story}/{link[1]}"]


def _people(text: str, parent: Mail | None, cast: Cast) -> tuple[Person, tuple[Person, ...], tuple[Person, ...]]:
    sender_key, arrow, recipients = (part.strip() for part in text.partition(">"))
    sender = cast[sender_key]
    if not arrow and parent is not None:
        rest = [p for p in (*parent.to, *parent.cc) if p not in (sender, parent.sender)]
        if parent.sender is sender:
            return sender, parent.to, parent.cc
        return sender, (parent.sender,), tuple(rest)
    to, cc = ((*recipients.split("/"), "")[:2]) if recipients else ("", "")
    return sender, _by_key(to, cast), _by_key(cc, cast)


def _by_key(text: str, cast: Cast) -> tuple[Person, ...]:
    return tuple(cast[key.strip()] for key in text.split(",") if key.strip())


def _sign(sender: Person, parent: Mail | None) -> Sign:
    """Programs add the whole signature to a thread's first mail and to a writer's first one in it."""
    earlier = parent.ancestry() if parent else iter(())
    return "short" if any(mail.sender is sender for mail in earlier) else "full"


def _with_options(mail: Mail, text: str) -> Mail:
    """Lay `option=value` words over the mail. Raises ValueError for an unknown option or value."""
    for option, value in _options(text):
        match option:
            case "client":
                mail = replace(mail, client=value)
            case "sign" if value in get_args(Sign):
                mail = replace(mail, sign=next(s for s in get_args(Sign) if s == value))
            case "folder":
                mail = replace(mail, folder=value.replace("_", " "))
            case "attach":
                mail = replace(mail, attachment=value)
            case "importance" if value in ("high", "low"):
                mail = replace(mail, importance=value)
            case "flag":
                mail = replace(mail, flagged=True)
            case "category":
                mail = replace(mail, categories=(value.replace("_", " "),))
            case _:
                raise ValueError(f"unknown option {option}={value}")
    return mail


def _options(text: str) -> Iterator[tuple[str, str]]:
    for word in text.split():
        option, _, value = word.partition("=")
        yield option, value
