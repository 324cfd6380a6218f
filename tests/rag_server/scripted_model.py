"""A model server whose every reply a test writes, byte by byte where it matters."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "code-assistant-base"


class Wire:
    """The connection of one request, on which a script answers as it likes."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        self._handler = handler
        self.prompt = "\n".join(str(message["content"]) for message in body["messages"])

    def begin(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        self._handler.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()

    def write(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def piece(self, text: str, finish: str | None = None) -> None:
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}
        self.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def end(self) -> None:
        self.piece("", "stop")
        self.write(b"data: [DONE]\n\n")

    def cut(self) -> None:
        """End the connection as a process does that is killed: by a reset."""
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._handler.connection.close()

    def say(self, text: str, piece_length: int = 11) -> None:
        """Answer ``text`` in pieces that end in the middle of words and of citations."""
        self.begin()
        for start in range(0, len(text), piece_length):
            self.piece(text[start : start + piece_length])
        self.end()


Script = Callable[[Wire], None]


@dataclass
class ScriptedModel:
    """Where the server is, and what it does with a request."""

    base_url: str
    script: Script
    prompts: list[str] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    leaving: threading.Event = field(default_factory=threading.Event)
    """Set when the test ends: a script that hangs waits for this."""


@contextlib.contextmanager
def running_script(script: Script, port: int = 0) -> Iterator[ScriptedModel]:
    model = ScriptedModel("", script)
    http = ThreadingHTTPServer(("127.0.0.1", port), _handler(model))
    http.daemon_threads = True
    model.base_url = f"http://127.0.0.1:{http.server_port}/v1"
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield model
    finally:
        model.leaving.set()
        http.shutdown()
        http.server_close()


def _handler(model: ScriptedModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wire = Wire(self, {"messages": []})
            wire.begin(200, "application/json")
            wire.write(json.dumps({"data": [{"id": MODEL}]}).encode())

        def do_POST(self) -> None:
            wire = Wire(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            model.prompts.append(wire.prompt)
            try:
                model.script(wire)
            except OSError:
                model.hung_up.set()

        def finish(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().finish()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
