"""Whether something enforces the NetworkPolicies: the server keeps them either way, and does not say."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.doctor.examination import Examination
from cluster.doctor.finding import Finding, ok, warning

AREA = "isolation"

ENFORCING = (
    "calico-node", "cilium", "antrea-agent", "ovnkube-node", "kube-ovn-cni", "kube-router", "weave-net", "canal", "anetd",
    "azure-npm", "kindnet", "kube-network-policies", "terway", "romana-agent",
)  # fmt: skip
"""In the names of the DaemonSets of network plugins that enforce policies, by their documentation."""

ON_REQUEST = {"aws-node": "enableNetworkPolicy of the VPC CNI has to be true"}
"""Plugins that enforce them when told to."""


def check_isolation(examination: Examination) -> Iterator[Finding]:
    """Yield which network plugin is known to enforce NetworkPolicies."""
    if not examination.of_kind("NetworkPolicy"):
        return
    names = [one["metadata"]["name"] for one in examination.reading.items("/apis/apps/v1/daemonsets")]
    enforcing = next((name for name in names if any(known in name for known in ENFORCING)), None)
    on_request = next((name for name in names if name in ON_REQUEST), None)
    if enforcing:
        yield ok(AREA, "NetworkPolicies", f"{enforcing} enforces them")
    elif on_request:
        yield warning(
            AREA, "NetworkPolicies", f"{on_request} enforces them only when told to", f"check that {ON_REQUEST[on_request]}"
        )
    else:
        fix = "check that your network plugin enforces NetworkPolicies (Calico, Cilium, Antrea, OVN-Kubernetes and others do)"
        yield warning(AREA, "NetworkPolicies", "no DaemonSet of a plugin that is known to enforce them: they may do nothing", fix)
