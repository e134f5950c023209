"""One call in, one answer out: key, request, limits, fault, answer, bill, in that order."""

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from ..scenario import Fault, Script
from . import embeddings, faults, tokens
from .answers import Reader, UnitAnswer, answer_unit, as_text, instance
from .errors import ApiError, no_key, no_quota, no_route, wrong_key, wrong_method
from .faults import Outcome, Said
from .ledger import Entry, Ledger, digest
from .limits import Gate, Limits
from .models import Model, known_models
from .reading import read
from .recognising import Known
from .requests import ChatRequest, Offers, find_model, read_body, read_chat
from .units import Unit, read_units

Wait = Callable[[float], Awaitable[bool]]
"""Lets seconds pass, and says whether the client left meanwhile."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a simulator runs. An answer takes `latency_s`, and `per_token_s` for each of its tokens.

    `keys` are the keys that count; empty: every one but `wrong`. `models` are added to those that are known.
    """

    limits: Limits = field(default_factory=Limits)
    offers: Offers = field(default_factory=Offers)
    latency_s: float = 0.0
    per_token_s: float = 0.0
    keys: Collection[str] = ()
    models: Mapping[str, Model] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time and chance, passed in so that tests own them."""

    now: Callable[[], float]
    monotonic: Callable[[], float]
    new_id: Callable[[], str]


@dataclass(slots=True)
class Reply:
    """What goes out. `fault` is left to the connection where it is one of those."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    fault: Fault | None = None
    left: bool = False


