"""Takes in what Langfuse and OpenTelemetry collectors are sent, on loopback."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Receiver:
    """What arrived: spans as OpenTelemetry encodes them, scores as Langfuse's API takes them."""

    url: str
    spans: list[Any] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)


@contextlib.contextmanager
def running_receiver() -> Iterator[Receiver]:
    receiver = Receiver("")
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(receiver))
    http.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield receiver
    http.shutdown()
    http.server_close()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path.endswith("/v1/traces"):
                request = ExportTraceServiceRequest.FromString(body)
                receiver.spans += [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
                reply = b""
            else:
                receiver.scores += json.loads(body)
                reply = b"{}"
            self.send_response(200)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
