"""kmock's Kubernetes, which knows no server-side apply, with as much of it as the engine rests on, on a thread of its own."""

from __future__ import annotations

import asyncio
import copy
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp.web
import kmock
from kmock import KubernetesEmulator

KINDS = {
    "v1/namespaces": "Namespace",
    "v1/configmaps": "ConfigMap",
    "v1/secrets": "Secret",
    "v1/pods": "Pod",
    "v1/events": "Event",
    "v1/persistentvolumeclaims": "PersistentVolumeClaim",
    "apps/v1/deployments": "Deployment",
    "rbac.authorization.k8s.io/v1/clusterroles": "ClusterRole",
}
OF_THE_CLUSTER = {"Namespace", "ClusterRole"}


@dataclass
class Answer:
    """What a request whose method and path match gets instead of the emulator's answer, so many times."""

    method: str
    path: str
    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1000


class ApplyingKubernetes(KubernetesEmulator):
    """Merges an applied object into what is there; ``answers`` come first. It keeps no record of who owns a field."""

    def prepare(self) -> None:
        self.answers: list[Answer] = []
        self.broken_watches = 0
        self.namespaces: dict[str, dict[str, Any]] = {}
        for path, kind in KINDS.items():
            verbs = ["get", "list", "watch", "create", "patch", "delete"]
            self.resources[path] = {"kind": kind, "namespaced": kind not in OF_THE_CLUSTER, "verbs": verbs}

    async def __call__(self, raw_request: Any) -> aiohttp.web.StreamResponse:
        if found := re.fullmatch(r"/api/v1/namespaces(?:/([^/]+))?", raw_request.path):
            return await self._namespace(raw_request, found[1])  # kmock takes the path of one for that of what is in it
        return await super().__call__(raw_request)

    async def _namespace(self, raw_request: Any, name: str | None) -> aiohttp.web.StreamResponse:
        there = self.namespaces
        if name is None:
            selector = raw_request.query.get("labelSelector", "")
            return aiohttp.web.json_response(
                {"metadata": {}, "items": [one for one in there.values() if _selected(one, selector)]}
            )
        if raw_request.method == "PATCH":
            fresh = {"metadata": {"uid": str(uuid.uuid4())}, "status": {"phase": "Active"}}
            after = _merged(copy.deepcopy(there.get(name, fresh)), await raw_request.json())
            if "dryRun" not in raw_request.query:
                there[name] = after
            return aiohttp.web.json_response(after)
        if name not in there:
            return aiohttp.web.json_response({"message": f'namespaces "{name}" not found'}, status=404)
        live = there.pop(name) if raw_request.method == "DELETE" and "dryRun" not in await raw_request.text() else there[name]
        return aiohttp.web.json_response(live)

    async def _handle(self, request: Any) -> aiohttp.web.StreamResponse:
        for answer in self.answers:
            if answer.times and answer.method == request.method.value and re.search(answer.path, request.url.path_qs):
                answer.times -= 1
                return aiohttp.web.json_response(answer.body, status=answer.status, headers=answer.headers)
        if request.action == kmock.action.WATCH and self.broken_watches:
            self.broken_watches -= 1
            return await _half_an_event(request)
        if request.method == kmock.method.PATCH and "fieldManager" in request.params:
            return aiohttp.web.json_response(await self._apply(request), headers={"Warning": '299 - "stand-in: no field owners"'})
        if request.action == kmock.action.CREATE:
            request.data["metadata"].setdefault("uid", str(uuid.uuid4()))
        return await super()._handle(request)

    async def _apply(self, request: Any) -> dict[str, Any]:
        key = (request.resource, request.namespace, request.name)
        there = key in self._objects and not self._objects[key].deleted
        live = copy.deepcopy(dict(self._objects[key].raw)) if there else {"metadata": {"uid": str(uuid.uuid4())}}
        after = _merged(live, request.data)
        if after != live:
            after["metadata"]["resourceVersion"] = str(int(live["metadata"].get("resourceVersion", 0)) + 1)
        if "dryRun" not in request.params:
            async with self._lock:
                self._objects[key] = after
                await self._buses[request.resource].put({"type": "MODIFIED" if there else "ADDED", "object": after})
        return after

    async def _serve_list(self, request: Any) -> Any:
        answer: Any = await super()._serve_list(request)
        selector = request.params.get("labelSelector", "")
        return {**answer, "items": [item for item in answer["items"] if _selected(item, selector)]}


class Cluster:
    """The stand-in with its address, and what tests do to it from their own thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.kubernetes = ApplyingKubernetes()
        self.kubernetes.prepare()
        self._server = kmock.Server(self.kubernetes)
        self._run(self.kubernetes.__aenter__())
        self._run(self._server.__aenter__())
        self.url = str(self._server.url).rstrip("/")

    def close(self) -> None:
        async def end() -> None:
            await self._server.client.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:  # a watch would go on for its half minute
                task.cancel()

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def answer(self, method: str, path: str, status: int, message: str = "", **details: Any) -> None:
        """Have requests refused as the API server refuses them. ``times`` and ``headers`` are the answer's own."""
        own = {name: details.pop(name) for name in ("times", "headers") if name in details}
        body = {"kind": "Status", "status": "Failure", "message": message, "code": status, "details": details}
        self.kubernetes.answers.append(Answer(method, path, status, body, **own))

    def put(self, resource: str, made: dict[str, Any]) -> dict[str, Any]:
        """Put an object there, as its controller or another person would, and return it."""
        metadata = made["metadata"]
        metadata.setdefault("uid", str(uuid.uuid4()))
        if resource == "v1/namespaces":
            self.kubernetes.namespaces[metadata["name"]] = made
            return made
        key = (kmock.resource(resource), metadata.get("namespace"), metadata["name"])

        async def place() -> None:
            self.kubernetes.objects[key] = made
            await self.kubernetes._buses[key[0]].put({"type": "MODIFIED", "object": made})

        self._run(place())
        return made

    def get(self, resource: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return an object that is there."""
        if resource == "v1/namespaces":
            return self.kubernetes.namespaces.get(name)
        key = (kmock.resource(resource), namespace, name)
        objects = self.kubernetes.objects
        return dict(objects[key].raw) if key in objects and not objects[key].deleted else None

    def change(self, resource: str, namespace: str | None, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change an object that is there."""
        made = copy.deepcopy(self.get(resource, namespace, name) or {})
        change(made)
        self.put(resource, made)

    def requests(self, method: str, path: str) -> list[Any]:
        """Return the requests that came, by method and a pattern of the path with its query."""
        came = list(self.kubernetes)
        return [request for request in came if request.method.value == method and re.search(path, request.url.path_qs)]

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


async def _half_an_event(request: Any) -> aiohttp.web.StreamResponse:
    response = aiohttp.web.StreamResponse()
    await response.prepare(request._raw_request)
    await response.write(b'{"type": "ADDED", "obj')
    request._raw_request.transport.close()
    return response


def _merged(live: Any, applied: Any) -> Any:
    if isinstance(live, dict) and isinstance(applied, dict):
        return {key: _merged(live.get(key), applied[key]) if key in applied else live[key] for key in {**live, **applied}}
    return applied


def _selected(item: dict[str, Any], selector: str) -> bool:
    labels = item["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        key, equals, value = term.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True
