from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cia.adapter import check_adapter
from runtimes.fine_tune import fine_tune, main
from runtimes.processor import limit_threads
from runtimes.training_options import parse_options

SMALL = [
    *("--steps=12", "--batch-size=2", "--max-tokens=128", "--checkpoint-steps=2", "--learning-rate=0.01"),
    *("--rank=8", "--alpha=16", "--held-out=0", "--samples=1"),
]


def silent(stage: str, done: int, total: int, **numbers: float) -> None:
    """A report that shows nothing."""


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examples") / "examples.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": f"What does `f{number}` do?"}], "completion": f"It returns {number} [1]."}
        for number in range(12)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def trained(base: Path, examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of an unbroken run."""
    out = tmp_path_factory.mktemp("trained") / "out"
    limit_threads()
    fine_tune(options(base, examples, out), silent)
    return out


def options(base: Path, examples: Path, out: Path, *more: str) -> Any:
    return parse_options([f"--examples={examples}", f"--base={base}", f"--out={out}", *SMALL, *more])


def losses(out: Path) -> list[float]:
    return json.loads((out / "training.json").read_text())["losses"]


def test_a_run_leaves_an_adapter_that_vllm_takes_and_its_figures(trained: Path, base: Path) -> None:
    facts = check_adapter(trained / "adapter", base, max_rank=16)
    assert facts.rank == 8
    report = json.loads((trained / "training.json").read_text())
    assert len(report["losses"]) == report["steps"] == 12
    assert report["losses"][-1] < report["losses"][0]
    assert report["seconds"] > 0
    assert report["tokens_per_second"] > 0
    assert report["peak_memory_mib"] > 100
    assert report["recipe"]["seed"] == 7
    assert sorted(path.name for path in trained.iterdir()) == [".lock", "adapter", "training.json"]


def test_the_adapter_loads_in_peft_and_changes_the_answer(trained: Path, base: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    ids = tokenizer("What does `f1` do?", return_tensors="pt")["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.no_grad():
        before = model(input_ids=ids).logits
        after = PeftModel.from_pretrained(model, trained / "adapter")(input_ids=ids).logits
    assert (after - before).abs().max() > 0.01


def test_the_same_seed_gives_the_same_adapter(trained: Path, base: Path, examples: Path, tmp_path: Path) -> None:
    fine_tune(options(base, examples, tmp_path / "out"), silent)
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "out/adapter" / file).read_bytes() == (trained / "adapter" / file).read_bytes()


def test_a_run_killed_in_the_middle_leaves_no_adapter_and_resumes_on_the_same_curve(
    trained: Path, base: Path, examples: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [f"--examples={examples}", f"--base={base}", f"--out={out}", *SMALL]
    process = subprocess.Popen(
        [sys.executable, "-m", "runtimes.fine_tune", *arguments],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    wait_for(lambda: (out / "checkpoints/sft/checkpoint-2/trainer_state.json").exists())
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "adapter").exists()
    assert not (out / "training.json").exists()
    cut_short = out / "checkpoints/sft/checkpoint-11"
    cut_short.mkdir()
    (cut_short / "trainer_state.json").write_text('{"global_step": 5, "log_hi')

    steps: list[int] = []
    fine_tune(parse_options(arguments), lambda stage, done, *_, **__: steps.append(done) if stage == "training" else None)
    assert steps[0] == json.loads((out / "training.json").read_text())["resumed_from_step"] + 1 > 2
    assert losses(out) == pytest.approx(losses(trained), abs=1e-5)
    assert not (out / "checkpoints").exists()


def test_a_new_run_into_the_same_folder_replaces_the_adapter(base: Path, examples: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "adapter").mkdir(parents=True)
    (out / "adapter" / "stale.txt").write_text("old")
    fine_tune(options(base, examples, out, "--steps=1", "--quantization=none"), silent)
    assert not (out / "adapter" / "stale.txt").exists()


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ([], "holds no examples"),
        (["{not json"], "line 1 is not"),
        (['{"messages": [], "completion": "a"}'], "no messages or an empty completion"),
        (['{"messages": [{"role": "user", "content": "q"}], "completion": "  "}'], "empty completion"),
        (['{"messages": [{"role": "user", "content": "q"}], "completion": "a"}', "[1]"], "line 2 is not"),
    ],
)
def test_unusable_examples_name_the_line(
    lines: list[str], cause: str, base: Path, write_examples: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / "out"
    assert main([f"--examples={write_examples(lines)}", f"--base={base}", f"--out={out}"]) == 2
    assert cause in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ("--rank=32", "above the 16 that vLLM accepts"),
        ("--steps=0", "--steps is 0"),
        ("--gradient-accumulation=4", "which 4 equal parts cannot share"),
        ("--patience=2", "set training.early_stopping.share"),
        ("--method=grpo", "with a `check`"),
        ("--adapter=/nowhere", "the adapter in /nowhere"),
        ("--target-modules=q_proj,query", "no layer called query"),
        ("--base=/nowhere", "holds no model"),
        ("--mlflow-uri=http://127.0.0.1:9", "does not answer"),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    more: str, cause: str, base: Path, examples: Path, tmp_path: Path, capsys: Any
) -> None:
    arguments = [f"--examples={examples}", f"--base={base}", f"--out={tmp_path / 'out'}", *SMALL, more]
    assert main(arguments) in (1, 2)
    assert cause in capsys.readouterr().err


def test_qlora_in_four_bits_trains_on_the_cpu(base: Path, examples: Path, tmp_path: Path) -> None:
    fine_tune(options(base, examples, tmp_path / "out", "--quantization=nf4", "--steps=2"), silent)
    check_adapter(tmp_path / "out/adapter", base, max_rank=16)


def test_parameters_losses_and_the_adapter_go_to_mlflow(base: Path, examples: Path, tmp_path: Path, capsys: Any) -> None:
    from mlflow import MlflowClient

    uri, out = f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "out"
    more = [f"--mlflow-uri={uri}", f"--artifact-folder={tmp_path / 'files'}", "--steps=2", "--json-progress", "--data-hash=4711"]
    assert main([f"--examples={examples}", f"--base={base}", f"--out={out}", *SMALL, *more]) == 0
    run_id = json.loads((out / "training.json").read_text())["run_id"]
    client = MlflowClient(tracking_uri=uri)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["rank"] == "8"
    assert run.data.tags["data_hash"] == "4711"
    assert [point.value for point in client.get_metric_history(run_id, "loss")] == pytest.approx(losses(out), abs=1e-5)
    assert "adapter/adapter_config.json" in [file.path for file in client.list_artifacts(run_id, "adapter")]
    samples = json.loads(Path(client.download_artifacts(run_id, "samples.json", str(tmp_path))).read_text())
    assert samples["columns"][:4] == ["question", "expected", "before", "after"]
    assert samples["data"][0][0].startswith("What does")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["done"] for line in lines if line["stage"] == "training"] == [1, 2]
    assert all(line["total"] == 2 for line in lines)


def wait_for(condition: Callable[[], bool], seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
