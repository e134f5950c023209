"""One call to a model, the whole story: reserve, ask, settle, read, store; and what each kind of answer leads to.

Whole: each unit by itself. Cut off or too long: smaller units. Malformed: once more, then smaller units. Refused, or
empty: each unit alone, then it has ended so. What the server does not answer at all costs the units nothing as long as
it answers no other either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import structlog

from atom_backfill.access.keys import status_after
from atom_backfill.backfill.lane import Back, Ended, LaneParts, Opened, Result, Taken
from atom_backfill.errors import AtomError, LeaseLost, NeedsOwnerError, RetryLaterError
from atom_backfill.graph.extraction import check, read_answer
from atom_backfill.graph.facts import Unit
from atom_backfill.graph.money import Asked, Refusal, Settlement, Wait
from atom_backfill.graph.prompt import SCHEMA, SCHEMA_NAME, messages_of
from atom_backfill.graph.units import likely_tokens, most_answer_tokens, most_tokens, split_plan
from atom_backfill.jobs.job import GraphStatus, Lease
from atom_backfill.llm.endpoint import DEFAULT_WAIT_S, RequestRefusedError
from atom_backfill.llm.form import Chat, Form, response_format
from atom_backfill.llm.prices import price_of
from atom_backfill.llm.reply import Finish, Reply

ATTEMPTS = 3
"""Answers about a unit alone that could not be used, before it is given up."""
TROUBLES = 8
"""Calls about a unit that the server did not answer while it answered others."""
SILENT_AFTER = 4
"""Calls in a row without any answer, after which a slot asks no more for a while."""
LONGEST_PAUSE_S = 5.0
"""Between two looks at whether a call may be made now."""
_SCHEMA_TEXT = json.dumps(SCHEMA)
_OF_ITS_OWN = ("bad_answer", "answer_too_large")
"""Answers that came and cannot be read: that is a matter of the unit, not of the server."""
_TOOK_NOTHING = ("model_throttled", "model_unavailable", "unreachable", "proxy_failed")
"""Refusals before any work: nothing is billed."""


class LaneStoppedError(Exception):
    """The lane goes on no more; `status` None: somebody else has seen to it already."""

    def __init__(self, status: GraphStatus | None = None, code: str = "", words: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.words = status, code, words


class Asking:
    """Asks about units with one key. `silent`: the server has answered nothing lately, and `trouble` says why."""

    def __init__(self, lease: Lease, parts: LaneParts, opened: Opened, chat: Chat) -> None:
        self.model = opened.key.model
        self.trouble: AtomError | None = None
        self._lease = lease
        self._parts = parts
        self._key = opened.key
        self._form = opened.key.form or Form.SCHEMA
        self._chat = chat
        self._price = price_of(self.model, parts.prices)
        self._answered = 0
        self._unanswered = 0
        self._log = structlog.get_logger()

    @property
    def silent(self) -> bool:
        """Whether the server has left several calls in a row without an answer."""
        return self._unanswered >= SILENT_AFTER

    async def about(self, taken: Sequence[Taken]) -> bool:
        """Ask about units, and see to it that each ends or is given back; True: some were given back.

        Raises LaneStoppedError, LeaseLost, and what the database raises.
        """
        gone = [Result(each, Ended.SKIPPED, reason="mail_changed") for each in taken if each.unit is None]
        known = [_believed(each, json.loads(each.answer)) for each in taken if each.unit and each.answer is not None]
        if gone or known:
            await self._store([*gone, *known])
        asked = [each for each in taken if each.unit is not None and each.answer is None]
        return bool(asked) and await self._ask(asked)

    async def _ask(self, taken: Sequence[Taken]) -> bool:
        call = _Call.of([each.unit for each in taken if each.unit is not None], max(each.attempts for each in taken))
        asked = self._asked(taken, call)
        before = self._answered
        while True:
            # The room is for calls in flight: who has to wait for a key or a budget waits outside.
            async with self._parts.room:
                admission = await self._parts.ledger.admit(self._lease, asked)
                if admission is None:
                    await self._parts.reached("call_reserved")
                    reply, seconds = await self._call(call)
                    break
            if not await self._waited(admission):
                return await self._give_back([Back(each.plan.unit_id) for each in taken])
        if isinstance(reply, AtomError):
            return await self._unanswered_call(taken, asked, reply, seconds, others=self._answered > before)
        self._answered, self._unanswered = self._answered + 1, 0
        await self._parts.reached("call_answered")
        return await self._read(taken, asked, reply, seconds)

    async def _call(self, call: _Call) -> tuple[Reply | AtomError, float]:
        """Ask the model: its reply or what went wrong, and the seconds that it took."""
        started = self._parts.clock.monotonic()
        form = response_format(self._form, SCHEMA_NAME, SCHEMA)
        try:
            reply: Reply | AtomError = await self._chat.complete(call.messages, form, call.most_tokens)
        except AtomError as error:
            reply = error
        return reply, self._parts.clock.monotonic() - started

    def _asked(self, taken: Sequence[Taken], call: _Call) -> Asked:
        return Asked(
            call_id=self._parts.new_id(),
            units=tuple(each.plan.unit_id for each in taken),
            attempt=max(each.attempts for each in taken),
            model=self.model,
            most_usd=None if self._price is None else self._price.of(call.most_input, call.most_tokens),
            cap_usd=self._parts.cap_usd,
            key_name=self._key.name,
            key_version=self._key.version,
            tokens=max(call.likely_input, call.most_tokens),
        )

    async def _waited(self, admission: Wait | Refusal) -> bool:
        """Wait as long as no call may be made; False where it is not worth it. Raises LaneStoppedError, LeaseLost."""
        match admission:
            case Wait(seconds=seconds):
                await self._parts.clock.sleep(min(seconds, LONGEST_PAUSE_S))
                return not self.silent
            case Refusal.LEASE_LOST:
                raise LeaseLost
            case Refusal.BUDGET:
                words = "The budget is spent: `resume JOB --budget-usd` with a higher one goes on."
                raise LaneStoppedError(GraphStatus.BUDGET_REACHED, "budget_reached", words)
            case Refusal.STOPPED | Refusal.KEY_CHANGED:
                raise LaneStoppedError

    async def _unanswered_call(
        self, taken: Sequence[Taken], asked: Asked, error: AtomError, seconds: float, *, others: bool
    ) -> bool:
        """Settle a call that brought no answer, and decide what that means."""
        throttled = error.code == "model_throttled"
        free = error.code in _TOOK_NOTHING or isinstance(error, NeedsOwnerError | RequestRefusedError)
        after = (error.after if isinstance(error, RetryLaterError) else None) or (DEFAULT_WAIT_S if throttled else 1.0)
        came = Settlement(
            error.code,
            Decimal(0) if free else asked.most_usd,
            0 if free else None,
            0 if free else None,
            seconds,
            refused_s=after if throttled else None,
        )
        await self._settled(asked, came, {})
        if isinstance(error, RequestRefusedError):
            return await self._asked_wrongly(taken, error)
        if isinstance(error, NeedsOwnerError):
            await self._owner_needed(error)
        if not isinstance(error, RetryLaterError):
            raise error
        if error.code in _OF_ITS_OWN:
            return await self._unusable(taken, error.code)
        if not throttled:
            self._unanswered += 1
            self.trouble = error
            self._log.warning("model call failed", error_code=error.code, error=error.message)
            await self._parts.clock.sleep(min(after, LONGEST_PAUSE_S))
        return await self._troubled(taken, error, counts=others and not throttled)

    async def _troubled(self, taken: Sequence[Taken], error: AtomError, *, counts: bool) -> bool:
        """Give units back; one that was left without an answer too often, while others had theirs, is given up."""
        over = [each for each in taken if counts and each.troubles + 1 >= TROUBLES]
        if over:
            await self._store([Result(each, Ended.FAILED, reason=error.code) for each in over])
        back = [Back(each.plan.unit_id, troubles=int(counts)) for each in taken if each not in over]
        return await self._give_back(back)

    async def _asked_wrongly(self, taken: Sequence[Taken], error: RequestRefusedError) -> bool:
        """Ask in a looser form from now on, where that is what the server refuses."""
        forms = list(Form)
        looser = forms[forms.index(self._form) + 1 :]
        if not looser:
            return await self._end(taken, Ended.FAILED, error.code)
        self._form = looser[0]
        await self._parts.ledger.note_key(self._lease, self._key, self._key.status, self._form)
        return await self._give_back([Back(each.plan.unit_id) for each in taken])

    async def _owner_needed(self, error: NeedsOwnerError) -> None:
        """Stop the lane: only its owner can help. Raises LaneStoppedError."""
        status = status_after(error)
        if status is not None:
            await self._parts.ledger.note_key(self._lease, self._key, status, self._key.form)
            raise LaneStoppedError(GraphStatus.KEY_REJECTED, error.code, error.message) from None
        raise LaneStoppedError(GraphStatus.FAILED, error.code, error.message) from None

    async def _read(self, taken: Sequence[Taken], asked: Asked, reply: Reply, seconds: float) -> bool:
        """Settle an answered call, and act on how the answer ended."""
        answers = read_answer(reply.text) if reply.finish is Finish.WHOLE else None
        said = {} if answers is None else {n: each for n, each in enumerate(taken) if n in answers}
        kept = {each.key: json.dumps(answers[n]) for n, each in said.items()} if answers else {}
        came = Settlement(
            str(reply.finish) if reply.finish is not Finish.WHOLE or answers is not None else "malformed",
            self._cost(asked, reply),
            reply.input_tokens,
            reply.output_tokens,
            seconds,
            reply.headers,
        )
        within = await self._settled(asked, came, kept)
        await self._parts.reached("call_settled")
        if answers is not None:
            given_back = await self._believe(taken, answers)
        elif reply.finish is Finish.REFUSED:
            given_back = await self._alone_or(taken, Ended.REFUSED, "refused")
        elif reply.finish is Finish.EMPTY:
            given_back = await self._unusable(taken, "no_answer")
        elif reply.finish in (Finish.CUT_OFF, Finish.TOO_LONG):
            given_back = await self._smaller(taken, str(reply.finish))
        else:
            given_back = await self._unusable(taken, "malformed")
        if not within:
            words = "The server reports more than could be reserved, and the budget is spent."
            raise LaneStoppedError(GraphStatus.BUDGET_REACHED, "budget_overrun", words)
        return given_back

    async def _believe(self, taken: Sequence[Taken], answers: Mapping[int, dict[str, Any]]) -> bool:
        """Check each unit's part of an answer; what the answer says nothing of is asked about alone."""
        results = [_believed(each, answers[n]) for n, each in enumerate(taken) if n in answers]
        if results:
            await self._store(results)
        unsaid = [each for n, each in enumerate(taken) if n not in answers]
        return bool(unsaid) and await self._unusable(unsaid, "no_answer")

    async def _unusable(self, taken: Sequence[Taken], reason: str) -> bool:
        """Ask each unit alone; what was alone once more, then in parts; what has none is given up."""
        if len(taken) > 1:
            return await self._give_back([Back(each.plan.unit_id, alone=True, reason=reason) for each in taken])
        [only] = taken
        if only.attempts == 0:
            return await self._give_back([Back(only.plan.unit_id, alone=True, attempts=1, reason=reason)])
        if reason == "no_answer":
            return await self._end(taken, Ended.EMPTY, reason)
        return await self._smaller(taken, reason)

    async def _smaller(self, taken: Sequence[Taken], reason: str) -> bool:
        """Ask in smaller parts: units alone, a unit in two. What cannot be smaller may be longer, then is given up."""
        if len(taken) > 1:
            return await self._give_back([Back(each.plan.unit_id, alone=True, reason=reason) for each in taken])
        [only] = taken
        assert only.unit is not None
        parts = split_plan(only.plan, only.unit)
        if parts is not None:
            await self._store([Result(only, Ended.SPLIT, reason=reason, parts=parts)])
            return True
        if only.attempts + 1 < ATTEMPTS:
            return await self._give_back([Back(only.plan.unit_id, alone=True, attempts=1, reason=reason)])
        return await self._end(taken, Ended.FAILED, reason)

    async def _alone_or(self, taken: Sequence[Taken], ended: Ended, reason: str) -> bool:
        if len(taken) > 1:
            return await self._give_back([Back(each.plan.unit_id, alone=True, reason=reason) for each in taken])
        return await self._end(taken, ended, reason)

    async def _end(self, taken: Sequence[Taken], ended: Ended, reason: str) -> bool:
        await self._store([Result(each, ended, reason=reason, attempts=1) for each in taken])
        return False

    async def _store(self, results: Sequence[Result]) -> None:
        entities, relationships = await self._parts.ledger.store(self._lease, results, self.model)
        self._log.info("units extracted", units=len(results), entities=entities, relationships=relationships)
        await self._parts.reached("units_stored")

    async def _give_back(self, units: Sequence[Back]) -> bool:
        if units:
            await self._parts.ledger.give_back(self._lease, units)
        return bool(units)

    async def _settled(self, asked: Asked, came: Settlement, answers: Mapping[bytes, str]) -> bool:
        return await self._parts.ledger.settle(self._lease, asked, came, answers)

    def _cost(self, asked: Asked, reply: Reply) -> Decimal | None:
        """What an answer cost; all that was set aside where the server does not say how many tokens it took."""
        if self._price is None or reply.input_tokens is None or reply.output_tokens is None:
            return asked.most_usd
        return self._price.of(reply.input_tokens, reply.output_tokens)


class _Call:
    """A request, and how large it and its answer can be, in tokens."""

    def __init__(self, messages: Sequence[Mapping[str, str]], most: int) -> None:
        said = "".join(message["content"] for message in messages) + _SCHEMA_TEXT
        self.messages = messages
        self.most_tokens = most
        self.most_input = most_tokens(said)
        self.likely_input = likely_tokens(said)

    @classmethod
    def of(cls, units: Sequence[Unit], attempts: int) -> _Call:
        """Make the request about units; after attempts the answer may be longer."""
        return cls(messages_of(units), most_answer_tokens(units, attempts))


def _believed(taken: Taken, answer: Mapping[str, Any]) -> Result:
    """Keep what a unit's mails bear out."""
    assert taken.unit is not None
    facts = check(taken.unit, answer)
    return Result(taken, Ended.EMPTY if facts.empty else Ended.DONE, facts)
