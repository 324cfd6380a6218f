"""The way to the Kubernetes API: the kubeconfig's context, or in a pod its service account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cia.errors import UnavailableError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient


def api_client(context: str | None = None) -> ApiClient:
    """Return a client of ``context`` in ``KUBECONFIG`` or ``~/.kube/config`` (None: the current one), else of this pod's account.

    Nothing is asked of the server yet. Raises UnavailableError when there is neither.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_kube_config(os.environ.get("KUBECONFIG"), context, configuration)
    except config.ConfigException as error:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            raise UnavailableError(f"neither a kubeconfig nor a pod's account leads to a cluster ({error})") from None
    return client.ApiClient(configuration)
