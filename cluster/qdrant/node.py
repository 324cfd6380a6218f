"""One Qdrant server, as far as snapshots need it (https://api.qdrant.tech, "Snapshots").

Each node of a cluster has its own shards, so that a snapshot is taken on each and goes back to the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from cia.errors import AccessError, OperationError, UnavailableError
from cia.settings import Settings

HOURS = httpx.Timeout(30.0, read=4 * 3600.0, write=3600.0)
"""A server answers when the snapshot is made, or put back: for a large collection that takes its time."""

BLOCK = 2**20
CATALOG_PAGE = 256


class QdrantNode:
    """The server at ``url``. Each call raises UnavailableError, AccessError or OperationError with what it answered."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url.rstrip("/")
        self._key_variable = settings.index.qdrant_api_key_variable
        key = os.environ.get(self._key_variable)
        self._client = httpx.Client(base_url=self.url, headers={"api-key": key} if key else {}, timeout=HOURS)

    def version(self) -> str:
        """Return the server's version."""
        return str(self._call("GET", "/", answer="version"))

    def collections(self) -> list[str]:
        """Return the names of its collections, sorted."""
        return sorted(collection["name"] for collection in self._call("GET", "/collections")["collections"])

    def snapshots(self, collection: str) -> list[str]:
        """Return the names of the snapshots of ``collection`` that lie on the server; none of one that is gone."""
        found = self._call("GET", f"/collections/{collection}/snapshots", may_be_gone=True)
        return [snapshot["name"] for snapshot in found or []]

    def make_snapshot(self, collection: str) -> tuple[str, str | None]:
        """Have the server make a snapshot of its part of ``collection``; return its name and SHA-256 (old servers: None)."""
        made = self._call("POST", f"/collections/{collection}/snapshots", params={"wait": "true"})
        return made["name"], made.get("checksum")

    def download(self, collection: str, snapshot: str, path: Path) -> str:
        """Write a snapshot to ``path``, flushed to the disk; return its SHA-256."""
        digest = hashlib.sha256()
        with self._answering(), self._client.stream("GET", f"/collections/{collection}/snapshots/{snapshot}") as response:
            self._check(response)
            with path.open("wb") as file:
                for block in response.iter_bytes(BLOCK):
                    digest.update(block)
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
        return digest.hexdigest()

    def delete_snapshot(self, collection: str, snapshot: str) -> None:
        """Delete a snapshot from the server; one that is gone already is no error."""
        self._call("DELETE", f"/collections/{collection}/snapshots/{snapshot}", may_be_gone=True)

    def put_back(self, collection: str, path: Path, sha256: str) -> None:
        """Replace the server's part of ``collection`` by the snapshot at ``path``, which the server checks by its SHA-256."""
        with path.open("rb") as file:
            self._call(
                "POST",
                f"/collections/{collection}/snapshots/upload",
                params={"wait": "true", "priority": "snapshot", "checksum": sha256},
                files={"snapshot": (path.name, file, "application/octet-stream")},
            )

    def published(self, catalog: str) -> dict[str, Any]:
        """Return the record that each entry of ``catalog`` holds, by the entry's id."""
        found: dict[str, Any] = {}
        asked: dict[str, Any] = {"limit": CATALOG_PAGE, "with_payload": ["record"], "with_vector": False}
        while True:
            page = self._call("POST", f"/collections/{catalog}/points/scroll", json=asked)
            found.update((str(point["id"]), point.get("payload")) for point in page["points"])
            if page.get("next_page_offset") is None:
                return found
            asked["offset"] = page["next_page_offset"]

    def _call(self, method: str, path: str, *, answer: str = "result", may_be_gone: bool = False, **options: Any) -> Any:
        with self._answering():
            response = self._client.request(method, path, **options)
            if may_be_gone and response.status_code == HTTPStatus.NOT_FOUND:
                return None
            self._check(response)
            return response.json()[answer]

    def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise AccessError(f"Qdrant at {self.url} does not take the key; set {self._key_variable} to the server's")
        response.read()
        reason = " ".join(response.text.split())[:200]
        raise OperationError(f"Qdrant at {self.url} answered {response.status_code}: {reason}")

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            reason = type(error).__name__
            raise UnavailableError(f"Qdrant does not answer at {self.url} ({reason}); start it, or try again") from error
        except (ValueError, KeyError, TypeError) as error:
            raise OperationError(f"what answers at {self.url} is no Qdrant: set index.qdrant_url to one") from error
