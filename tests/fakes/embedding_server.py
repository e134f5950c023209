"""A small, strict OpenAI-compatible `/embeddings` server on loopback, which gives HashEmbedder's vectors."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fakes.embedder import HashEmbedder

KEY = "sk-for-tests"
MODEL = "text-embedding-for-tests"


@dataclass
class Script:
    """What the server does: canned answers (status, headers, body) first, then real ones. `seen` are the inputs."""

    canned: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    seen: list[list[str]] = field(default_factory=list)
    dim: int = 32
    url: str = ""


@contextmanager
def embedding_server() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["content-length"]))
            if script.canned:
                return self.answer(*script.canned.pop(0))
            refusal = refuse(self.path, self.headers.get("authorization"), asked)
            if refusal:
                return self.answer(refusal, {}, json.dumps({"error": {"message": "no", "type": "invalid"}}).encode())
            script.seen.append(json.loads(asked)["input"])
            return self.answer(200, {}, json.dumps(embeddings(script)).encode())

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # A worker that is killed says no goodbye.
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()


def refuse(path: str, authorization: str | None, asked: bytes) -> int | None:
    """Name the status with which the real service would refuse."""
    if path != "/v1/embeddings":
        return 404
    if authorization != f"Bearer {KEY}":
        return 401
    body = json.loads(asked)
    if body.get("model") != MODEL:
        return 404
    texts = body.get("input")
    strings = isinstance(texts, list) and all(isinstance(text, str) and text for text in texts)
    if not strings or not 0 < len(texts) <= 2048 or sum(map(len, texts)) > 1_000_000 or max(map(len, texts)) > 8191 * 4:
        return 400
    return None if set(body) <= {"model", "input", "encoding_format", "dimensions", "user"} else 400


def embeddings(script: Script) -> dict[str, Any]:
    """Answer the inputs seen last, last first: `index` alone says which is which. Not of unit length."""
    vectors = asyncio.run(HashEmbedder(script.dim).embed(script.seen[-1])) * 3
    data = [{"object": "embedding", "index": i, "embedding": row.tolist()} for i, row in enumerate(vectors)]
    return {"object": "list", "data": data[::-1], "model": MODEL, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
