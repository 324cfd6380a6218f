"""The processes of one training: one, or several that torchrun started. The first alone writes, reports and holds the lock.

torchrun --standalone --nproc-per-node 2 -m runtimes.fine_tune ...
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Processes:
    """``rank`` is this process's number, ``local_rank`` its number on this machine, ``count`` how many there are."""

    rank: int
    local_rank: int
    count: int

    @classmethod
    def of_environment(cls) -> Processes:
        """Return what torchrun says in RANK, LOCAL_RANK and WORLD_SIZE; one process without it."""
        return cls(*(int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 1))))

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Connect the processes with each other while the block runs: by NCCL between GPUs, else by Gloo."""
        if self.count == 1:
            yield
            return
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_device(self.local_rank)
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        try:
            yield
            self.wait()
        finally:
            torch.distributed.destroy_process_group()

    def wait(self) -> None:
        """Return once every process is here."""
        if self.count > 1:
            import torch

            torch.distributed.barrier()
