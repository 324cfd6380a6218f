"""What a cluster lacks for the platform to run, said before and after it is applied, with what to do about it."""

from cluster.doctor.diagnosis import diagnose
from cluster.doctor.finding import Finding

__all__ = ["Finding", "diagnose"]
