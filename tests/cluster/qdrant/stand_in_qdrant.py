"""A server that answers the calls about snapshots as Qdrant does: bytes for collections, checksums, a key, copies that stay."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SNAPSHOT = re.compile(r"/collections/([^/]+)/snapshots(?:/([^/]+))?")


class StandInQdrant(ThreadingHTTPServer):
    """One node. ``collections`` holds what each is made of; ``snapshots`` what lies on its disk, by collection and name."""

    daemon_threads = True

    def __init__(self, key: str, collections: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.key = key
        self.collections = dict(collections)
        self.snapshots: dict[str, dict[str, bytes]] = {}
        self.generation = "1"
        self.asked: list[str] = []
        self.before_snapshot: Callable[[str], None] = lambda collection: None
        self.spoil = False
        self.stall = threading.Event()
        self.stalls_at = ""
        self.stalled = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.stall.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: StandInQdrant
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def do_DELETE(self) -> None:
        self._answered(self._delete)

    def log_message(self, *arguments: Any) -> None:
        pass

    def _answered(self, answer: Callable[[str, dict[str, list[str]], bytes], None]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        self.server.asked.append(f"{self.command} {self.path}")
        if self.headers.get("api-key") != self.server.key:
            self._send(401, b"Must provide an API key or an Authorization bearer token")
            return
        address = urlsplit(self.path)
        answer(address.path, parse_qs(address.query), body)

    def _get(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        found = SNAPSHOT.fullmatch(path)
        if path == "/":
            self._send(200, json.dumps({"title": "qdrant", "version": "1.20.0"}).encode())
        elif path == "/collections":
            self._result({"collections": [{"name": name} for name in self.server.collections]})
        elif found and found[1] not in self.server.collections:
            self._not_found(found[1])
        elif found and found[2]:
            self._send_file(found[1], self.server.snapshots[found[1]][found[2]])
        elif found:
            self._result([{"name": name} for name in self.server.snapshots.get(found[1], {})])

    def _post(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        found = SNAPSHOT.fullmatch(path)
        if path.endswith("/points/scroll"):
            record = {"name": "httpx", "generation": self.server.generation}
            self._result({"points": [{"id": 1, "payload": {"record": record}}], "next_page_offset": None})
        elif found and found[2] == "upload":
            self._put_back(found[1], query, body)
        elif found:
            self.server.before_snapshot(found[1])
            content = self.server.collections[found[1]]
            name = f"{found[1]}-{len(self.server.asked)}.snapshot"
            self.server.snapshots.setdefault(found[1], {})[name] = content
            self._result({"name": name, "size": len(content), "checksum": hashlib.sha256(content).hexdigest()})

    def _delete(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        found = SNAPSHOT.fullmatch(path)
        assert found
        self._result(self.server.snapshots[found[1]].pop(found[2], None) is not None)

    def _put_back(self, collection: str, query: dict[str, list[str]], body: bytes) -> None:
        (part,) = (
            BytesParser().parsebytes(b"Content-Type: %s\r\n\r\n" % self.headers["Content-Type"].encode() + body).get_payload()
        )
        content = part.get_payload(decode=True)
        assert query["priority"] == ["snapshot"]
        if query["checksum"] != [hashlib.sha256(content).hexdigest()]:
            self._send(400, b'{"status": {"error": "Checksum mismatch"}}')
            return
        self.server.snapshots.setdefault(collection, {})[part.get_filename()] = content
        self.server.collections[collection] = content
        self._result(True)

    def _send_file(self, collection: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.server.stalls_at == collection:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.server.stalled.set()
            self.server.stall.wait(20)
            self.close_connection = True
            return
        self.wfile.write(content[:-1] + b"?" if self.server.spoil else content)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _result(self, result: Any) -> None:
        self._send(200, json.dumps({"result": result, "status": "ok", "time": 0.0}).encode())

    def _not_found(self, collection: str) -> None:
        self._send(404, json.dumps({"status": {"error": f"Not found: Collection `{collection}` doesn't exist!"}}).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
