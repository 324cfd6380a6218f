from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from runtimes.fine_tune import fine_tune
from runtimes.lora_model import LoraModelRequest, load_with_peft
from runtimes.memory import MemoryPlan
from runtimes.processes import Processes
from runtimes.processor import limit_threads
from runtimes.run_log import SilentRunLog
from runtimes.supervised import make_trainer
from runtimes.training_examples import Encoded, encode, read_examples
from runtimes.training_loop import Workplace
from runtimes.training_options import parse_options


def silent(stage: str, done: int, total: int, **numbers: float) -> None:
    """A report that shows nothing."""


@pytest.fixture(scope="module")
def model(base: Path) -> Any:
    limit_threads()
    return load_with_peft(LoraModelRequest(str(base), "none", 4, 8, ("q_proj", "v_proj"), 128, 7))


@pytest.fixture(scope="module")
def encoded(model: Any, choices: Path) -> Encoded:
    return encode(read_examples(choices), model[1], 128)


def trainer(model: Any, encoded: Encoded, choices: Path, base: Path, out: Path, *more: str) -> Any:
    options = parse_options(
        [f"--examples={choices}", f"--base={base}", f"--out={out}", "--batch-size=4", "--precision=float32", *more]
    )
    plan = MemoryPlan({}, 1, "a test", 1, checkpointing=False)
    place = Workplace(options, plan, Processes(0, 0, 1), SilentRunLog(), silent, 1)
    return make_trainer(place, *model, encoded, None)


def test_the_trainer_masks_every_prompt_token(model: Any, encoded: Encoded, choices: Path, base: Path, tmp_path: Path) -> None:
    batch = next(iter(trainer(model, encoded, choices, base, tmp_path).get_train_dataloader()))
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        answer = model[1].decode(ids[labels != -100])
        assert answer.startswith(("[", "The indexed code"))
        assert answer.endswith("<|end|>")


def test_batches_come_in_few_lengths(model: Any, encoded: Encoded, choices: Path, base: Path, tmp_path: Path) -> None:
    lengths = {batch["input_ids"].shape[1] for batch in trainer(model, encoded, choices, base, tmp_path).get_train_dataloader()}
    assert all(length % 64 == 0 for length in lengths)


def test_logits_at_the_completions_alone_give_the_loss_of_all_logits(
    model: Any, encoded: Encoded, choices: Path, base: Path, tmp_path: Path
) -> None:
    import torch

    made = trainer(model, encoded, choices, base, tmp_path)
    batch = next(iter(made.get_train_dataloader()))
    model[0].eval()
    with torch.no_grad():
        whole = model[0](input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]).loss
        assert float(made.compute_loss(model[0], dict(batch))) == pytest.approx(float(whole), abs=1e-5)


def test_packed_examples_do_not_see_each_other(model: Any, encoded: Encoded, choices: Path, base: Path, tmp_path: Path) -> None:
    import torch

    made = trainer(model, encoded, choices, base, tmp_path, "--packing=packed", "--max-tokens=512", "--batch-size=1")
    packed = next(iter(made.get_train_dataloader()))
    starts = [*(packed["position_ids"][0] == 0).nonzero().flatten().tolist(), packed["input_ids"].shape[1]]
    assert len(starts) > 4
    model[0].eval()
    with torch.no_grad():
        together = model[0](input_ids=packed["input_ids"], position_ids=packed["position_ids"]).logits[0]
        for start, end in itertools.pairwise(starts):
            alone = model[0](input_ids=packed["input_ids"][:, start:end]).logits[0]
            assert torch.allclose(together[start:end], alone, atol=1e-3)


def test_by_length_a_batch_holds_examples_of_about_one_length(
    model: Any, encoded: Encoded, choices: Path, base: Path, tmp_path: Path
) -> None:
    longer = [{name: row[name] * (1 + index % 2) for name in row} for index, row in enumerate(encoded.rows)]

    def padding(packing: str) -> int:
        made = trainer(model, Encoded(longer, 0, 0), choices, base, tmp_path / packing, f"--packing={packing}")
        return sum(int((batch["attention_mask"] == 0).sum()) for batch in made.get_train_dataloader())

    assert padding("by_length") < padding("none")


def test_the_adapter_with_the_least_watched_loss_is_kept_and_the_run_ends_early(
    base: Path, choices: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [f"--examples={choices}", f"--base={base}", f"--out={out}", "--steps=40", "--batch-size=4", "--rank=4"]
    # A rate at which nothing is learnt for long: the loss soon rises again.
    more = ["--checkpoint-steps=2", "--held-out=0.3", "--patience=2", "--learning-rate=0.3", "--samples=2", "--warm-up=0.2"]
    fine_tune(parse_options([*arguments, *more]), silent)
    report = json.loads((out / "training.json").read_text())
    watched = {entry["step"]: entry["loss"] for entry in report["watched_losses"]}
    assert report["steps"] < 40
    assert report["best_steps"]["sft"] == min(watched, key=lambda step: watched[step])
    assert report["best_steps"]["sft"] == report["steps"] - 4
