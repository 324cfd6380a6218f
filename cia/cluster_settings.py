"""What the objects of a Kubernetes cluster are made of: names, images, sizes. `cia.settings` holds it as ``cluster``."""

from __future__ import annotations

from pydantic import Field

from cia.settings_section import Section

QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti)?$"
"""An amount as Kubernetes writes it: 4, 500m, 32Gi."""

NAME = r"^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$"
"""A name as Kubernetes and KServe take it, with room for what they append."""

IMAGE = r"^[a-z0-9][\w./:@-]*$"
"""An image: a name and a tag, or a digest."""


class Compute(Section):
    """What a container asks for and may take. Memory is promised in full: no pod is killed for what a neighbour takes."""

    cpu: str = Field(pattern=QUANTITY, description="Cores that are set aside for it.")
    cpu_limit: str = Field(pattern=QUANTITY, description="Cores that it may take when they are idle.")
    memory: str = Field(pattern=QUANTITY, description="Memory that is set aside for it, and over which it is killed.")


class ClusterSettings(Section):
    """Everything that `cia cluster` applies. It all lives in one namespace: steps and server share a volume."""

    namespace: str = Field(default="code-assistant", pattern=NAME, description="Of every object and of the pipelines' runs.")
    secret: str = Field(default="code-assistant", pattern=NAME, description="Kubernetes secret that all pods take keys from.")
    image_registry: str = Field(default="", description="Put before images that name no registry: your mirror.")
    storage_class: str | None = Field(default=None, description="Of the volumes of one pod each; null: the cluster's default.")
    shared_storage_class: str | None = Field(
        default=None, description="Of the volumes that many pods read and write (ReadWriteMany); null: the cluster's default."
    )
    home_claim: str = Field(
        default="code-assistant-home", pattern=NAME, description="Volume that is CIA_HOME in pods: corpus, runs."
    )
    home_size: str = Field(default="100Gi", pattern=QUANTITY, description="Its size.")
    outside: list[str] = Field(
        default=[],
        description="Address ranges (CIDR) outside the cluster that fetching code and model weights may reach; []: nothing.",
    )

    def image(self, name: str) -> str:
        """Return the image ``name`` as a pod pulls it: from ``image_registry``, unless it names a registry of its own.

        The first part of a name is a registry when it has a dot or a port, or is localhost (the OCI distribution's grammar).
        """
        first, slash, _ = name.partition("/")
        names_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
        return name if names_registry or not self.image_registry else f"{self.image_registry.rstrip('/')}/{name}"
