"""What this machine's processors are good for, asked in one place."""

from __future__ import annotations

import contextlib
import math
import os
import resource
from pathlib import Path

LOOKS_ON_SECONDS = 1.0

ROUNDED_UP = 0.25
"""A core that works a quarter of the time or less counts as idle: some process always stirs."""


def native_bfloat16() -> bool:
    """True when the GPU, or without one the CPU, multiplies bfloat16 in hardware; PyTorch emulates it slowly elsewhere."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def limit_threads(threads: int = 0) -> None:
    """Use ``threads``, or if that is 0 as many as OMP_NUM_THREADS names, or one.

    Small matrices gain little from a second thread on an idle machine, and lose up to seventeenfold on a busy one, where each
    operation waits for the thread that is not running.
    """
    import torch

    torch.set_num_threads(threads or int(os.environ.get("OMP_NUM_THREADS") or 1))


def idle_cores() -> int:
    """Return how many of the cores that this process may use have nothing to do, at least 1. Looks on for a second."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    busy: float = psutil.cpu_percent(LOOKS_ON_SECONDS) / 100
    return max(1, min(cores, math.floor(psutil.cpu_count() * (1 - busy) + ROUNDED_UP)))


def memory_of_device() -> tuple[int, str]:
    """Return the bytes that one training may use here, and what they are the memory of: the GPU, the container, the machine."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory), "the GPU"
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        container = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        if container < machine:
            return container, "the container"
    return machine, "this machine"


def peak_memory_mib() -> int:
    """Return the most memory that this process has held so far, on the GPU where there is one, in MiB."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
