"""A page of metrics that was taken down once, served as if the program went on: its counters grow from one look to the next."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

METRICS = Path(__file__).parent / "metrics"
COUNTER = re.compile(r"^(\S+(?:_total|_bucket|_sum|_count)(?:{.*})?) (\S+)$", re.MULTILINE)


@contextlib.contextmanager
def replayed(file: str, key: str | None = None) -> Iterator[str]:
    """Serve ``file``; yields host and port. With a ``key``, nobody else is answered."""
    text = (METRICS / file).read_text()
    asked = count(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = key is None or self.headers.get("Authorization") == f"Bearer {key}"
            self.send_response(200 if allowed and self.path == "/metrics" else 401)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            times = next(asked)
            self.wfile.write(COUNTER.sub(lambda found: f"{found[1]} {float(found[2]) * times}", text).encode())

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()
