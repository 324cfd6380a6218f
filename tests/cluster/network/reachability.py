"""Which pod reaches which, as the rules of Kubernetes' NetworkPolicies have it.

Read from https://kubernetes.io/docs/concepts/services-networking/network-policies/: what a policy selects is closed but for what
some policy allows; a connection has to be allowed on both sides. Answers to it are.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Policy = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod with the ports that it listens on, by name. ``address`` is one of the pod network's, or of a host outside."""

    name: str
    namespace: str = "code-assistant"
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    ports: Mapping[str, int] = field(default_factory=dict, hash=False)
    address: str = "10.244.1.7"


def reaches(policies: Iterable[Policy], source: Pod, target: Pod, port: int, protocol: str = "TCP") -> bool:
    """Return whether ``source`` may connect to ``port`` of ``target``."""
    policies = list(policies)
    return _open(policies, "Egress", source, target, target, port, protocol) and _open(
        policies, "Ingress", target, source, target, port, protocol
    )


def selects(selector: dict[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector fits ``labels``; an empty one fits all."""
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return exact and all(_meets(wish, labels) for wish in selector.get("matchExpressions", []))


def _meets(wish: dict[str, Any], labels: Mapping[str, str]) -> bool:
    present, among = wish["key"] in labels, labels.get(wish["key"]) in wish.get("values", [])
    return {"In": among, "NotIn": not among, "Exists": present, "DoesNotExist": not present}[wish["operator"]]


def _open(policies: list[Policy], direction: str, own: Pod, other: Pod, target: Pod, port: int, protocol: str) -> bool:
    spec_of = [policy["spec"] for policy in policies if policy["metadata"]["namespace"] == own.namespace]
    closing = [spec for spec in spec_of if direction in spec["policyTypes"] and selects(spec["podSelector"], own.labels)]
    rules = [rule for spec in closing for rule in spec.get(direction.lower(), [])]
    side = "from" if direction == "Ingress" else "to"
    return not closing or any(
        (not rule.get(side) or any(_is_peer(peer, other, own.namespace) for peer in rule[side]))
        and (not rule.get("ports") or any(_is_port(one, target, port, protocol) for one in rule["ports"]))
        for rule in rules
    )


def _is_peer(peer: dict[str, Any], pod: Pod, here: str) -> bool:
    if block := peer.get("ipBlock"):
        address = ipaddress.ip_address(pod.address)
        left_out = any(address in ipaddress.ip_network(part) for part in block.get("except", []))
        return address in ipaddress.ip_network(block["cidr"]) and not left_out
    if (namespaces := peer.get("namespaceSelector")) is None:
        there = pod.namespace == here
    else:
        there = selects(namespaces, {"kubernetes.io/metadata.name": pod.namespace})
    return there and selects(peer.get("podSelector", {}), pod.labels)


def _is_port(allowed: dict[str, Any], target: Pod, port: int, protocol: str) -> bool:
    number = target.ports.get(allowed["port"]) if isinstance(allowed["port"], str) else allowed["port"]
    return number == port and allowed.get("protocol", "TCP") == protocol
