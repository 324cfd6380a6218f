"""The shipped base model: whole, small, and loaded as an ordinary Llama."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from cia.corpus import Corpus
from cia.dataset.from_code import read_code_base
from cia.errors import InputError
from cia.settings import Settings
from runtimes.base_model import install_base, shipped, shipped_base
from runtimes.base_model.recipe.groups import groups_of
from runtimes.base_model.recipe.scoring import score

LARGEST_FOLDER = 20_000_000
"""Bytes."""

FEWEST_RIGHT, FEWEST_ABSTAINED = 0.65, 0.55


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shipped_base())


def test_the_shipped_folder_is_whole_and_small() -> None:
    assert sum(path.stat().st_size for path in shipped_base().iterdir()) <= LARGEST_FOLDER


def test_it_loads_as_an_ordinary_llama() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(shipped_base())
    assert config.architectures == ["LlamaForCausalLM"]
    assert config.head_dim % 32 == 0  # what vLLM's attention kernels for the CPU take
    assert AutoModelForCausalLM.from_pretrained(shipped_base()).num_parameters() < 10_000_000


@pytest.mark.parametrize("text", ["def f():\n    return 42\n", "größer 北京 🙂", "\tx = 'a'  \n\n\n", "parse_HTTPHeader[12]"])
def test_every_text_survives_the_tokenizer(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_the_numbers_of_cards_are_single_tokens(tokenizer: Any) -> None:
    assert [len(tokenizer(f"[{number}]", add_special_tokens=False)["input_ids"]) for number in range(1, 10)] == [1] * 9


def test_turns_end_with_the_end_mark(tokenizer: Any) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    assert tokenizer.apply_chat_template(turns, tokenize=False) == "<|begin|><|user|>\nq<|end|><|assistant|>\na<|end|>"


def test_it_is_installed_once_under_a_name_of_its_content(tmp_path: Path) -> None:
    path = install_base(tmp_path / "models")
    written = (path / "model.safetensors").stat().st_mtime_ns
    assert install_base(tmp_path / "models") == path
    assert (path / "model.safetensors").stat().st_mtime_ns == written
    assert [entry.name for entry in (tmp_path / "models").iterdir() if entry.is_dir()] == [path.name]


def test_a_damaged_copy_is_replaced(tmp_path: Path) -> None:
    path = install_base(tmp_path)
    (path / "model.safetensors").write_bytes(b"half")
    assert install_base(tmp_path) == path
    shipped.check_files(path)


def test_it_picks_the_right_card_in_code_that_it_never_saw(tokenizer: Any, tmp_path: Path) -> None:
    """Of click, as it is installed: the model was not made from it. Measured on five public packages: see the model card."""
    import click
    from transformers import AutoModelForCausalLM

    installed = Path(click.__file__).parent
    shutil.copytree(installed, tmp_path / "own" / "click", ignore=shutil.ignore_patterns("__pycache__"))
    settings = Settings(home=tmp_path / "home")
    code = read_code_base(Corpus(settings).add(str(tmp_path / "own")), settings.chunking)
    model = AutoModelForCausalLM.from_pretrained(shipped_base(), dtype="float32")
    found = score(model, tokenizer, list(groups_of(code, 150, seed=1, most_questions=1)))
    assert found.forced.count > 50
    assert found.forced.rate > FEWEST_RIGHT  # by chance it is 0.2
    assert found.answered.rate > FEWEST_RIGHT
    assert found.abstained.rate > FEWEST_ABSTAINED


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped folder, taken for it, to break."""
    folder = tmp_path / "weights"
    shutil.copytree(shipped_base(), folder)
    monkeypatch.setattr(shipped, "SHIPPED", folder)
    return folder


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "SHA256SUMS"])
def test_a_missing_file_is_named_with_what_to_do(broken: Path, name: str) -> None:
    (broken / name).unlink()
    with pytest.raises(InputError, match="install the project again"):
        shipped_base()


def test_a_changed_file_is_refused(broken: Path, tmp_path: Path) -> None:
    (broken / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"config\.json is not the file"):
        install_base(tmp_path / "models")
