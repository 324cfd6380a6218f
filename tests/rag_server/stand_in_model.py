"""A model server under a test's control; real vLLM answers in the slow end-to-end test."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class StandInModel:
    """An OpenAI-compatible server that says ``says`` piece by piece, and what was asked of it.

    It resolves a version when that is named, as vLLM does: unless ``refuses`` says why not, and not before ``may_resolve``.
    """

    base_url: str
    says: str = "A wick is trimmed by Wick.trim [1]."
    says_as: dict[str, str] = field(default_factory=dict)
    """What a model says in place of that."""
    pause_seconds: float = 0.0
    refuses: dict[str, str] = field(default_factory=dict)
    may_resolve: threading.Event = field(default_factory=lambda: _set(threading.Event()))
    usage: dict[str, int] | None = None
    models: list[str] = field(default_factory=lambda: ["code-assistant-base"])
    asked: list[dict[str, Any]] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def running_stand_in() -> Iterator[StandInModel]:
    stand_in = StandInModel("")
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stand_in))
    http.daemon_threads = True
    stand_in.base_url = f"http://127.0.0.1:{http.server_port}/v1"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield stand_in
    http.shutdown()
    http.server_close()


def _set(event: threading.Event) -> threading.Event:
    event.set()
    return event


def _handler(stand_in: StandInModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply({"data": [{"id": name} for name in stand_in.models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_question = not self.path.endswith("/tokenize")
            if is_question:
                stand_in.asked.append(body)
            if problem := self._resolve(body["model"]):
                return self._reply({"error": {"message": problem}}, 404)
            return self._speak(body["model"]) if is_question else self._reply({"tokens": [5]})

        def _resolve(self, name: str) -> str:
            if name in stand_in.models or ":" not in name:
                return ""
            stand_in.resolved.append(name)
            stand_in.may_resolve.wait(10)
            if name not in stand_in.refuses:
                stand_in.models.append(name)
            return stand_in.refuses.get(name, "")

        def _speak(self, model: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            pieces = [f"{word} " for word in stand_in.says_as.get(model, stand_in.says).split(" ")]
            try:
                for piece in pieces:
                    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model}
                    choice = {"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": None}
                    self.wfile.write(f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n".encode())
                    self.wfile.flush()
                    time.sleep(stand_in.pause_seconds)
                if stand_in.usage:
                    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model}
                    self.wfile.write(f"data: {json.dumps({**chunk, 'choices': [], 'usage': stand_in.usage})}\n\n".encode())
                self.wfile.write(b"data: [DONE]\n\n")
            except OSError:
                stand_in.hung_up.set()

        def _reply(self, document: dict[str, Any], status: int = 200) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
