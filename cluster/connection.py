"""The way to a Kubernetes API server: the kubeconfig's context, or in a pod the service account."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cia.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.dynamic import DynamicClient

IN_CLUSTER = "in-cluster"
"""The context's name in a pod, where there is no kubeconfig."""

CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0

SIDE_BY_SIDE = 32
"""Connections that are kept open: watches, and the doctor's questions."""


@dataclass(frozen=True)
class Connection:
    """A server that has answered. ``api`` serves the typed clients, ``dynamic`` every kind that the server knows."""

    context: str
    server: str
    api: ApiClient
    dynamic: DynamicClient


def connect(context: str | None = None) -> Connection:
    """Return the connection of ``context``, or of the kubeconfig's current one; in a pod that of its service account.

    Reads ``KUBECONFIG``, then ``~/.kube/config``. Raises InputError for a kubeconfig, a context or credentials that do not
    hold, UnavailableError for a server that does not answer.
    """
    import urllib3
    from kubernetes import client

    name, configuration = _configuration(context)
    configuration.connection_pool_maxsize = SIDE_BY_SIDE
    configuration.retries = False  # what is worth sending again is decided by who sends it
    if not configuration.verify_ssl:  # the kubeconfig says so; once is enough
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    api = client.ApiClient(configuration)
    return Connection(name, configuration.host, api, _dynamic(api, name))


def _configuration(context: str | None) -> tuple[str, Configuration]:
    import yaml
    from kubernetes import client, config

    paths = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not any(os.path.exists(os.path.expanduser(path)) for path in paths.split(os.pathsep) if path):
        return _service_account(context, paths)
    configuration = client.Configuration()
    try:
        contexts, current = config.list_kube_config_contexts(paths)
        names = [known["name"] for known in contexts]
        if context is not None and context not in names:
            raise InputError(f"{paths} has no context {context!r}; it has {', '.join(names)}")
        config.load_kube_config(paths, context or current["name"], configuration, persist_config=False)
    except config.ConfigException as error:
        raise InputError(f"the kubeconfig {paths} does not hold: {error}; `kubectl config view` shows it") from error
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(f"{paths} is no kubeconfig ({_first_line(error)}); write the path of one to KUBECONFIG") from error
    return context or current["name"], configuration


def _service_account(context: str | None, looked_at: str) -> tuple[str, Configuration]:
    from kubernetes import client, config

    if context not in (None, IN_CLUSTER) or "KUBERNETES_SERVICE_HOST" not in os.environ:
        raise InputError(f"there is no kubeconfig at {looked_at}; write its path to KUBECONFIG")
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise InputError(f"this pod has no service account token ({error}); set automountServiceAccountToken") from error
    return IN_CLUSTER, configuration


def _dynamic(api: ApiClient, context: str) -> DynamicClient:
    """Return the client of all kinds, once the server has said its version and its groups."""
    from kubernetes import dynamic
    from kubernetes.client import ApiException
    from kubernetes.dynamic.discovery import LazyDiscoverer
    from urllib3.exceptions import HTTPError

    class Discovery(LazyDiscoverer):
        """Asks the server each time: a file that outlives the process knows no CRD installed since."""

        def _write_cache(self) -> None:
            pass

    class Client(dynamic.DynamicClient):
        """Waits for no answer longer than ``READ_SECONDS``."""

        def request(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
            params.setdefault("_request_timeout", (CONNECT_SECONDS, READ_SECONDS))
            return super().request(method, path, body, **params)

    server = api.configuration.host
    try:
        return Client(api, cache_file=os.path.join(os.devnull, "none"), discoverer=Discovery)
    except ApiException as error:
        if error.status in (401, 403):
            raise InputError(
                f"{server} does not take the credentials of the context {context} ({error.status} {error.reason}); "
                "log in again, or choose another with --context"
            ) from error
        answer = f"answers {error.status}" if error.status else "is not reached"  # 0: TLS
        reason = " ".join(str(error.reason).split())
        raise UnavailableError(f"the server {server} of the context {context} {answer}: {reason}") from error
    except (HTTPError, ValueError, AttributeError) as error:  # the last two: an answer that is not the API's
        raise UnavailableError(
            f"the server {server} of the context {context} does not answer ({_first_line(error)}); "
            "check that it runs and that this is the right context (--context)"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
