"""Reinforcement (GRPO): the model answers each question several times and learns from what its answers earn.

Group relative policy optimisation: Shao et al. 2024, DeepSeekMath, arXiv:2402.03300, section 4.1. It starts from an adapter that
knows the form of an answer; from nothing, hardly any sampled answer earns anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from cia.errors import InputError
from runtimes.checkpoints import Phase
from runtimes.rewards import MOST, REWARDS, Reward
from runtimes.training_examples import Example
from runtimes.training_loop import Workplace, carry_out, trainer_settings


def be_rewarded(place: Workplace, model: Any, tokenizer: Any, examples: Sequence[Example]) -> Phase:
    """Train ``model`` by GRPO on the questions of ``examples``. Raises InputError when their answers cannot be checked."""
    rows = _rows(examples, tokenizer, place.options.max_tokens - place.options.answer_tokens)
    return carry_out(place, "grpo", model, lambda: _make_trainer(place, model, tokenizer, rows))


def _rows(examples: Sequence[Example], tokenizer: Any, most_tokens: int) -> list[dict[str, Any]]:
    if not all({"form", "choices", "places", "gold"} <= example.check.keys() for example in examples):
        raise InputError("GRPO needs examples with a `check` to reward answers by; build the data set again")
    # The trainer cuts no prompt, so that a long one is passed over. A check is text, for its lists differ in shape.
    rows = [
        {"prompt": example.messages, "check": json.dumps(example.check)}
        for example in examples
        if len(tokenizer.apply_chat_template(example.messages, add_generation_prompt=True)["input_ids"]) <= most_tokens
    ]
    if not rows:
        raise InputError(f"every prompt is longer than {most_tokens} tokens; raise training.max_tokens")
    return rows


def _make_trainer(place: Workplace, model: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer  # type: ignore[attr-defined]

    options = place.options
    batch = options.grpo_questions * options.grpo_answers
    config = GRPOConfig(
        **trainer_settings(place, "grpo", options.grpo_steps, batch, options.grpo_learning_rate),
        num_generations=options.grpo_answers,
        max_completion_length=options.answer_tokens,
        temperature=options.grpo_temperature,
        beta=options.grpo_beta,
        reward_weights=[weight / MOST for _, weight in REWARDS.values()],
    )

    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[_for_trl(name, reward) for name, (reward, _) in REWARDS.items()],
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _for_trl(name: str, reward: Reward) -> Callable[..., list[float]]:
    """Return a reward as TRL calls it: over a batch of conversations, named as it is logged."""

    def rewards(completions: list[list[dict[str, str]]], check: list[str], **_: Any) -> list[float]:
        return [reward(turns[-1]["content"], json.loads(text)) for turns, text in zip(completions, check, strict=True)]

    rewards.__name__ = name
    return rewards