class Service:
    """Keys, models, limits and faults of one simulator. `reader` says what a mail states that is not in `known`."""

    def __init__(
        self,
        settings: Settings,
        script: Script,
        clocks: Clocks,
        known: Known,
        *,
        reader: Reader = read,
        log: IO[str] | None = None,
    ) -> None:
        self.settings = settings
        self.script = script
        self.clocks = clocks
        self.models = {**known_models(), **settings.models}
        self.ledger = Ledger(log)
        self._known = known
        self._reader = reader
        self._gate = Gate(settings.limits, clocks.monotonic)

    async def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes, wait: Wait) -> Reply:
        """Answer a call below `/v1`; refusals are answers too. Each is in the ledger when it returns."""
        routes = {"/v1/chat/completions": ("POST", "chat"), "/v1/embeddings": ("POST", "embeddings")}
        wanted, operation = routes.get(path, ("GET", "models" if path.startswith("/v1/models") else "other"))
        started = self.clocks.monotonic()
        entry = self.ledger.start(operation, self.clocks.now())
        try:
            key = self._key(headers, entry)
            if operation == "other":
                raise no_route(method, path)
            if method != wanted:
                raise wrong_method(method)
            match operation:
                case "chat":
                    reply = await self._chat(key, read_body(body), entry, wait)
                case "embeddings":
                    reply = await self._embed(key, read_body(body), entry, wait)
                case _:
                    reply = await self._list(key, path, entry, wait)
        except ApiError as error:
            entry.code = error.code or error.type
            reply = Reply(error.status, _encoded(error.body()), dict(error.headers))
        silent = reply.left or (reply.fault is not None and reply.fault.kind in ("hang", "reset"))
        entry.status, entry.left = 0 if silent else reply.status, reply.left
        if entry.model:
            reply.headers.update(self._gate.headers(entry.key, entry.model))
        reply.headers.setdefault("x-request-id", f"req_{self.clocks.new_id().replace('-', '')}")
        reply.headers.setdefault("openai-processing-ms", str(round((self.clocks.monotonic() - started) * 1000)))
        self.ledger.end(entry, self.clocks.monotonic() - started)
        return reply

    def _key(self, headers: Mapping[str, str], entry: Entry) -> str:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise no_key()
        entry.key = digest(key)
        if key == "exhausted":
            raise no_quota()
        if key == "wrong" or (self.settings.keys and key not in self.settings.keys):
            raise wrong_key(key)
        return key

    async def _chat(self, key: str, document: dict[str, Any], entry: Entry, wait: Wait) -> Reply:
        request = read_chat(document, self.models, self.settings.offers)
        entry.model, entry.format = request.model.name, request.format
        # The service counts what a request may cost at most, before it knows what it costs (guide "Rate limits").
        self._gate.enter(entry.key, request.model.name, max(request.prompt, request.most or 0))
        # After the limits: a script names the n-th call that is served, however many were refused.
        fault = self._strike("chat", request.model.name, key, entry)
        if fault is not None and fault.kind == "hang":
            return Reply(200, b"", fault=fault)
        units = read_units(request.last)
        answers = [answer_unit(unit, self._known, self._reader) for unit in units or ()]
        outcome = self._said(request, fault, answers, units)
        completion = self._bill(request, outcome, units or [], entry)
        left = await wait(self.settings.latency_s + self.settings.per_token_s * completion)
        entry.finish = outcome.finish
        body, kind = self._written(request, outcome, completion)
        return Reply(200, body, content_type=kind, fault=fault, left=left)

    def _said(
        self, request: ChatRequest, fault: Fault | None, answers: list[UnitAnswer], units: list[Unit] | None
    ) -> Outcome:
        if units is not None:
            text = as_text(answers)
        elif request.schema is not None:
            text = json.dumps(instance(request.schema), separators=(",", ":"))
        else:
            text = '{"ok":true}' if request.format == "json_object" else "OK"
        outcome = faults.spoilt(fault, text, Said(request.contents[0], units or [], answers))
        if request.format == "text" and units is not None and fault is None:
            # Without a format a model explains itself, and fences what it was asked for.
            outcome = Outcome(f"Here is what the mails state:\n\n```json\n{text}\n```\n")
        most = min(request.most or request.model.most_output, request.model.most_output)
        giant = fault is not None and fault.kind == "giant"
        if outcome.content is not None and not giant and tokens.count(outcome.content) > most:
            return Outcome(tokens.cut(outcome.content, most), "length")
        return outcome

    def _bill(self, request: ChatRequest, outcome: Outcome, units: list[Unit], entry: Entry) -> int:
        """Put the call on the bill; gives the tokens of the answer."""
        completion = tokens.count(outcome.content or outcome.refusal or "") * request.choices
        entry.prompt_tokens, entry.completion_tokens = request.prompt, completion
        entry.usd = request.model.usd(request.prompt, completion)
        entry.units = [digest(unit.inside) for unit in units]
        return completion

    def _written(self, request: ChatRequest, outcome: Outcome, completion: int) -> tuple[bytes, str]:
        if outcome.body is not None:
            return outcome.body, outcome.content_type
        identity = f"chatcmpl-{self.clocks.new_id().replace('-', '')}"
        about = {
            "id": identity,
            "created": int(self.clocks.now()),
            "model": request.model.name,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }
        usage = _usage(request.prompt, completion)
        if request.stream:
            return _streamed(about, outcome, usage if request.include_usage else None), "text/event-stream"
        message: dict[str, Any] = {
            "role": "assistant",
            "content": outcome.content,
            "refusal": outcome.refusal,
            "annotations": [],
        }
        choices = [
            {"index": place, "message": message, "logprobs": None, "finish_reason": outcome.finish}
            for place in range(request.choices if outcome.choices else 0)
        ]
        return _encoded({**about, "object": "chat.completion", "choices": choices, "usage": usage}), "application/json"

    async def _embed(self, key: str, document: dict[str, Any], entry: Entry, wait: Wait) -> Reply:
        model = find_model(document, self.models, embeds=True)
        texts, dimensions, packed = embeddings.read(document)
        prompt = sum(tokens.count(text) for text in texts)
        entry.model = model.name
        self._gate.enter(entry.key, model.name, prompt)
        fault = self._strike("embeddings", model.name, key, entry)
        if fault is not None and fault.kind == "hang":
            return Reply(200, b"", fault=fault)
        entry.prompt_tokens, entry.usd = prompt, model.usd(prompt, 0)
        left = await wait(self.settings.latency_s)
        content = embeddings.answer(model.name, texts, dimensions, prompt, packed=packed)
        return Reply(200, _encoded(content), fault=fault, left=left)

    async def _list(self, key: str, path: str, entry: Entry, wait: Wait) -> Reply:
        fault = self._strike("models", "", key, entry)
        left = await wait(0.0)
        shown = [
            {"id": name, "object": "model", "created": 1_715_367_049, "owned_by": "system"}
            for name in sorted(self.models)
        ]
        _, _, wanted = path.removeprefix("/v1/models").partition("/")
        if wanted:
            found = find_model({"model": wanted}, self.models, embeds=self._embeds(wanted))
            return Reply(200, _encoded(next(m for m in shown if m["id"] == found.name)), fault=fault, left=left)
        return Reply(200, _encoded({"object": "list", "data": shown}), fault=fault, left=left)

    def _embeds(self, name: str) -> bool:
        return name in self.models and self.models[name].embeds

    def _strike(self, operation: str, model: str, key: str, entry: Entry) -> Fault | None:
        fault = self.script.call(operation)
        entry.fault = fault.kind if fault is not None else None
        error = faults.refusal_of(fault, model, key)
        if error is not None:
            raise error
        return fault


def _usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _streamed(about: Mapping[str, Any], outcome: Outcome, usage: Mapping[str, Any] | None) -> bytes:
    """The answer as server-sent events, some forty letters each."""
    said = outcome.content if outcome.content is not None else outcome.refusal or ""
    field_name = "content" if outcome.content is not None else "refusal"
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{field_name: said[at : at + 40]} for at in range(0, len(said), 40)]
    events: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]} for delta in deltas
    ]
    events.append({"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": outcome.finish}]})
    if usage is not None:
        events.append({"choices": [], "usage": usage})
    lines = [f"data: {json.dumps({**about, 'object': 'chat.completion.chunk', **event})}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def _encoded(document: object) -> bytes:
    """JSON; lone surrogates, which mail does contain, go out as escapes."""
    try:
        return json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(document).encode()
