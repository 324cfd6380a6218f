"""Runs the fine-tuning job on the base model, ours or another, and puts the adapter where the artifact lies."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import dataclass
from pathlib import Path

from cia.durable_files import replace_bytes, replace_directory
from cia.progress import Progress
from cia.registry.mlflow_client import tracking_uri
from cia.settings import Settings
from components.gpu_loan import lend_gpu, try_to_end_loan
from runtimes.base_model import resolve_base
from runtimes.processor import idle_cores
from runtimes.train_job import FineTuneRequest, FineTuneResult, choose_trainer


@dataclass(frozen=True, slots=True)
class TunedAdapter:
    """What a run left. ``base`` is the base model's folder or hub name; ``loss_plot`` is HTML."""

    base: str
    run_id: str
    metrics: dict[str, float]
    loss_plot: str
    summary: str


def train_adapter(settings: Settings, base: str, train: Path, data_hash: str, adapter: Path, progress: Progress) -> TunedAdapter:
    """Fine-tune ``base`` on ``train/examples.jsonl`` and leave the adapter in the folder ``adapter``.

    ``base`` is a folder or a hub name; "local" is the small model that the project ships. ``data_hash`` goes to the MLflow run.
    """
    base = resolve_base(settings, base)
    examples = train / "examples.jsonl"
    out = settings.home / "training-runs" / _run_digest(settings, examples, base)
    if settings.training.threads is None and settings.training.backend == "local":
        settings = settings.model_copy(update={"training": settings.training.model_copy(update={"threads": idle_cores()})})
    result = _run_job(settings, examples, base, out, data_hash, progress)
    with replace_directory(adapter) as staging:
        shutil.copytree(result.adapter, staging, dirs_exist_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    metrics = {
        "first_loss": result.losses[0],
        "last_loss": result.losses[-1],
        "steps": len(result.losses),
        "seconds": result.seconds,
        "tokens_per_second": result.tokens_per_second,
        "peak_memory_mib": result.peak_memory_mib,
    }
    rewards = result.report["rewards"]
    if rewards:
        metrics |= {"first_reward": rewards[0]["reward"], "last_reward": rewards[-1]["reward"]}
    summary = f"LoRA loss {result.losses[0]:.2f} to {result.losses[-1]:.2f} in {len(result.losses)} steps"
    return TunedAdapter(base, result.run_id, metrics, _loss_plot(result), summary)


def _run_job(settings: Settings, examples: Path, base: str, out: Path, data_hash: str, progress: Progress) -> FineTuneResult:
    if settings.training.backend == "local":
        request = FineTuneRequest.of(settings, examples, base, out, tracking_uri(settings), data_hash)
        return choose_trainer(settings).run(request, progress)
    given, model = share(settings.home, examples, out / "input"), base
    if Path(base).is_dir():
        model = str(share(settings.home, Path(base), out / "input"))
    request = FineTuneRequest.of(settings, given, model, out, tracking_uri(settings), data_hash)
    try:
        return choose_trainer(settings, lambda job: lend_gpu(settings, job)).run(request, progress)
    except BaseException:
        try_to_end_loan(settings)
        raise  # after a success the GPU stays lent: `evaluate_model` wants it next, and gives it back


def share(home: Path, path: Path, folder: Path) -> Path:
    """Return where a TrainJob finds ``path``: as it is below ``home``, the volume of both; else a copy in ``folder``.

    A step's artifacts lie on the disk of its own pod.
    """
    if path.resolve().is_relative_to(home.resolve()):
        return path
    copy = folder / path.name
    if path.is_file():
        replace_bytes(copy, path.read_bytes())
    elif not copy.exists():
        with replace_directory(copy) as staging:
            shutil.copytree(path, staging, dirs_exist_ok=True)
    return copy


def _run_digest(settings: Settings, examples: Path, base: str) -> str:
    """Name a run after what it is made of: started again after a kill, it finds its checkpoints."""
    digest = hashlib.sha256(examples.read_bytes())
    digest.update(f"{base}\0{settings.training.model_dump_json()}".encode())
    return digest.hexdigest()[:16]


def _loss_plot(result: FineTuneResult) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(result.losses) + 1), result.losses, color="#2a7f4f")
    axes.set_xlabel("step")
    axes.set_ylabel("loss, nats per answer token")
    axes.spines[["top", "right"]].set_visible(False)
    drawing = io.StringIO()
    figure.savefig(drawing, format="svg")
    return f'<!doctype html><meta charset="utf-8"><title>Loss</title>{drawing.getvalue()}'
