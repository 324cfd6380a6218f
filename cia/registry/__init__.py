"""The registry: every trained adapter as a version in MLflow, and the one in Production."""

from cia.registry.canary import Canary
from cia.registry.comparison import VersionComparison, compare_versions
from cia.registry.registered_adapter import RegisteredAdapter
from cia.registry.registry import Registry
from cia.registry.training_run import TrainingRun, read_curve, training_run

__all__ = [
    "Canary",
    "RegisteredAdapter",
    "Registry",
    "TrainingRun",
    "VersionComparison",
    "compare_versions",
    "read_curve",
    "training_run",
]
