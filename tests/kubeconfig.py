"""A kubeconfig for a stand-in of the Kubernetes API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def use_kubeconfig(folder: Path, server: str, monkeypatch: pytest.MonkeyPatch, context: str = "stand-in") -> Path:
    """Have ``KUBECONFIG`` name a file whose only ``context`` is ``server``, and return its path."""
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": "cluster", "cluster": {"server": server}}],
        "users": [{"name": "tester", "user": {"token": "t"}}],
        "contexts": [{"name": context, "context": {"cluster": "cluster", "user": "tester"}}],
    }
    path.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path
