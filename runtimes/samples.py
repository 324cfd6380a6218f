"""What a model says to a few questions, before and after: for a person to look at, and for a first figure of what changed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from runtimes.rewards import total
from runtimes.training_examples import Example, render

MORE_TOKENS = 8
"""An answer may be this much longer than the expected one; what is cut off shows that it did not end."""


def answers_to(examples: Sequence[Example], model: Any, tokenizer: Any, adapted: bool) -> list[str]:
    """Return the likeliest answer to each example, by the model with its adapter or (``adapted`` False) without."""
    import torch

    model.eval()
    said = []
    with torch.no_grad(), contextlib.nullcontext() if adapted else model.disable_adapter():
        for example in examples:
            prompt, completion = render(example, tokenizer)
            ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").to(model.device)
            longest = len(tokenizer(completion, add_special_tokens=False)["input_ids"]) + MORE_TOKENS
            written = model.generate(**ids, max_new_tokens=longest, do_sample=False)
            said.append(tokenizer.decode(written[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    model.train()
    return said


def sample_table(examples: Sequence[Example], before: Sequence[str], after: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each example: question, expected, answered before and after, and what either earned (0 to 1)."""
    return [
        {
            "question": example.messages[-1]["content"].rpartition("\n")[2].removeprefix("Question: "),
            "expected": example.completion,
            "before": first,
            "after": second,
            **(
                {"reward_before": total(first, example.check), "reward_after": total(second, example.check)}
                if example.check
                else {}
            ),
        }
        for example, first, second in zip(examples, before, after, strict=True)
    ]
