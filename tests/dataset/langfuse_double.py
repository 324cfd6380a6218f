"""A Langfuse on the loopback address: what the server's tracing sent it, handed out as its REST API does."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 2
"""So few a page that every test turns one."""

NOW = "2026-11-20T10:00:00.000Z"


@dataclass
class LangfuseDouble:
    """``scores`` as they are posted to it, ``spans`` as OpenTelemetry encodes them; ``refusal`` answers all requests."""

    url: str = ""
    scores: list[dict[str, Any]] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    refusal: tuple[int, bytes] | None = None

    def scores_page(self, query: dict[str, str]) -> dict[str, Any]:
        """``GET /api/public/v3/scores``: cursor-based, with the subject only when it is asked for."""
        wanted = query["name"].split(",")
        found = [self._score(number, score) for number, score in enumerate(self.scores) if score["name"] in wanted]
        start = int(query.get("cursor", 0))
        if query.get("fields") != "subject":
            found = [{key: value for key, value in score.items() if key != "subject"} for score in found]
        more = {"cursor": str(start + PAGE)} if start + PAGE < len(found) else {}
        return {"data": found[start : start + PAGE], "meta": {"limit": PAGE, **more}}

    def observations_page(self, query: dict[str, str]) -> dict[str, Any]:
        """``GET /api/public/v2/observations``: inputs and outputs as raw strings, in the groups that are asked for."""
        found = [self._observation(span, query["fields"].split(",")) for span in self.spans]
        return {"data": [one for one in found if one["traceId"] == query["traceId"] and one["name"] == query["name"]], "meta": {}}

    @staticmethod
    def _score(number: int, score: dict[str, Any]) -> dict[str, Any]:
        value = bool(score["value"]) if score["dataType"] == "BOOLEAN" else score["value"]
        moment = f"2026-11-20T10:{number:02}:00.000Z"
        return {
            "id": score["id"],
            "projectId": "p",
            "name": score["name"],
            "value": value,
            "dataType": score["dataType"],
            "source": "API",
            "environment": "default",
            "timestamp": moment,
            "createdAt": moment,
            "updatedAt": moment,
            "subject": {"kind": "trace", "id": score["traceId"]},
        }

    @staticmethod
    def _observation(span: Any, groups: list[str]) -> dict[str, Any]:
        said = {attribute.key: attribute.value.string_value for attribute in span.attributes}
        metadata = {
            key.rpartition(".")[2]: value for key, value in said.items() if key.startswith("langfuse.observation.metadata.")
        }
        core = {"id": span.span_id.hex(), "traceId": span.trace_id.hex(), "startTime": NOW, "projectId": "p", "type": "SPAN"}
        parts = {
            "basic": {"name": span.name, "userId": said.get("user.id")},
            "io": {"input": said.get("langfuse.observation.input"), "output": said.get("langfuse.observation.output")},
            "metadata": {"metadata": metadata},
        }
        return core | {key: value for group in groups for key, value in parts[group].items()}


@contextlib.contextmanager
def running_langfuse() -> Iterator[LangfuseDouble]:
    double = LangfuseDouble()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            double.queries.append({"path": address.path, **query})
            pages = {"/api/public/v3/scores": double.scores_page, "/api/public/v2/observations": double.observations_page}
            if not base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).endswith(b":sk-test"):
                self._say(401, b'{"message": "no"}')
            elif double.refusal:
                self._say(*double.refusal)
            else:
                self._say(200, json.dumps(pages[address.path](query)).encode())

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield double
    server.shutdown()
    server.server_close()
