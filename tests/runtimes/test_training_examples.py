from __future__ import annotations

from pathlib import Path

import pytest

from cia.errors import InputError
from runtimes.training_examples import Example, encode, hold_out, read_examples, render


@pytest.fixture(scope="module")
def tokenizer(base: Path):  # type: ignore[no-untyped-def]
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base)


def question(text: str, answer: str = "It returns 3 [1].", gold: int = 0) -> Example:
    check = {"gold": [{"file_path": "a.py", "line_start": gold}]} if gold else {}
    return Example([{"role": "user", "content": text}], answer, check)


def test_the_loss_is_on_the_completion_only(tokenizer) -> None:  # type: ignore[no-untyped-def]
    example = question("What does `f3` do?")
    row = encode([example], tokenizer, 128).rows[0]
    learned = [token for token, counts in zip(row["input_ids"], row["completion_mask"], strict=True) if counts]
    prompt = [token for token, counts in zip(row["input_ids"], row["completion_mask"], strict=True) if not counts]
    assert tokenizer.decode(learned) == "It returns 3 [1].<|end|>"
    assert prompt == tokenizer.apply_chat_template(example.messages, add_generation_prompt=True)["input_ids"]


def test_a_long_prompt_loses_its_start_and_keeps_the_question(tokenizer) -> None:  # type: ignore[no-untyped-def]
    example = question("x = 1\n" * 200 + "Question: why?")
    encoded = encode([example], tokenizer, 64)
    assert encoded.longest == 64
    assert encoded.cut == 1
    prompt, completion = render(example, tokenizer)
    assert (prompt + completion).endswith(tokenizer.decode(encoded.rows[0]["input_ids"]))
    with pytest.raises(InputError, match=r"raise training\.max_tokens"):
        encode([example], tokenizer, 4)


def test_what_is_held_out_is_the_same_each_time_and_shares_no_subject_with_the_rest() -> None:
    examples = [question(f"question {number}", gold=number // 4 + 1) for number in range(100)]
    learn, watch = hold_out(examples, 0.1)
    assert hold_out(examples[::-1], 0.1)[1] != []
    assert {id(example) for example in hold_out(examples, 0.1)[1]} == {id(example) for example in watch}
    assert 10 <= len(watch) < 20
    assert len(learn) + len(watch) == 100
    subjects = [{example.check["gold"][0]["line_start"] for example in part} for part in (learn, watch)]
    assert not subjects[0] & subjects[1]


@pytest.mark.parametrize(("count", "share", "held_out"), [(10, 0.0, 0), (1, 0.4, 0), (2000, 0.4, 64)])
def test_nothing_is_held_out_of_nothing_and_never_too_much(count: int, share: float, held_out: int) -> None:
    examples = [question(f"question {number}") for number in range(count)]
    learn, watch = hold_out(examples, share)
    assert len(watch) == held_out
    assert len(learn) == count - held_out


def test_the_check_of_an_example_is_read(choices: Path) -> None:
    first = read_examples(choices)[1]
    assert first.check["choices"][0] == "[1]"
    assert len(first.check["places"]) == 3
