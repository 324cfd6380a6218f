"""NetworkPolicies: deny everything to and from our pods, then allow what the table of ``flows`` has.

They select pods by our own labels, so that nothing is denied to others in the same namespace.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cia.errors import SettingsError
from cia.settings import Settings
from cluster.network import flows as table
from cluster.network.flows import FETCHING, OURS, STEPS, Pods
from cluster.part import Object
from inference_services.cluster_objects import as_kubernetes_reads_it
from inference_services.object_metadata import metadata

if TYPE_CHECKING:
    from kubernetes.client import (
        V1NetworkPolicy,
        V1NetworkPolicyEgressRule,
        V1NetworkPolicyIngressRule,
        V1NetworkPolicyPeer,
        V1NetworkPolicyPort,
    )

DNS = 53
NODE_LOCAL_DNS = "169.254.20.10/32"
"""Address of the cache on each node, where there is one (Kubernetes' documentation, "NodeLocal DNSCache")."""

INSIDE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
"""Private addresses: pods, Services, nodes, and the clouds' metadata servers. A wide range outside is meant without them."""

Range = ipaddress.IPv4Network | ipaddress.IPv6Network


class Rules:
    """What one kind of pod may be asked by, and may ask."""

    def __init__(self) -> None:
        self.ingress: list[V1NetworkPolicyIngressRule] = []
        self.egress: list[V1NetworkPolicyEgressRule] = []

    def asked_by(self, peers: list[V1NetworkPolicyPeer], ports: Iterable[int]) -> None:
        """Allow ``peers`` to connect at ``ports``."""
        from kubernetes import client

        self.ingress.append(client.V1NetworkPolicyIngressRule(_from=peers, ports=_tcp(ports)))

    def asks(self, peers: list[V1NetworkPolicyPeer], ports: Iterable[int] = ()) -> None:
        """Allow connections to ``peers`` at ``ports``, none for all."""
        from kubernetes import client

        self.egress.append(client.V1NetworkPolicyEgressRule(to=peers, ports=_tcp(ports) or None))


def cluster_objects(settings: Settings) -> list[Object]:
    """Return the denial of everything, and a policy for each kind of pod. Raises SettingsError for an address that is none."""
    opened: dict[Pods, Rules] = {}

    def rules(pods: Pods) -> Rules:
        return opened.setdefault(pods, Rules())

    for flow in table.flows(settings):
        rules(flow.source).asks([_pods(flow.target)], flow.ports)
        rules(flow.target).asked_by([_pods(flow.source)], flow.ports)
    network = settings.cluster.network
    rules(STEPS).asks([_namespace(network.pipelines_namespace)], table.PIPELINES)
    for caller in table.callers_of_the_api():
        rules(caller).asks(_addresses("cluster.network.api_server", network.api_server), network.api_server_ports)
    if network.neighbours:
        for caller in table.callers_of_neighbours():
            rules(caller).asks([_namespace(name) for name in network.neighbours])
    if settings.cluster.outside:
        rules(FETCHING).asks(_addresses("cluster.outside", settings.cluster.outside, without_inside=True))
    for called, namespace, ports in table.from_other_namespaces(settings):
        rules(called).asked_by([_namespace(namespace)], ports)
    policies = [_denial(settings), *(_policy(settings, pods, opened[pods]) for pods in opened)]
    return [as_kubernetes_reads_it(policy) for policy in policies]


def _denial(settings: Settings) -> V1NetworkPolicy:
    """Nothing in, and nothing out but questions to the cluster's DNS."""
    from kubernetes import client

    servers = client.V1NetworkPolicyPeer(
        namespace_selector=client.V1LabelSelector(match_labels={"kubernetes.io/metadata.name": "kube-system"}),
        pod_selector=client.V1LabelSelector(match_labels={"k8s-app": "kube-dns"}),
    )
    cache = client.V1NetworkPolicyPeer(ip_block=client.V1IPBlock(cidr=NODE_LOCAL_DNS))
    ports = [client.V1NetworkPolicyPort(port=DNS, protocol=protocol) for protocol in ("UDP", "TCP")]
    rules = Rules()
    rules.egress.append(client.V1NetworkPolicyEgressRule(to=[servers, cache], ports=ports))
    return _policy(settings, Pods("deny-all-but-dns", OURS), rules, types=["Ingress", "Egress"])


def _policy(settings: Settings, pods: Pods, rules: Rules, types: list[str] | None = None) -> V1NetworkPolicy:
    from kubernetes import client

    directions = [name for name, allowed in (("Ingress", rules.ingress), ("Egress", rules.egress)) if allowed]
    return client.V1NetworkPolicy(
        api_version="networking.k8s.io/v1",
        kind="NetworkPolicy",
        metadata=metadata(settings, pods.name),
        spec=client.V1NetworkPolicySpec(
            pod_selector=client.V1LabelSelector(match_labels=dict(pods.labels)),
            policy_types=types or directions,
            ingress=rules.ingress or None,
            egress=rules.egress or None,
        ),
    )


def _pods(pods: Pods) -> V1NetworkPolicyPeer:
    from kubernetes import client

    return client.V1NetworkPolicyPeer(pod_selector=client.V1LabelSelector(match_labels=dict(pods.labels)))


def _namespace(name: str) -> V1NetworkPolicyPeer:
    from kubernetes import client

    # Kubernetes itself puts this label on every namespace.
    labels = {"kubernetes.io/metadata.name": name}
    return client.V1NetworkPolicyPeer(namespace_selector=client.V1LabelSelector(match_labels=labels))


def _addresses(setting: str, ranges: Iterable[str], *, without_inside: bool = False) -> list[V1NetworkPolicyPeer]:
    from kubernetes import client

    blocks = [_range(setting, text) for text in ranges]
    return [
        client.V1NetworkPolicyPeer(
            ip_block=client.V1IPBlock(cidr=str(block), _except=(_inside(block) if without_inside else None) or None)
        )
        for block in blocks
    ]


def _range(setting: str, text: str) -> Range:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingsError(
            f"{setting} has {text!r}, which is no address range ({error}); write such as 203.0.113.0/24"
        ) from None


def _inside(block: Range) -> list[str]:
    return [text for text in INSIDE if (one := ipaddress.ip_network(text)) != block and _holds(block, one)]


def _holds(block: Range, one: Range) -> bool:
    return one.version == block.version and one[0] in block and one[-1] in block


def _tcp(ports: Iterable[int]) -> list[V1NetworkPolicyPort]:
    from kubernetes import client

    return [client.V1NetworkPolicyPort(port=port, protocol="TCP") for port in ports]
