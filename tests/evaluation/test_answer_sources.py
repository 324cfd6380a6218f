from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cia.dataset.pair import QuestionAnswerPair
from cia.errors import OperationError, UnavailableError
from cia.evaluation import (
    Asked,
    ExtractiveAnswers,
    OpenAIAnswers,
    QuestionSet,
    TransformersAnswers,
    evaluate,
    prepare_questions,
)
from cia.retrieval.result import SearchResult
from cia.settings import Settings

TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with random weights and a byte-pair tokenizer: it talks nonsense, but it talks."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(
        models.BPE({char: i for i, char in enumerate(["<s>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}, [])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<s>", chat_template=TEMPLATE).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"vocab_size": 257, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(**sizes, max_position_embeddings=4096, eos_token_id=0, bos_token_id=0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def small() -> Settings:
    settings = Settings()
    return settings.model_copy(update={"model": settings.model.model_copy(update={"answer_tokens": 8, "context_tokens": 400})})


@pytest.mark.slow
def test_a_model_in_this_process_answers_every_question(tiny_model: Path, small: Settings, shop: dict[str, SearchResult]) -> None:
    source = TransformersAnswers(small, tiny_model, name="tiny")
    asked = [Asked(f"What is number {number}?", (shop["Cart.add"],)) for number in range(5)]
    assert source.tokens_per_second is None
    answers = source.answer(asked)
    assert source.tokens_per_second is not None
    assert source.tokens_per_second > 0
    assert [answer.model for answer in answers] == ["tiny"] * 5
    assert all(answer.mode == "llm" for answer in answers)
    assert [answer.answer for answer in source.answer(asked)] == [answer.answer for answer in answers]
    # Batching and padding change nothing.
    assert source.answer(asked[:1])[0].answer == answers[0].answer


@pytest.mark.slow
def test_an_adapter_changes_what_the_model_says(
    tiny_model: Path, small: Settings, shop: dict[str, SearchResult], tmp_path: Path
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model: Any = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(r=4, target_modules=["q_proj", "down_proj"])
    )
    torch.manual_seed(1)
    for name, weights in model.named_parameters():
        if "lora" in name:
            torch.nn.init.normal_(weights)
    model.save_pretrained(tmp_path)
    asked = [Asked("What is `Cart.add`?", (shop["Cart.add"],))]
    plain = TransformersAnswers(small, tiny_model).answer(asked)
    adapted = TransformersAnswers(small, tiny_model, tmp_path).answer(asked)
    assert adapted[0].answer != plain[0].answer


def test_a_model_that_cannot_be_loaded_is_named(small: Settings, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="cannot be loaded"):
        TransformersAnswers(small, tmp_path).answer([Asked("?", ())])


def test_a_server_that_is_away_is_no_bad_answer(small: Settings, shop: dict[str, SearchResult]) -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"):
        OpenAIAnswers(small, "http://127.0.0.1:9/v1", "code-assistant:1").answer([Asked("Where?", (shop["Cart.add"],))])


def test_extractive_answers_are_judged_without_their_opening(shop: dict[str, SearchResult]) -> None:
    answer = ExtractiveAnswers().answer([Asked("Where?", (shop["Cart.add"], shop["Stock"]))])[0]
    assert answer.answer.startswith("`Cart.add` is a method")
    assert len(answer.citations) == 2


def test_questions_are_prepared_from_a_real_index(questions: QuestionSet, tmp_path: Path) -> None:
    from cia.retrieval import Indexer, Retriever

    source = tmp_path / "shop"
    (source / "shop").mkdir(parents=True)
    for path in (Path(__file__).parent / "shop").glob("*.py"):
        (source / "shop" / path.name).write_bytes(path.read_bytes())
    settings = Settings(home=tmp_path / "home")
    Indexer(settings).index(str(source), name="shop")
    retriever = Retriever(settings)
    pairs: list[QuestionAnswerPair] = [question.pair for question in questions.questions]
    try:
        prepared = prepare_questions(pairs, retriever, settings, training=pairs[:1])
        again = prepare_questions(pairs, retriever, settings)
    finally:
        retriever.close()
    assert prepared.questions == again.questions
    assert (prepared.data_hash, prepared.index_fingerprint) == (again.data_hash, again.index_fingerprint)
    assert pairs[0].id in prepared.leaked
    assert again.leaked == ()
    answerable = [question for question in prepared.questions if question.pair.kind != "unanswerable"]
    found = sum(question.pair.citations[0].symbol in {chunk.symbol for chunk in question.context} for question in answerable)
    assert found / len(answerable) > 0.7
    report = evaluate(ExtractiveAnswers(), prepared, settings)
    assert report.means["contextual_recall"] > 0.5
