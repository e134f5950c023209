"""What is true of the sample mailbox: what each mail states, and searches with the mails they should find."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from ..facts import Stated
from .cast import load_cast
from .filler import filler_block
from .idents import message_id
from .mailbox import contents, received
from .notes import own_words
from .story import Decision, Story, Wanted


@dataclass(frozen=True, slots=True)
class Query:
    """A search and the source ids (Graph `id`) that answer it; kind: sentence, keyword, sender, question.

    `thread` holds the ids of every mail of the expected mails' threads: later ones quote the answer.
    """

    text: str
    expected: tuple[str, ...]
    kind: str
    thread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoryTruth:
    """One story: who writes in it (addresses), from when to when, which organisations, what was decided."""

    name: str
    title: str
    people: tuple[str, ...]
    organisations: tuple[str, ...]
    first: str
    last: str
    decisions: tuple[Decision, ...]
    source_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """The whole truth of one mailbox; the source id of a mail with facts or a decision is `source_ids[key]`.

    `stated` has each mail of a story, in order of time within it, those that state nothing too.
    """

    stories: tuple[StoryTruth, ...]
    stated: tuple[Stated, ...]
    queries: tuple[Query, ...]
    source_ids: dict[str, str]


def truth(*, name: str = "sample", mails: int = 800) -> Truth:
    """The truth of the mailbox that `write_mailbox` makes of these arguments; the seed changes none of it."""
    kept = contents(load_cast(), mails).stories
    ids = {mail.key: message_id(name, mail.key) for story in kept for mail in received(story)}
    return Truth(
        tuple(_story(story, name) for story in kept),
        tuple(stated for story in kept for stated in story.stated if stated.mail in ids),
        tuple(_query(wanted, story, ids) for story in kept for wanted in story.wanted),
        ids,
    )


def everything(*, mails: int = 800, seed: int = 1) -> tuple[Stated, ...]:
    """Every mail of that mailbox with what it states; everyday and awkward mails state nothing that is known."""
    cast = load_cast()
    plan = contents(cast, mails)
    told = tuple(stated for story in plan.stories for stated in story.stated)
    blocks = (filler_block(seed, number, cast) for number in itertools.count())
    others = itertools.chain(plan.odd, itertools.islice(itertools.chain.from_iterable(blocks), plan.drawn))
    return (*told, *(Stated(mail.key, own_words(mail), (mail.sender.address,)) for mail in others))


def _query(wanted: Wanted, story: Story, ids: dict[str, str]) -> Query:
    mails = received(story)
    roots = {mail.root.key for mail in mails if mail.key in wanted.mail_keys}
    thread = tuple(ids[mail.key] for mail in mails if mail.root.key in roots)
    return Query(wanted.text, tuple(ids[key] for key in wanted.mail_keys), wanted.kind, thread)


def _story(story: Story, mailbox: str) -> StoryTruth:
    people = sorted({p.address for mail in story.mails for p in (mail.sender, *mail.to, *mail.cc)})
    organisations = {p.org.name for mail in story.mails for p in (mail.sender, *mail.to, *mail.cc)} - {""}
    return StoryTruth(
        story.name,
        story.title,
        tuple(people),
        tuple(sorted(organisations)),
        f"{story.mails[0].sent:%Y-%m-%d}",
        f"{story.mails[-1].sent:%Y-%m-%d}",
        story.decisions,
        tuple(message_id(mailbox, mail.key) for mail in received(story)),
    )
