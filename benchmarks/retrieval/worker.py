"""One system in a process of its own, so that its start, its memory and its threads are its own.

python -m benchmarks.retrieval.worker REQUEST.json ANSWER.json
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.retrieval.systems import start_system


def main(request_path: Path, answer_path: Path) -> None:
    """Index every tree of the request, ask every question, and write what came back."""
    started = time.perf_counter()
    request = json.loads(request_path.read_text())
    system = start_system(request["system"], Path(request["cache"]), Path(request["scratch"]))
    answer: dict[str, Any] = {"start_seconds": time.perf_counter() - started, "index_seconds": {}, "answers": {}}
    for tree in request["trees"]:
        _measure(system, tree, request["limit"], answer)
    answer["peak_bytes"] = _peak_bytes()
    answer_path.write_text(json.dumps(answer))


def _measure(system: Any, tree: dict[str, Any], limit: int, answer: dict[str, Any]) -> None:
    started = time.perf_counter()
    spared = system.index(Path(tree["folder"]), tree["repo"])
    answer["index_seconds"][tree["repo"]] = time.perf_counter() - started + spared
    system.search(tree["repo"], "warm the caches of this process", limit)
    for identity, text in tree["questions"]:
        asked = time.perf_counter()
        found = system.search(tree["repo"], text, limit)
        seconds = time.perf_counter() - asked
        answer["answers"][identity] = {"seconds": seconds, "found": [[place.path, place.start, place.end] for place in found]}


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
