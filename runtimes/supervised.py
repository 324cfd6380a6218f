"""Supervised fine-tuning: the model learns to say the completions of the examples."""

from __future__ import annotations

from typing import Any

from runtimes.checkpoints import Phase
from runtimes.training_examples import Encoded
from runtimes.training_loop import Workplace, carry_out, trainer_settings

LENGTH_STEP = 64
"""Batches are padded to multiples of this. The CPU's kernels are compiled and kept for each new shape: without it a run grew by
some 30 MiB a step, from 1.8 to 4.9 GiB in 100."""

NO_LABEL = -100
"""Where PyTorch's cross-entropy counts nothing."""


def imitate(place: Workplace, model: Any, tokenizer: Any, learn: Encoded, watch: Encoded | None) -> Phase:
    """Train ``model`` on the rows of ``learn``; with ``watch``, keep the adapter whose loss on those was least."""
    return carry_out(place, "sft", model, lambda: make_trainer(place, model, tokenizer, learn, watch))


def make_trainer(place: Workplace, model: Any, tokenizer: Any, learn: Encoded, watch: Encoded | None) -> Any:
    """Return TRL's trainer, ready to run."""
    from datasets import Dataset
    from transformers import EarlyStoppingCallback, PrinterCallback
    from trl import SFTConfig  # type: ignore[attr-defined]

    options = place.options
    settings = trainer_settings(place, "sft", options.steps, options.batch_size, options.learning_rate)
    packed = options.packing == "packed"
    watched = {
        "eval_strategy": "steps",
        "eval_steps": options.checkpoint_steps,
        "per_device_eval_batch_size": settings["per_device_train_batch_size"],
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
    }
    watching = watch is not None and options.checkpoint_steps > 0
    config = SFTConfig(
        **settings,
        **(watched if watching else {}),
        include_num_input_tokens_seen="non_padding",
        completion_only_loss=True,
        max_length=options.max_tokens if packed else None,
        packing=packed,
        pad_to_multiple_of=None if packed else LENGTH_STEP,
        eval_packing=False,
        # Packed sequences are of one length anyway.
        train_sampling_strategy="group_by_length" if options.packing == "by_length" else "random",
    )
    trainer = _trainer_class()(
        model,
        args=config,
        train_dataset=Dataset.from_list(learn.rows),
        eval_dataset=Dataset.from_list(watch.rows) if watch is not None and watching else None,
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    if watching and options.patience:
        trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=options.patience))
    return trainer


def _trainer_class() -> Any:
    import torch
    from trl import SFTTrainer  # type: ignore[attr-defined]

    class CompletionTrainer(SFTTrainer):
        """TRL's trainer, which makes logits only where a completion has tokens.

        TRL's own loss makes them everywhere but on GPUs with Triton, and the vocabulary is most of a small model: measured on
        the shipped one, a step takes a third of the time and half of the memory, with the same loss.
        """

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
            if inputs["input_ids"].is_cuda:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            labels = inputs.pop("labels")[:, 1:]
            columns = (labels != NO_LABEL).any(0).nonzero().flatten()
            outputs = model(**inputs, logits_to_keep=columns, use_cache=False)
            wanted = labels[:, columns].flatten()
            loss = torch.nn.functional.cross_entropy(
                outputs.logits.flatten(0, 1).float(), wanted, ignore_index=NO_LABEL, reduction="sum"
            )
            loss = loss / ((wanted != NO_LABEL).sum() if num_items_in_batch is None else num_items_in_batch)
            if self.args.average_tokens_across_devices and num_items_in_batch is not None:
                loss = loss * self.accelerator.num_processes  # the processes' gradients are averaged, their tokens summed
            return (loss, outputs) if return_outputs else loss

    return CompletionTrainer
