"""A teacher on the loopback address that can throttle, fail, hang and talk rubbish."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Said:
    """What the double answers: a status with headers, and a body (None: a proper completion), after ``seconds``."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    text: str | None = None
    seconds: float = 0.0
    drips: bool = False


class TeacherDouble:
    """Speaks ``/chat/completions``. ``script`` decides on each request, by its number from 0 and its body.

    ``requests`` are all bodies, ``times`` when they came, ``headers`` what they brought; ``most_at_once`` is counted.
    """

    def __init__(self) -> None:
        self.script: Callable[[int, dict[str, Any]], Said] = lambda number, body: Said()
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.headers: list[dict[str, str]] = []
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with double._lock:
                    number = len(double.requests)
                    double.requests.append(body)
                    double.times.append(time.monotonic())
                    double.headers.append(dict(self.headers))
                    double._at_once += 1
                    double.most_at_once = max(double.most_at_once, double._at_once)
                said = double.script(number, body)
                time.sleep(said.seconds)
                with double._lock:
                    double._at_once -= 1
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self._say(said, body)

            def _say(self, said: Said, body: dict[str, Any]) -> None:
                data = said.body if said.body is not None else completion(said.text or lesson_of(body))
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                for part in [bytes([byte]) for byte in data] if said.drips else [data]:
                    self.wfile.write(part)
                    self.wfile.flush()
                    time.sleep(0.1 if said.drips else 0.0)

            def log_message(self, *said: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def prompts(self) -> list[str]:
        """The user's part of each request."""
        return [body["messages"][1]["content"] for body in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def completion(text: str, prompt_tokens: int = 100, completion_tokens: int = 20) -> bytes:
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": 0}
    return json.dumps({"id": "1", "choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}).encode()


def lesson_of(body: dict[str, Any]) -> str:
    """A proper reply about the symbol in the prompt; words of its own keep it from being a near-duplicate."""
    symbol = re.match(r"\[1\] \S+ (\S+)", body["messages"][1]["content"])[1]
    own = " ".join(re.findall("...", hashlib.sha256(symbol.encode()).hexdigest()))
    return json.dumps({"question": f"How does `{symbol}` go about it?", "answer": f"`{symbol}` goes by {own}. [1]"})
