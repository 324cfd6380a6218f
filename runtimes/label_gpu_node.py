"""Labels the node that it runs on once its GPUs are offered in slices, so that pods which want slices find it.

    python -m runtimes.label_gpu_node 5 nvidia.com/gpu.sharing-strategy=time-slicing

NVIDIA's GPU feature discovery sets the same label, but needs Node Feature Discovery beside it. A label that was set stays:
a node whose device plugin is being replaced is no other node.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from runtimes.training_runtime import GPU

LOOK_EVERY_SECONDS = 30.0


def label_when_sliced(api: Any, node: str, slices: int, labels: dict[str, str]) -> bool:
    """Give ``node`` the ``labels`` that it lacks if it offers whole GPUs of ``slices`` each; whether it has them now.

    ``api`` is a kubernetes.client.CoreV1Api. Raises its ApiException.
    """
    found = api.read_node(node)
    missing = {name: value for name, value in labels.items() if (found.metadata.labels or {}).get(name) != value}
    offered = int((found.status.capacity or {}).get(GPU, 0))
    if not missing:
        return True
    if not offered or offered % slices:
        return False
    api.patch_node(node, {"metadata": {"labels": missing}})
    return True


def main(arguments: list[str]) -> None:
    """Look again and again, for as long as the pod lives. What goes wrong is said once, until it is over."""
    from kubernetes import client, config

    slices, *pairs = arguments
    labels = dict(pair.split("=", 1) for pair in pairs)
    node = os.environ["NODE_NAME"]
    config.load_incluster_config()
    api = client.CoreV1Api()
    said = ""
    while True:
        try:
            labelled = label_when_sliced(api, node, int(slices), labels)
            state = f"{node} is labelled" if labelled else f"{node} offers no GPUs in {slices} slices yet"
        except Exception as error:  # the server's refusals, and what urllib3 raises while it is away
            state = f"{node} cannot be labelled: {' '.join(str(error).split())[:200]}"
        if state != said:
            print(state, flush=True)
            said = state
        time.sleep(LOOK_EVERY_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1:])
