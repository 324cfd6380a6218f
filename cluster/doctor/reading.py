"""The API server as the doctor reads it: plain JSON, each address once, and never for long."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cia.errors import CiaError, UnavailableError
from cluster.part import Object

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, ApiException

REQUEST_SECONDS = 3.0


class ForbiddenError(CiaError):
    """The server does not let ``user`` read this: it takes ``verb`` on ``resource``, in a namespace or in the whole cluster."""

    def __init__(self, message: str, user: str, verb: str, resource: str, namespace: str | None) -> None:
        super().__init__(message)
        self.user, self.verb, self.resource, self.namespace = user, verb, resource, namespace


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind that the server knows: ``plural`` is its name in addresses, ``group`` is empty for the core group."""

    group: str
    version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None = None) -> str:
        """Return the address of its objects, of one namespace where one is given."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if self.namespaced and namespace else f"{root}/{self.plural}"


class Reading:
    """Reads for ``seconds`` in all, from several threads; what is asked twice is read once.

    Every read raises ForbiddenError on 403, and UnavailableError when there is no answer or the time is up.
    """

    def __init__(self, api: ApiClient, *, seconds: float = 9.0) -> None:
        self._api = api
        self._until = time.monotonic() + seconds
        self._answers: dict[str, Future[Any]] = {}
        self._lock = threading.Lock()
        # More at once than the pool keeps connections for would each be a new one, and a line of urllib3's on stderr.
        self._turns = threading.BoundedSemaphore(api.configuration.connection_pool_maxsize or 1)

    def get(self, path: str, **query: str) -> Any:
        """Return the JSON at ``path``, None where there is nothing (404)."""
        address = f"{path}?{urlencode(query)}" if query else path
        with self._lock:
            known = self._answers.get(address)
            answer: Future[Any] = known or Future()
            self._answers[address] = answer
        if known is None:
            try:
                answer.set_result(self._read(address))
            except BaseException as error:
                answer.set_exception(error)
        return answer.result()

    def items(self, path: str, **query: str) -> list[Object]:
        """Return the objects of the list at ``path``, none where the server knows no such kind."""
        listed = self.get(path, **query)
        return list(listed.get("items") or []) if listed else []

    def review(self, path: str, body: Object) -> Any:
        """Return what the server answers to the review ``body``: a question that it takes by POST, and that changes nothing."""
        from kubernetes.client import ApiException

        try:
            return self._send("POST", path, body)
        except ApiException as error:
            raise _refusal(error, "POST", path) from None

    def kind(self, api_version: str, name: str) -> Kind | None:
        """Return the kind ``name`` of ``api_version``, None when the server does not serve it."""
        group, _, version = api_version.rpartition("/")
        served = self.get(f"/apis/{api_version}" if group else f"/api/{version}")
        for resource in (served or {}).get("resources") or []:
            if resource["kind"] == name and "/" not in resource["name"]:
                return Kind(group, version, resource["name"], resource["namespaced"])
        return None

    def status(self, path: str) -> tuple[int, str]:
        """Return the HTTP status and the body at ``path``, whatever they are; status 0: no answer in time."""
        from kubernetes.client import ApiException

        try:
            return 200, json.dumps(self._send("GET", path))
        except ApiException as error:
            return int(error.status or 0), str(error.body or error.reason)
        except UnavailableError as error:
            return 0, str(error)

    def _read(self, address: str) -> Any:
        from kubernetes.client import ApiException

        try:
            return self._send("GET", address)
        except ApiException as error:
            if error.status == 404:
                return None
            raise _refusal(error, "GET", address) from None

    def _send(self, method: str, address: str, body: Object | None = None) -> Any:
        from urllib3.exceptions import HTTPError

        left = self._until - time.monotonic()
        if left <= 0 or not self._turns.acquire(timeout=left):
            raise UnavailableError(f"there was no time left to ask for {address}")
        json_alone = {"Accept": "application/json", "Content-Type": "application/json"}
        try:
            return self._api.call_api(
                address, method, body=body, header_params=json_alone, auth_settings=["BearerToken"], response_type="object",
                _return_http_data_only=True, _request_timeout=min(REQUEST_SECONDS, left),
            )  # fmt: skip
        except HTTPError as error:
            raise UnavailableError(f"there is no answer to {method} {address} ({type(error).__name__})") from None
        finally:
            self._turns.release()


def _refusal(error: ApiException, method: str, address: str) -> CiaError:
    if error.status != 403:
        return UnavailableError(f"the server answers {error.status} {error.reason} to {method} {address}")
    message = str(_json(error.body).get("message") or error.reason)
    asked = re.search(r'User "([^"]+)" cannot (\S+) resource "([^"]+)"(?: in API group "([^"]*)")?', message)
    user, verb, resource, group = asked.groups() if asked else ("YOU", "get", address.partition("?")[0], "")
    inside = re.search(r'in the namespace "([^"]+)"', message)
    return ForbiddenError(message, user, verb, f"{resource}.{group}" if group else resource, inside[1] if inside else None)


def _json(text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
