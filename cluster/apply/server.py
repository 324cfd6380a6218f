"""The requests that the engine makes: each is sent again while the server is busy, and each refusal is a sentence."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cia.errors import UnavailableError
from cluster.apply.refusals import Target, missing_kind, refusal
from cluster.part import Object

if TYPE_CHECKING:
    from cluster.connection import Connection

FIELD_MANAGER = "cia"

ATTEMPTS = 6
LONGEST_PAUSE = 30.0
"""Seconds. A busy server says in Retry-After how long to stay away; one that says more than this is not waited for."""

PAGE = 500
"""Objects a list is asked for at a time."""

WATCH_SECONDS = 30
"""After which the server ends a watch by itself, so that one whose connection died unnoticed is not waited on for ever."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the server serves it. ``name`` is its plural with the group, as rights name it: deployments.apps."""

    kind: str
    root: str
    plural: str
    name: str
    namespaced: bool

    def path(self, namespace: str | None, name: str = "") -> str:
        space = f"namespaces/{namespace}/" if namespace and self.namespaced else ""
        return f"{self.root}/{space}{self.plural}{'/' + name if name else ''}"


class Server:
    """One cluster, asked in plain values. Safe to use from several threads."""

    def __init__(self, connection: Connection, pause: Callable[[float], None] = time.sleep) -> None:
        self.context, self.address = connection.context, connection.server
        self.warnings: list[str] = []
        """What the server remarked on what it took, such as an API that will end, and what it did not let be seen; each once."""
        self._dynamic = connection.dynamic
        self._pause = pause
        self._kinds: dict[str, dict[str, Resource]] = {}
        self._discovery = threading.Lock()

    def knows(self, api_version: str, kind: str) -> bool:
        """Return whether the server has the kind."""
        return self._found(api_version, kind) is not None

    def is_namespaced(self, api_version: str, kind: str) -> bool:
        return bool(self._resource(api_version, kind).namespaced)

    def live(self, built: Object) -> Object | None:
        """Return the object as it is on the server, None where it is not."""
        metadata = built["metadata"]
        return self.get(built["apiVersion"], built["kind"], metadata["name"], metadata.get("namespace"))

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return the object of that name, None where there is none."""
        from kubernetes.client import ApiException

        resource = self._resource(api_version, kind)
        target = _target("get", resource, name, namespace)
        try:
            return self._answer("get", resource.path(namespace, name), target)
        except ApiException:  # 404
            return None

    def apply(self, built: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        """Return the object as the server holds it, or would hold it, once ``built`` is applied.

        ``force`` takes fields over from other field managers. Raises CiaError for whatever the server refuses.
        """
        metadata = built["metadata"]
        resource = self._resource(built["apiVersion"], built["kind"])
        return self._answer(
            "patch",
            resource.path(metadata.get("namespace"), metadata["name"]),
            _target("apply", resource, metadata["name"], metadata.get("namespace")),
            body=built,
            content_type="application/apply-patch+yaml",
            field_manager=FIELD_MANAGER,
            force_conflicts=force or None,
            dry_run="All" if dry_run else None,
        )

    def objects(self, api_version: str, kind: str, namespace: str | None = None, selector: str | None = None) -> list[Object]:
        """Return the objects of a kind, those of all namespaces where none is given."""
        return self.listed(api_version, kind, namespace, selector)[0]

    def listed(self, api_version: str, kind: str, namespace: str | None, selector: str | None) -> tuple[list[Object], str]:
        """Return the objects of a kind and the version of that list, from which a watch goes on."""
        resource = self._resource(api_version, kind)
        target = _target("list", resource, "", namespace)
        path, items, more = resource.path(namespace), [], ""
        while True:
            found = self._answer("get", path, target, label_selector=selector, limit=PAGE, _continue=more or None)
            items += [{**item, "apiVersion": api_version, "kind": kind} for item in found.get("items") or []]
            metadata = found.get("metadata") or {}
            more = metadata.get("continue") or ""
            if not more:
                return items, metadata.get("resourceVersion") or ""

    def delete(self, gone: Object, *, dry_run: bool = False) -> bool:
        """Delete exactly this object, after what it owns; return whether it was still there."""
        from kubernetes.client import ApiException

        metadata = gone["metadata"]
        resource = self._resource(gone["apiVersion"], gone["kind"])
        options: dict[str, Any] = {"propagationPolicy": "Foreground" if gone["kind"] == "Job" else "Background"}
        options |= {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": metadata["uid"]}}
        options |= {"dryRun": ["All"]} if dry_run else {}
        target = _target("delete", resource, metadata["name"], metadata.get("namespace"))
        try:
            self._answer("delete", resource.path(metadata.get("namespace"), metadata["name"]), target, body=options)
        except ApiException:  # 404
            return False
        return True

    def log(self, namespace: str, pod: str, container: str, *, previous: bool, lines: int = 3) -> str:
        """Return the last lines that a container wrote, nothing where the server cannot give them."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        query = [("container", container), ("previous", str(previous).lower()), ("tailLines", str(lines))]
        try:
            answer = self._dynamic.request(
                "get", f"/api/v1/namespaces/{namespace}/pods/{pod}/log", query_params=query, serialize=False
            )
            return str(answer.data.decode("utf-8", "replace")).strip()
        except (ApiException, HTTPError):
            return ""

    def watch(self, api_version: str, kind: str, namespace: str | None, selector: str | None, version: str) -> Iterator[Object]:
        """Yield the events since ``version`` until the server ends the stream. Raises what a broken stream raises."""
        answer = self._dynamic.request(
            "get",
            self._resource(api_version, kind).path(namespace),
            serialize=False,
            label_selector=selector,
            resource_version=version,
            watch="true",
            timeout_seconds=WATCH_SECONDS,
            _request_timeout=(5.0, WATCH_SECONDS + 10.0),
        )
        rest = b""
        try:
            for read in answer.stream(None, decode_content=True):
                *lines, rest = (rest + read).split(b"\n")
                yield from (json.loads(line) for line in lines if line.strip())
        finally:
            answer.release_conn()

    def _found(self, api_version: str, kind: str) -> Resource | None:
        with self._discovery:
            if api_version not in self._kinds:
                self._kinds[api_version] = self._served(api_version)
            return self._kinds[api_version].get(kind)

    def _served(self, api_version: str) -> dict[str, Resource]:
        """Return what the server has of an API version, by kind; nothing where it does not have the version."""
        from kubernetes.client import ApiException

        group = api_version.rpartition("/")[0]
        root = f"/apis/{api_version}" if group else f"/api/{api_version}"
        try:
            listed = self._answer("get", root, Target("get", "the kinds of", api_version, None, root))["resources"] or []
        except ApiException:  # 404
            return {}
        return {
            one["kind"]: Resource(
                one["kind"], root, one["name"], f"{one['name']}.{group}" if group else one["name"], one["namespaced"]
            )
            for one in listed
            if "/" not in one["name"]
        }

    def _resource(self, api_version: str, kind: str) -> Resource:
        if (resource := self._found(api_version, kind)) is None:
            raise missing_kind(kind, api_version)
        return resource

    def _answer(self, method: str, path: str, target: Target, **request: Any) -> Object:
        """Return the server's answer. Raises CiaError, and ApiException only for what is read or deleted and is not there."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        for attempt in range(ATTEMPTS):
            last = attempt + 1 == ATTEMPTS
            try:
                answer = self._dynamic.request(method, path, serialize=False, **request)
                self._take_remarks(answer.headers.getlist("Warning"))
                return dict(json.loads(answer.data))
            except ApiException as error:
                if error.status == 404 and target.verb in ("get", "delete"):
                    raise
                pause = _pause(error, attempt)
                if last or pause is None:
                    raise refusal(error, target) from error
            except HTTPError as error:
                if last:
                    raise UnavailableError(f"{self.address} stopped answering ({error}); run the same command again") from error
                pause = min(2.0**attempt / 4, LONGEST_PAUSE)
            self._pause(pause)
        raise AssertionError("the last attempt returns or raises")

    def _take_remarks(self, headers: list[str]) -> None:
        for header in headers:
            for remark in re.findall(r'299 \S+ "((?:[^"\\]|\\.)*)"', header):
                if (words := f"the server remarks: {remark}".replace('\\"', '"')) not in self.warnings:
                    self.warnings.append(words)


def _target(verb: str, resource: Resource, name: str, namespace: str | None) -> Target:
    return Target(verb, resource.kind, name, namespace, resource.name)


def _pause(error: Any, attempt: int) -> float | None:
    """Return the seconds after which to send again what was answered with ``error``, None when that is no use."""
    if error.status not in (429, 503, 504) and not (error.status == 409 and b"FieldManagerConflict" not in _body(error)):
        return None
    try:
        asked = float((error.headers or {}).get("Retry-After", 0))
    except ValueError:
        asked = 0.0
    return None if asked > LONGEST_PAUSE else max(asked, 2.0**attempt / 4)


def _body(error: Any) -> bytes:
    return error.body if isinstance(error.body, bytes) else str(error.body).encode()
