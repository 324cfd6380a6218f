"""What this machine's processors are good for, asked in one place."""

from __future__ import annotations

import os


def native_bfloat16() -> bool:
    """True when the GPU, or without one the CPU, multiplies bfloat16 in hardware; PyTorch emulates it slowly elsewhere."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def limit_threads() -> None:
    """Use the threads that OMP_NUM_THREADS names, or one.

    Small matrices gain little from a second thread on an idle machine, and lose up to seventeenfold on a busy one, where each
    operation waits for the thread that is not running.
    """
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
