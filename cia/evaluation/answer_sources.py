"""Who answers the questions of an evaluation: the extractive answers, a model in this process, or one behind an address."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cia.answering.answer import Answer
from cia.answering.citations import check
from cia.answering.extractive import OPENING, PLACES, quote_places
from cia.answering.model import open_model
from cia.answering.prompt import Budget, Prompt, build_prompt, estimate_tokens
from cia.errors import OperationError, UnavailableError
from cia.retrieval.result import SearchResult
from cia.settings import Settings

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

BATCH = 4
"""Questions generated together; more would need much memory for long contexts and gain little on a CPU."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, its context, best first, and whether that surely answers. The reference answer stays with the evaluation."""

    question: str
    context: tuple[SearchResult, ...]
    sure: bool = False


class AnswerSource(Protocol):
    """Anything that answers questions from given contexts. ``name`` goes into the report."""

    name: str

    def answer(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        """Return an answer for each question, in order."""
        ...


class ExtractiveAnswers:
    """What users get without a model: the best places, quoted."""

    name = "extractive"

    def answer(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        """Return the quoted places. The opening sentence is about the assistant, not the code, and is left out."""
        answers = []
        for each in asked:
            text, citations = quote_places(each.context[:PLACES], None)
            answers.append(Answer(text.removeprefix(OPENING).strip(), False, "extractive", "none", citations, _index(each)))
        return answers


class TransformersAnswers:
    """A base model, with or without a LoRA adapter, generating greedily in this process: on the GPU if there is one.

    ``base`` is a folder or a hub name. The model is loaded on the first question. On a GPU it computes in bfloat16, as vLLM does.
    """

    def __init__(self, settings: Settings, base: str | Path, adapter: Path | None = None, name: str = "") -> None:
        self.name = name or (adapter.name if adapter else Path(base).name)
        self._settings = settings
        self._base, self._adapter = str(base), adapter
        self._loaded: tuple[Any, Any] | None = None
        self._tokens, self._seconds = 0, 0.0

    @property
    def tokens_per_second(self) -> float | None:
        """What it has written so far, reading the prompts included; None before the first answer."""
        return self._tokens / self._seconds if self._seconds else None

    def answer(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        """Return the model's answers, their citations checked. Raises OperationError when the model cannot be loaded."""
        tokenizer, model = self._loaded = self._loaded or self._load()
        budget = Budget.of(self._settings.model, lambda text: len(tokenizer.encode(text, add_special_tokens=False)))
        prompts = [build_prompt(each.question, each.context, budget, self._settings.model.form, each.sure) for each in asked]
        texts: list[str] = []
        for start in range(0, len(prompts), BATCH):
            texts += self._generate(tokenizer, model, prompts[start : start + BATCH])
        return [_spoken(each, prompt, text, self.name) for each, prompt, text in zip(asked, prompts, texts, strict=True)]

    def _load(self) -> tuple[Any, Any]:
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(self._base, padding_side="left")
            on_gpu: dict[str, Any] = {"dtype": "bfloat16", "device_map": {"": 0}}
            place = on_gpu if torch.cuda.is_available() else {"dtype": "float32"}
            model: Any = AutoModelForCausalLM.from_pretrained(self._base, **place)
            if self._adapter is not None:
                from peft import PeftModel

                model = PeftModel.from_pretrained(model, str(self._adapter))
        except ImportError as error:
            raise OperationError(f"{error.name} is not installed; install code-intelligence-assistant[training]") from None
        except (OSError, ValueError, RuntimeError) as error:
            raise OperationError(f"the model {self._base} cannot be loaded: {' '.join(str(error).split())[:200]}") from None
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer, model.eval()

    def _generate(self, tokenizer: Any, model: Any, prompts: Sequence[Prompt]) -> list[str]:
        import torch

        written = [tokenizer.apply_chat_template(p.messages, tokenize=False, add_generation_prompt=True) for p in prompts]
        inputs = tokenizer(written, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
        inputs.pop("token_type_ids", None)
        start = inputs["input_ids"].shape[1]
        began = time.perf_counter()
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                max_new_tokens=self._settings.model.answer_tokens,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
                prefix_allowed_tokens_fn=_only_choices(tokenizer, prompts, start),
            )
        self._seconds += time.perf_counter() - began
        self._tokens += int((output[:, start:] != tokenizer.pad_token_id).sum())
        return list(tokenizer.batch_decode(output[:, start:], skip_special_tokens=True))


def _only_choices(tokenizer: Any, prompts: Sequence[Prompt], start: int) -> Callable[[int, Any], list[int]] | None:
    """Which token may come next in each row, so that a choice is made as vLLM's structured output makes it; None for prose."""
    if not any(prompt.choices for prompt in prompts):
        return None
    end = tokenizer.eos_token_id
    wordings = [[[*tokenizer.encode(choice, add_special_tokens=False), end] for choice in prompt.choices] for prompt in prompts]

    def allowed(row: int, tokens: Any) -> list[int]:
        said = tokens[start:].tolist()
        going_on = {wording[len(said)] for wording in wordings[row] if len(wording) > len(said) and wording[: len(said)] == said}
        return sorted(going_on) or [end]

    return allowed


class OpenAIAnswers:
    """A model at an OpenAI-compatible address, such as vLLM with a LoRA adapter."""

    def __init__(self, settings: Settings, base_url: str, model: str) -> None:
        self.name = model
        self._settings = settings
        self._base_url = base_url
        self._model = open_model(settings.model.model_copy(update={"base_url": base_url, "base_model": model}))

    def answer(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        """Return the model's answers, their citations checked.

        Raises UnavailableError when the server fails: an outage is no answer, and must not be scored as a bad one.
        """
        from langchain_core.runnables import RunnableLambda

        budget = Budget.of(self._settings.model, estimate_tokens)
        prompts = [build_prompt(each.question, each.context, budget, self._settings.model.form, each.sure) for each in asked]
        try:
            replies = RunnableLambda(self._ask).batch(prompts, {"max_concurrency": BATCH})
        except Exception as error:  # httpx, openai and langchain each have their own
            why = " ".join(str(error).split())[:200]
            raise UnavailableError(f"the model at {self._base_url} failed: {why}; start it and evaluate again") from error
        texts = [reply.content if isinstance(reply.content, str) else "" for reply in replies]
        return [_spoken(each, prompt, text, self.name) for each, prompt, text in zip(asked, prompts, texts, strict=True)]

    def _ask(self, prompt: Prompt) -> BaseMessage:
        assert self._model is not None
        return self._model.bind(model=self.name, temperature=0.0, **prompt.restriction).invoke(prompt.messages)


def _spoken(asked: Asked, prompt: Prompt, text: str, model: str) -> Answer:
    from cia.answering.assistant import declines

    checked = check(prompt.read(text), prompt.context)
    return Answer(
        checked.text,
        declines(checked.text),
        "llm",
        model,
        checked.citations,
        _index(asked),
        dropped_citations=checked.dropped,
    )


def _index(asked: Asked) -> dict[str, str]:
    best = asked.context[0] if asked.context else None
    return {"repo": best.repo if best else "", "commit": best.commit if best else ""}
