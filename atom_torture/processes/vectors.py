"""A server that makes vectors of texts as OpenAI's endpoint does, the same ones always and at no cost."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL, KEY = "torture-embedding", "sk-torture"
DIM = 16


@contextmanager
def vector_server() -> Iterator[int]:
    """Serve on loopback while the block lasts; gives the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer with a vector for each input."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        data = [
            {"object": "embedding", "index": number, "embedding": _vector(text, asked.get("encoding_format", ""))}
            for number, text in enumerate(asked["input"])
        ]
        usage = {"prompt_tokens": len(data), "total_tokens": len(data)}
        body = json.dumps({"object": "list", "data": data, "model": MODEL, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Serve a connection; one that is cut off is no matter."""
        try:
            super().handle()
        except (ConnectionError, ValueError, TypeError):
            self.close_connection = True


def _vector(text: str, form: str) -> list[float] | str:
    digest = hashlib.blake2b(text.encode(), digest_size=DIM).digest()
    numbers = [(each + 1) / 256 for each in digest]
    if form == "base64":
        return base64.b64encode(struct.pack(f"<{DIM}f", *numbers)).decode()
    return numbers
